"""`lake_days`: which file of the lake holds a pair's day. The row is the commit; files without one don't count.

Belongs here: committing and reading manifests, and sums over them. Does not: the files (lake/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import date, datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from market_platform.domain.conditions import Condition
from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.instruments import instrument_from_json


@dataclass(frozen=True, slots=True)
class LakeDay:
    """One row of `lake_days`.

    `object_key` is None and `content_hash` empty on a day without rows. `raw_inputs` says, hour by hour, what the exchange
    sent (state, rows, bytes, SHA-256, where from). `written_at` is set by the database.
    """

    trading_pair_id: int
    day: date
    object_key: str | None
    content_hash: str
    rows: int
    bytes: int
    first_time: datetime | None
    last_time: datetime | None
    condition: Condition
    run_id: str
    code_version: str
    kind: str = "ticks"
    raw_inputs: list[dict[str, Any]] = field(default_factory=list)
    written_at: datetime | None = None

    @property
    def content(self) -> tuple[str | None, str, Condition]:
        """What readers of the day's ticks depend on: the file, its hash, and the condition."""
        return self.object_key, self.content_hash, self.condition


@dataclass(frozen=True, slots=True)
class LakeStatistics:
    """What the lake holds of one pair and kind; `days` are those with rows, `conditions` counts all that have a manifest.

    `gaps` counts the days between the first and the last with rows that lack data: pending, degraded or missing ones, and
    those without a manifest on which the market was open by the exchange's description (all, while there is none).
    """

    exchange: str
    symbol: str
    kind: str
    rows: int
    bytes: int
    days: int
    first_time: datetime | None
    last_time: datetime | None
    conditions: dict[str, int]
    gaps: int


_COLUMNS = (
    "trading_pair_id, day, object_key, content_hash, rows, bytes, first_time, last_time, condition, run_id, code_version, "
    "kind, raw_inputs, written_at"
)

# Who ran it is not content: an identical day keeps the run that first brought it.
_COMMIT = """
INSERT INTO lake_days AS stored (trading_pair_id, day, object_key, content_hash, rows, bytes, first_time, last_time,
    condition, run_id, code_version, kind, raw_inputs, written_at)
VALUES (%s, %s, %s, nullif(%s, ''), %s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp())
ON CONFLICT (trading_pair_id, kind, day) DO UPDATE
SET object_key = excluded.object_key, content_hash = excluded.content_hash, rows = excluded.rows, bytes = excluded.bytes,
    first_time = excluded.first_time, last_time = excluded.last_time, condition = excluded.condition,
    run_id = excluded.run_id, code_version = excluded.code_version, raw_inputs = excluded.raw_inputs, written_at = excluded.written_at
WHERE (stored.object_key, stored.content_hash, stored.rows, stored.bytes, stored.first_time, stored.last_time,
       stored.condition, stored.raw_inputs)
    IS DISTINCT FROM
      (excluded.object_key, excluded.content_hash, excluded.rows, excluded.bytes, excluded.first_time, excluded.last_time,
       excluded.condition, excluded.raw_inputs)
RETURNING true
"""

_READ = f"""
SELECT {_COLUMNS} FROM lake_days
WHERE trading_pair_id = %s AND kind = %s AND day BETWEEN %s AND %s ORDER BY day
"""

_HOLD = f"""
SELECT {_COLUMNS} FROM lake_days
WHERE trading_pair_id = %s AND kind = 'ticks' AND day = ANY(%s) ORDER BY day FOR SHARE
"""

_EPOCH = date(1970, 1, 1)

_STATISTICS = """
SELECT exchanges.code, trading_pairs.symbol, total.kind, total.rows, total.bytes, total.days, first.first_time, last.last_time,
    coalesce(conditions.counts, '{}'), coalesce(conditions.incomplete, 0), coalesce(unknown.days, '{}'),
    trading_pairs.instrument
FROM lake_totals AS total
JOIN trading_pairs ON trading_pairs.id = total.trading_pair_id
JOIN exchanges ON exchanges.id = trading_pairs.exchange_id
LEFT JOIN LATERAL (
    SELECT day, first_time FROM lake_days
    WHERE trading_pair_id = total.trading_pair_id AND kind = total.kind AND rows > 0 ORDER BY day LIMIT 1
) AS first ON true
LEFT JOIN LATERAL (
    SELECT day, last_time FROM lake_days
    WHERE trading_pair_id = total.trading_pair_id AND kind = total.kind AND rows > 0 ORDER BY day DESC LIMIT 1
) AS last ON true
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(condition, days) AS counts,
        sum(within) FILTER (WHERE condition NOT IN ('available', 'closed')) AS incomplete
    FROM (
        SELECT condition, count(*) AS days, count(*) FILTER (WHERE day BETWEEN first.day AND last.day) AS within
        FROM lake_days WHERE trading_pair_id = total.trading_pair_id AND kind = total.kind GROUP BY condition
    ) AS counted
) AS conditions ON true
LEFT JOIN LATERAL (
    SELECT array_agg(calendar.day::date ORDER BY calendar.day) AS days
    FROM generate_series(first.day, last.day, interval '1 day') AS calendar (day)
    WHERE NOT EXISTS (
        SELECT FROM lake_days
        WHERE trading_pair_id = total.trading_pair_id AND kind = total.kind AND day = calendar.day::date
    )
) AS unknown ON true
ORDER BY 1, 2, 3
"""


def commit_lake_day(conn: Connection, day: LakeDay) -> bool:
    """Switch a day to this file, in the caller's transaction; False when the row says all of it already."""
    *values, raw_inputs, _ = astuple(day)
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_COMMIT, (*values, Jsonb(raw_inputs)))
        return cursor.fetchone() is not None


def load_lake_days(
    conn: Connection, trading_pair_id: int, first: date, last: date, *, kind: str = "ticks"
) -> Mapping[date, LakeDay]:
    """The pair's manifests of a range of days, both ends included, by day; days never fetched are not in it."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_READ, (trading_pair_id, kind, first, last))
        return {row[1]: _lake_day(row) for row in cursor}


def lock_lake_day(conn: Connection, trading_pair_id: int, day: date, *, kind: str = "ticks") -> LakeDay | None:
    """The day's manifest, or None; nobody else gets it from here before the transaction ends.

    A writer that decides by what is committed (is mine better? is it still what I saw?) asks here and commits in the same
    transaction. One that locks several days locks all of them, in order, before it commits the first.
    """
    with driver_connection(conn).cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", (trading_pair_id, (day - _EPOCH).days))
        cursor.execute(_READ, (trading_pair_id, kind, day, day))
        row = cursor.fetchone()
    return _lake_day(row) if row else None


def hold_lake_days(conn: Connection, trading_pair_id: int, days: Sequence[date]) -> Mapping[date, LakeDay]:
    """The pair's manifests of those days; none of them changes before the transaction ends.

    For a writer of what is derived from the ticks. Call it before rows of `candle_days` are locked, never after.
    """
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_HOLD, (trading_pair_id, list(days)))
        return {row[1]: _lake_day(row) for row in cursor}


def lake_statistics(conn: Connection) -> list[LakeStatistics]:
    """Ticks, bytes, days, gaps and conditions of every pair that has a manifest, sorted by exchange and symbol."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_STATISTICS)
        return [_statistics(row) for row in cursor]


def _statistics(row: tuple[Any, ...]) -> LakeStatistics:
    *shown, incomplete, unknown, document = row
    instrument = instrument_from_json(document) if document else None
    unfetched = sum(1 for day in unknown if instrument is None or instrument.calendar.is_open_on(day))
    return LakeStatistics(*[*shown, int(incomplete) + unfetched])


def _lake_day(row: tuple[Any, ...]) -> LakeDay:
    values = list(row)
    values[3] = values[3] or ""
    values[8] = Condition(values[8])
    return LakeDay(*values)
