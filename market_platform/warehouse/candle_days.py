"""`candle_days`: what is stored of each starlisting and day, in which condition and version, and by whom.

Belongs here: locking, saving and reading those rows. Does not: candles themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from sqlalchemy import Connection

from market_platform.domain.conditions import Condition
from market_platform.warehouse.driver import driver_connection

DayKey = tuple[int, date]
"""Starlisting id and day; for 1w and 1M the first day of the period."""


@dataclass(frozen=True, slots=True)
class CandleDay:
    """One row of `candle_days`.

    `revision` counts changes of the day; `data_version` changes when, and only when, a candle of the day does (empty: the
    day never had one). `input_version` is of what its candles were last built from: the hash of the ticks, for 1w and 1M
    that of the days (empty: unknown, or no ticks); it can move alone. `changed_rows` is of the write that returned this
    record, 0 when it was read.
    """

    starlisting_id: int
    day: date
    revision: int
    rows: int
    first_time: datetime | None
    last_time: datetime | None
    condition: Condition
    data_version: str
    run_id: str
    code_version: str
    written_at: datetime
    input_version: str = ""
    changed_rows: int = 0


_COLUMNS = (
    "starlisting_id, day, revision, rows, first_time, last_time, condition, data_version, run_id, code_version, written_at, "
    "input_version"
)

_ADD_MISSING = """
INSERT INTO candle_days (starlisting_id, day, revision, rows, condition, data_version, run_id, code_version)
SELECT wanted.starlisting_id, wanted.day, 0, 0, 'pending', '', %(run_id)s, %(code_version)s
FROM unnest(%(ids)s::integer[], %(days)s::date[]) AS wanted (starlisting_id, day)
ORDER BY wanted.starlisting_id, wanted.day
ON CONFLICT DO NOTHING
"""

_LOCK = f"""
SELECT {_COLUMNS}
FROM candle_days JOIN unnest(%(ids)s::integer[], %(days)s::date[]) AS wanted (starlisting_id, day)
    USING (starlisting_id, day)
ORDER BY starlisting_id, day
FOR UPDATE OF candle_days
"""

# written_at is the time of writing, not that of the transaction's start: rows are locked until the commit, so of two
# transactions that depend on each other's rows the later one is dated later.
_SAVE = """
UPDATE candle_days AS stored
SET revision = stored.revision + 1, rows = new.rows, first_time = new.first_time, last_time = new.last_time,
    condition = new.condition, data_version = new.data_version, input_version = new.input_version, run_id = %(run_id)s,
    code_version = %(code_version)s, written_at = clock_timestamp()
FROM unnest(
    %(ids)s::integer[], %(days)s::date[], %(rows)s::integer[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[],
    %(conditions)s::text[], %(versions)s::text[], %(inputs)s::text[]
) AS new (starlisting_id, day, rows, first_time, last_time, condition, data_version, input_version)
WHERE stored.starlisting_id = new.starlisting_id AND stored.day = new.day
RETURNING stored.starlisting_id, stored.day, stored.revision, stored.written_at
"""

_SAVE_INPUTS = """
UPDATE candle_days AS stored SET input_version = new.input_version
FROM unnest(%(ids)s::integer[], %(days)s::date[], %(inputs)s::text[]) AS new (starlisting_id, day, input_version)
WHERE stored.starlisting_id = new.starlisting_id AND stored.day = new.day
"""

_READ = f"SELECT {_COLUMNS} FROM candle_days WHERE starlisting_id = %s AND day BETWEEN %s AND %s ORDER BY day"


def lock_days(
    cursor: psycopg.Cursor[Any], keys: Sequence[DayKey], run_id: str, code_version: str
) -> dict[DayKey, CandleDay]:
    """Make the rows that are missing (revision 0) and lock all of them until the end of the transaction.

    `keys` must be sorted: rows are made and locked in that order, so that two writers never wait for each other in a circle.
    """
    parameters = {
        "ids": [starlisting_id for starlisting_id, _ in keys],
        "days": [day for _, day in keys],
        "run_id": run_id,
        "code_version": code_version,
    }
    cursor.execute(_ADD_MISSING, parameters)
    cursor.execute(_LOCK, parameters)
    return {(row[0], row[1]): _candle_day(row) for row in cursor}


def save_days(
    cursor: psycopg.Cursor[Any], days: Sequence[CandleDay], run_id: str, code_version: str
) -> dict[DayKey, tuple[int, datetime]]:
    """Store rows, span, condition and versions of days locked before; returns each one's new revision and time of writing."""
    cursor.execute(
        _SAVE,
        {
            "ids": [each.starlisting_id for each in days],
            "days": [each.day for each in days],
            "rows": [each.rows for each in days],
            "firsts": [each.first_time for each in days],
            "lasts": [each.last_time for each in days],
            "conditions": [each.condition.value for each in days],
            "versions": [each.data_version for each in days],
            "inputs": [each.input_version for each in days],
            "run_id": run_id,
            "code_version": code_version,
        },
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in cursor}


def save_inputs(cursor: psycopg.Cursor[Any], days: Sequence[CandleDay]) -> None:
    """Store what days locked before were built from, and nothing else: their candles and condition are as they were."""
    cursor.execute(
        _SAVE_INPUTS,
        {
            "ids": [each.starlisting_id for each in days],
            "days": [each.day for each in days],
            "inputs": [each.input_version for each in days],
        },
    )


def load_candle_days(conn: Connection, starlisting_id: int, first: date, last: date) -> Mapping[date, CandleDay]:
    """The days of a range, both ends included, that have a row, by day."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_READ, (starlisting_id, first, last))
        return {row[1]: _candle_day(row) for row in cursor}


def hold_candle_days(conn: Connection, starlisting_id: int, first: date, last: date) -> Mapping[date, CandleDay]:
    """As `load_candle_days`; neither these rows nor their days' candles change before the transaction ends."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(f"{_READ} FOR SHARE", (starlisting_id, first, last))
        return {row[1]: _candle_day(row) for row in cursor}


def _candle_day(row: tuple[Any, ...]) -> CandleDay:
    values = list(row)
    values[6] = Condition(values[6])
    return CandleDay(*values)
