"""The platform as Dagster resources, opened when a step or a tick needs them and closed after it.

Steps need all of it: lake, warehouse and exchanges. Schedules and sensors run inside the code server and need the database
alone, so that the server does not carry polars and PyArrow for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import dagster as dg

from market_platform.defs.failures import as_failure
from market_platform.defs.names import DATABASE_TAG, is_training
from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.databases import Database
from market_platform.domain.errors import WarehouseError, WrongDatabaseError
from market_platform.domain.pairs import TradingPair
from market_platform.settings import Settings

if TYPE_CHECKING:
    from market_platform.pipeline.platform import Platform
    from market_platform.warehouse.engine import Warehouse

PLATFORM = "platform"
WAREHOUSE = "warehouse"
TRAINING_PLATFORM = "training_platform"
TRAINING_WAREHOUSE = "training_warehouse"

Resources = dict[str, dg.ResourceDefinition]


Opened = TypeVar("Opened", "Platform", "Warehouse")


def platform_key(pair: TradingPair) -> str:
    """Name of the resource that holds the pair's database."""
    return TRAINING_PLATFORM if is_training(pair) else PLATFORM


def platform_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, pair: TradingPair) -> Platform:
    """The platform with the pair's database; the step must require `platform_key(pair)`."""
    opened: Platform = getattr(context.resources, platform_key(pair))
    return opened


def refuse_another_database(context: dg.AssetExecutionContext, resource: str) -> None:
    """Do nothing when a step's platform has the database that the run was launched for, or nobody said for which.

    Raises:
        Failure: a command launched the run for another database than the one that these settings name.
    """
    described = context.run.tags.get(DATABASE_TAG)
    if described is None:
        return
    from market_platform.warehouse.database_role import require_described

    opened: Platform = getattr(context.resources, resource)
    try:
        with opened.warehouse.connect() as connection:
            require_described(connection, described, opened.warehouse.role or "realtime")
    except WarehouseError as error:
        raise as_failure(error) from error


def resources(
    open_platform: Callable[[], Platform],
    open_warehouse: Callable[[], Warehouse],
    open_training_platform: Callable[[], Platform] | None = None,
    open_training_warehouse: Callable[[], Warehouse] | None = None,
) -> Resources:
    """Resources that are what these functions open; tests give their own. Training is the same as the others by default."""
    return {
        PLATFORM: _closing(open_platform, "The lake, the warehouse and the exchanges."),
        WAREHOUSE: _closing(open_warehouse, "The database alone."),
        TRAINING_PLATFORM: _closing(
            open_training_platform or open_platform, "The lake, the training database and the exchanges."
        ),
        TRAINING_WAREHOUSE: _closing(open_training_warehouse or open_warehouse, "The training database alone."),
    }


def _closing(opens: Callable[[], Opened], description: str) -> dg.ResourceDefinition:
    """A resource that is opened when a step or a tick needs it, and closed after it."""

    def opened(_context: dg.InitResourceContext) -> Iterator[Opened]:
        resource = opens()
        try:
            yield resource
        finally:
            resource.close()

    return dg.ResourceDefinition(opened, description=description)


def resources_from_settings(settings: Settings, clock: Clock = utc_now) -> Resources:
    """What the settings name. polars, PyArrow and SQLAlchemy are imported when it opens, not before."""

    def open_platform(database: Database = "realtime") -> Platform:
        from market_platform.embedded.databases import find_database, find_shared_url
        from market_platform.pipeline.platform import Platform

        found = find_database(settings, database)
        opened = Platform.from_settings(
            settings, found.url, clock, role=found.role, limits_url=find_shared_url(settings) or found.url
        )
        _refuse_the_other(opened)
        return opened

    def open_warehouse(database: Database = "realtime") -> Warehouse:
        from market_platform.embedded.databases import find_database
        from market_platform.warehouse.engine import create_warehouse

        found = find_database(settings, database)
        return create_warehouse(found.url, pool_size=2, timeout_s=settings.database_timeout_s, role=found.role)

    return resources(
        open_platform, open_warehouse, lambda: open_platform("training"), lambda: open_warehouse("training")
    )


def _refuse_the_other(opened: Platform) -> None:
    """Fail before anything is fetched for the wrong database. One that does not answer is the step's to try again.

    Raises:
        WrongDatabaseError: as it says.
    """
    try:
        opened.warehouse.check_role()
    except WrongDatabaseError:
        opened.close()
        raise
    except WarehouseError:
        return
