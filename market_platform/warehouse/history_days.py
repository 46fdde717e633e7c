"""`history_days`: what is stored of each pair's funding, open interest or corporate actions of a day, in which version.

Belongs here: moving and reading those rows. Does not: the rows of the series (market_context.py, corporate_actions.py), days
of candles (candle_days.py) and of the lake (lake_days.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

import psycopg
from sqlalchemy import Connection

from market_platform.domain.conditions import Condition
from market_platform.warehouse.driver import driver_connection

DaySeries = Literal["funding_rates", "open_interest", "corporate_actions"]


@dataclass(frozen=True, slots=True)
class HistoryDay:
    """One row of `history_days`; rows, span and version are of all that is stored of the day, whoever wrote it.

    `data_version` changes when, and only when, a stored value of the day does (empty: the day has no row). `moved` says of a
    record that a write returned whether the row was changed. `kept` says that the day was better than what came now.
    `first_time` and `last_time` are those of a write's record, None of one that was read.
    """

    trading_pair_id: int
    series: DaySeries
    day: date
    revision: int
    rows: int
    condition: Condition
    data_version: str
    reason: str
    run_id: str
    code_version: str
    written_at: datetime | None = None
    first_time: datetime | None = None
    last_time: datetime | None = None
    moved: bool = False
    kept: bool = False


_VALUES: dict[DaySeries, str] = {
    "funding_rates": "funding_rate, premium, mark_price, index_price, oracle_price, mid_price, next_funding_time",
    "open_interest": "open_interest, notional_value, day_base_volume, day_notional_volume",
    "corporate_actions": "kind, value",
}

_COLUMNS = (
    "trading_pair_id, series, day, revision, rows, condition, data_version, reason, run_id, code_version, written_at"
)

_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended('history_days ' || %(series)s || %(pair)s::text, 0))
"""

_READ = f"SELECT {_COLUMNS} FROM history_days WHERE trading_pair_id = %s AND series = %s AND day BETWEEN %s AND %s ORDER BY day"

_SAVE = """
INSERT INTO history_days AS stored
    (trading_pair_id, series, day, rows, condition, data_version, reason, run_id, code_version, written_at)
VALUES (%(trading_pair_id)s, %(series)s, %(day)s, %(rows)s, %(condition)s, %(data_version)s, %(reason)s, %(run_id)s,
    %(code_version)s, clock_timestamp())
ON CONFLICT (trading_pair_id, series, day) DO UPDATE
SET revision = stored.revision + 1, rows = excluded.rows, condition = excluded.condition,
    data_version = excluded.data_version, reason = excluded.reason, run_id = excluded.run_id,
    code_version = excluded.code_version, written_at = excluded.written_at
RETURNING revision, written_at
"""


def lock_history_days(conn: Connection, trading_pair_id: int, series: DaySeries) -> None:
    """Let nobody else move days of the pair's series before the transaction ends; call it before the rows are written."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_LOCK, {"series": series, "pair": trading_pair_id})


def move_history_days(
    conn: Connection,
    trading_pair_id: int,
    series: DaySeries,
    fetched: Mapping[date, tuple[Condition, str]],
    *,
    run_id: str,
    code_version: str,
) -> dict[date, HistoryDay]:
    """Bring the days to what is stored of them now and to the condition and reason as `fetched`, in the caller's transaction.

    A day with rows is never `missing` but `degraded`, and one that was complete stays so when less came than is stored.
    Only what differs is written, and then the revision is one higher.
    """
    if not fetched:
        return {}
    days = sorted(fetched)
    moved: dict[date, HistoryDay] = {}
    with driver_connection(conn).cursor() as cursor:
        before = _read(cursor, trading_pair_id, series, days[0], days[-1])
        stored = _stored(cursor, trading_pair_id, series, days[0], days[-1])
        for day in days:
            rows, version, first, last = stored.get(day, (0, "", None, None))
            condition, reason, kept = _judged(before.get(day), rows, *fetched[day])
            now = HistoryDay(
                trading_pair_id, series, day, 0, rows, condition, version, reason, run_id, code_version, kept=kept
            )
            was = before.get(day)
            if was is not None and _content(was) == _content(now):
                moved[day] = replace(was, first_time=first, last_time=last, kept=kept)
                continue
            row = cursor.execute(_SAVE, _parameters(now)).fetchone()
            assert row is not None
            moved[day] = replace(now, revision=row[0], written_at=row[1], first_time=first, last_time=last, moved=True)
    return moved


def load_history_days(
    conn: Connection, trading_pair_id: int, series: DaySeries, first: date, last: date
) -> Mapping[date, HistoryDay]:
    """The days of a range, both ends included, that have a row, by day."""
    with driver_connection(conn).cursor() as cursor:
        return _read(cursor, trading_pair_id, series, first, last)


def _read(
    cursor: psycopg.Cursor[Any], trading_pair_id: int, series: DaySeries, first: date, last: date
) -> dict[date, HistoryDay]:
    cursor.execute(_READ, (trading_pair_id, series, first, last))
    return {row[2]: replace(HistoryDay(*row), condition=Condition(row[5])) for row in cursor}


_Stored = tuple[int, str, datetime | None, datetime | None]


def _stored(
    cursor: psycopg.Cursor[Any], trading_pair_id: int, series: DaySeries, first: date, last: date
) -> dict[date, _Stored]:
    """Rows, hash and span of each day that has rows. Who wrote a row is not part of the hash."""
    cursor.execute(
        f"""
        SELECT "time", {_VALUES[series]} FROM {series}
        WHERE trading_pair_id = %s AND "time" >= %s AND "time" < %s::date + 1 ORDER BY "time", {_VALUES[series]}
        """.encode(),
        (trading_pair_id, first, last),
    )
    by_day: dict[date, list[tuple[Any, ...]]] = {}
    for row in cursor:
        by_day.setdefault(row[0].date(), []).append(row)
    return {day: (len(rows), _hash(rows), rows[0][0], rows[-1][0]) for day, rows in by_day.items()}


def _hash(rows: Iterable[tuple[Any, ...]]) -> str:
    """SHA-256 of the rows as text: Postgres's own spelling of a NUMERIC column is one for one value."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update("|".join("" if value is None else str(value) for value in row).encode() + b"\n")
    return digest.hexdigest()[:32]


def _judged(before: HistoryDay | None, rows: int, condition: Condition, reason: str) -> tuple[Condition, str, bool]:
    """Condition and reason of a day with so many stored rows; and whether the day was better than what came."""
    if before is not None and before.condition is Condition.AVAILABLE and not condition.is_final and rows:
        return before.condition, before.reason, True
    if condition is Condition.MISSING and rows:
        return Condition.DEGRADED, reason, True
    return condition, reason, False


def _content(day: HistoryDay) -> tuple[object, ...]:
    return day.rows, day.condition, day.data_version, day.reason


def _parameters(day: HistoryDay) -> dict[str, Any]:
    return {
        "trading_pair_id": day.trading_pair_id,
        "series": day.series,
        "day": day.day,
        "rows": day.rows,
        "condition": day.condition.value,
        "data_version": day.data_version,
        "reason": day.reason,
        "run_id": day.run_id,
        "code_version": day.code_version,
    }
