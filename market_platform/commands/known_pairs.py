"""Pairs that a command is to look at alone: one that nobody knows is refused, or its emptiness would read as all is well."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import TYPE_CHECKING

from market_platform.domain.databases import Database
from market_platform.domain.errors import ConfigError, WarehouseError
from market_platform.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection


def require_pair(connection: Connection, exchange: str, symbol: str) -> None:
    """Do nothing when the database has the pair, active or not.

    Raises:
        ConfigError: it has not; names what is close.
    """
    from market_platform.warehouse.reference import load_pairs

    _require(f"{exchange}/{symbol}", {row.name for row in load_pairs(connection)}, "in the database")


def require_known_pair(settings: Settings, database: Database, exchange: str, symbol: str) -> None:
    """As `require_pair`, of what is configured and of the database, if there is one that answers."""
    from market_platform.commands.databases import open_to_read
    from market_platform.embedded.databases import load_config
    from market_platform.warehouse.reference import load_pairs

    names = {pair.name for pair in load_config(settings, database).all_pairs()}
    try:
        with open_to_read(settings, database) as warehouse, warehouse.connect() as connection:
            names |= {row.name for row in load_pairs(connection)}
    except (ConfigError, WarehouseError):
        pass  # the configuration is enough to tell a mistyped name
    _require(f"{exchange}/{symbol}", names, "configured, and nothing of it is in the lake")


def _require(name: str, known: Collection[str], where: str) -> None:
    if name in known:
        return
    near = get_close_matches(name, sorted(known), n=3, cutoff=0.75)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(
        f"{name} is not {where}{meant or '; add it to config/starlistings.yaml and run `market-platform config sync`'}"
    )
