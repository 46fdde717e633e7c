"""The platform as Dagster resources, opened when a step or a tick needs them and closed after it.

Steps need all of it: lake, warehouse and exchanges. Schedules and sensors run inside the code server and need the database
alone, so that the server does not carry polars and PyArrow for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.domain.clock import Clock, utc_now
from market_platform.settings import Settings

if TYPE_CHECKING:
    from market_platform.pipeline.platform import Platform
    from market_platform.warehouse.engine import Warehouse

PLATFORM = "platform"
WAREHOUSE = "warehouse"

Resources = dict[str, dg.ResourceDefinition]


def resources(open_platform: Callable[[], Platform], open_warehouse: Callable[[], Warehouse]) -> Resources:
    """Resources that are what these functions open; tests give their own."""

    def platform(_context: dg.InitResourceContext) -> Iterator[Platform]:
        opened = open_platform()
        try:
            yield opened
        finally:
            opened.close()

    def warehouse(_context: dg.InitResourceContext) -> Iterator[Warehouse]:
        opened = open_warehouse()
        try:
            yield opened
        finally:
            opened.close()

    return {
        PLATFORM: dg.ResourceDefinition(platform, description="The lake, the warehouse and the exchanges."),
        WAREHOUSE: dg.ResourceDefinition(warehouse, description="The database alone."),
    }


def resources_from_settings(settings: Settings, clock: Clock = utc_now) -> Resources:
    """What the settings name. polars, PyArrow and SQLAlchemy are imported when it opens, not before."""

    def open_platform() -> Platform:
        from market_platform.embedded.postgres import find_database_url
        from market_platform.pipeline.platform import Platform

        return Platform.from_settings(settings, find_database_url(settings), clock)

    def open_warehouse() -> Warehouse:
        from market_platform.embedded.postgres import find_database_url
        from market_platform.warehouse.engine import create_warehouse

        return create_warehouse(find_database_url(settings), pool_size=2, timeout_s=settings.database_timeout_s)

    return resources(open_platform, open_warehouse)
