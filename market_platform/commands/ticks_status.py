"""`market-platform ticks status`: where legacy ticks are, by pair and day.

Belongs here: arguments, tables, JSON. Does not: SQL (warehouse/), what a state means (pipeline/legacy_status.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from market_platform.commands.progress import progress_bar
from market_platform.commands.tables import print_rows
from market_platform.commands.ticks_table import days_with_rows, open_warehouse, pair_named
from market_platform.domain.errors import BadRequestError
from market_platform.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from market_platform.pipeline.legacy_status import DayState, DayStatus

_COLUMNS = ("pair", "day", "state", "rows in Postgres", "rows moved", "against the lake")


def status(
    pairs: Annotated[
        list[str] | None, typer.Argument(help="Pairs, as in dukascopy/EURUSD; all without any.", metavar="[PAIR]...")
    ] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")
    ] = False,
) -> None:
    """Show where the ticks of every pair and day are, and a load that is not over.

    A day is `postgres only` (nothing of it was moved), `copied` (not read back yet), `verified` (every row is in the lake),
    `dropped` (and deleted from Postgres), `differs` (the lake has other ticks and keeps them; Postgres keeps its rows) or
    `changed` (Postgres's rows or the lake's file are others than at the move; the next one looks again).

        market-platform ticks status

        market-platform ticks status dukascopy/EURUSD --from 2018-01-01 --json | jq .states
    """
    from market_platform.pipeline.bulk_load import described
    from market_platform.pipeline.legacy_status import DayState, summary
    from market_platform.warehouse.bulk_loads import load_open
    from market_platform.warehouse.market_ticks import ticks_session_holder

    start, end = first.date() if first else date.min, last.date() if last else date.max
    if start > end:
        raise BadRequestError(f"--from {start} is after --to {end}")
    with open_warehouse(get_settings()) as warehouse:
        wanted = {pair_named(warehouse, name).id for name in pairs or ()}
        with warehouse.connect() as conn:
            load, holder = load_open(conn), ticks_session_holder(conn)
            countable = load is None or not load.indexes
            days = list(_days(conn, wanted, start, end, countable=countable))
    counts = Counter(each.state for each in days)
    states: dict[DayState, int] = {state: counts[state] for state in get_args(DayState)}
    rows = sum(each.rows or 0 for each in days) if countable else None
    interrupted = described(load) if load is not None and not holder else None
    if as_json:
        document = {"days": [_record(each) for each in days], "states": states, "rows_in_postgres": rows}
        print(json.dumps({**document, "at_work": holder, "interrupted": interrupted}, indent=2))
        return
    _print_table(days)
    print(summary(states, rows))
    if not countable:
        print("only days that were moved are shown: a load has dropped the index that finds the others")
    if holder or interrupted:
        print(f"at work: {holder}" if holder else interrupted)


def _days(
    conn: Connection, wanted: Collection[int], first: date, last: date, *, countable: bool
) -> Iterator[DayStatus]:
    """Every day that has rows or was moved, sorted by pair and day; without the index only those that were moved."""
    from market_platform.pipeline.legacy_status import day_status
    from market_platform.warehouse.lake_days import load_lake_days
    from market_platform.warehouse.market_ticks import count_day
    from market_platform.warehouse.reference import load_pairs
    from market_platform.warehouse.tick_moves import load_moves

    names = {pair.id: pair.name for pair in load_pairs(conn)}
    there = {(pair.id, day) for pair, day in days_with_rows(conn, wanted, first, last)} if countable else set()
    moves = {
        (move.trading_pair_id, move.day): move
        for move in load_moves(conn, first, last)
        if not wanted or move.trading_pair_id in wanted
    }
    found = sorted(there | set(moves), key=lambda each: (names[each[0]], each[1]))
    lake = {pair_id: load_lake_days(conn, pair_id, first, last) for pair_id in {pair_id for pair_id, _ in found}}
    with progress_bar() as bar:
        for pair_id, day in bar.track(found, description="counting rows"):
            rows = count_day(conn, pair_id, day) if (pair_id, day) in there else 0 if countable else None
            yield day_status(names[pair_id], day, rows, moves.get((pair_id, day)), lake[pair_id].get(day))


def _record(each: DayStatus) -> dict[str, Any]:
    """A day for programs; rows are null where they were not counted, and what a move found where there was none."""
    move = each.move
    return {
        "pair": each.pair,
        "day": each.day.isoformat(),
        "state": each.state,
        "rows_in_postgres": each.rows,
        "rows_moved": move.rows if move else None,
        "duplicates": move.duplicates if move else None,
        "relation": move.relation if move else None,
        "object_key": move.object_key if move else None,
    }


def _print_table(days: Sequence[DayStatus]) -> None:
    """A table on a terminal; lines with tabs between the columns for a pipe."""
    if not days:
        return
    print_rows(_COLUMNS, [_cells(each) for each in days], numbers=("rows in Postgres", "rows moved"))


def _cells(each: DayStatus) -> tuple[str, ...]:
    move = each.move
    return (
        each.pair,
        str(each.day),
        each.state.replace("_", " "),
        "not counted" if each.rows is None else str(each.rows),
        str(move.rows) if move else "",
        move.relation.replace("_", " ") if move else "",
    )
