"""What the commands of `market_ticks` share: opening the database, naming pairs, the days there are rows of.

Belongs here: words and errors of arguments. Does not: SQL (warehouse/), what a command does (ticks_*.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import typer

from market_platform.domain.errors import BadRequestError
from market_platform.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from market_platform.warehouse.engine import Warehouse
    from market_platform.warehouse.reference import PairRow

SESSION = "market-platform ticks"
"""What the session that moves or loads is called in Postgres."""


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[Warehouse]:
    """The database of the settings, closed at the end. Raises as `open_database`."""
    from market_platform.embedded.databases import open_database

    with open_database(settings, pool_size=4) as warehouse:
        yield warehouse


def pair_named(warehouse: Warehouse, name: str) -> PairRow:
    """The pair of a name such as `dukascopy/EURUSD`.

    Raises:
        BadRequestError: it is not written so.
        ConfigError: the database has no such pair.
    """
    from market_platform.domain.pairs import normalise_symbol
    from market_platform.warehouse.reference import load_pair

    exchange, slash, symbol = name.partition("/")
    if not slash or not exchange:
        raise BadRequestError(f"{name!r} is not a pair; write it as exchange/SYMBOL, like dukascopy/EURUSD")
    with warehouse.connect() as conn:
        return load_pair(conn, exchange.lower(), normalise_symbol(symbol))


def days_with_rows(conn: Connection, wanted: Collection[int], first: date, last: date) -> list[tuple[PairRow, date]]:
    """The days there are rows of, of the pairs wanted (of all without any). Rows that belong to no day are told."""
    from market_platform.warehouse.market_ticks import count_without_day, days_with_ticks, pair_ids_with_ticks
    from market_platform.warehouse.reference import load_pairs

    known = {pair.id: pair for pair in load_pairs(conn)}
    found = []
    for pair_id in pair_ids_with_ticks(conn):
        pair = known.get(pair_id)
        if pair is None:
            typer.echo(f"rows of trading_pair_id {pair_id} stay: there is no such pair", err=True)
            continue
        if wanted and pair_id not in wanted:
            continue
        found += [(pair, day) for day in days_with_ticks(conn, pair_id, first, last)]
        outside = count_without_day(conn, pair_id)
        if outside:
            typer.echo(f"{pair.name}: {outside:,} rows stay: their time is infinite or beyond any day", err=True)
    return found
