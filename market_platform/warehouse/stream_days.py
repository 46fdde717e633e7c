"""What the stream wrote of each pair, layer and day: what Dagster is told as materialisations.

Belongs here: adding to a day, reading days that were not reported yet, marking them. Does not: reporting (defs/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection


@dataclass(frozen=True, slots=True)
class StreamDayAddition:
    """What one flush adds to a day. `layer` is `trades`, `ticks`, `candles_1m`, …, `funding_rates` or `open_interest`.

    `rows` and `gaps` are added, the span grows, `lag_ms` (event to commit, of this flush) replaces the one before; None
    leaves it, as does one of over a day: then what came is a recording, and its lag says nothing.
    """

    trading_pair_id: int
    layer: str
    day: date
    rows: int
    first_time: datetime | None = None
    last_time: datetime | None = None
    lag_ms: float | None = None
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class StreamDay:
    """A day as it stands. `exchange` and `symbol` name the pair; `updated_at` is handed back to `mark_reported`."""

    trading_pair_id: int
    exchange: str
    symbol: str
    layer: str
    day: date
    rows: int
    first_time: datetime | None
    last_time: datetime | None
    lag_ms: float | None
    gaps: int
    updated_at: datetime
    reported_at: datetime | None


_ADD = """
INSERT INTO stream_days AS stored (trading_pair_id, layer, day, rows, first_time, last_time, lag_ms, gaps)
SELECT pair, layer, day, sum(rows), min(first_time), max(last_time), max(lag_ms) FILTER (WHERE lag_ms <= 86400000), sum(gaps)
FROM unnest(%s::integer[], %s::text[], %s::date[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::float8[], %s::integer[])
    AS added (pair, layer, day, rows, first_time, last_time, lag_ms, gaps)
GROUP BY pair, layer, day ORDER BY pair, layer, day
ON CONFLICT (trading_pair_id, layer, day) DO UPDATE
SET rows = stored.rows + excluded.rows, gaps = stored.gaps + excluded.gaps,
    first_time = least(stored.first_time, excluded.first_time), last_time = greatest(stored.last_time, excluded.last_time),
    lag_ms = coalesce(excluded.lag_ms, stored.lag_ms), updated_at = clock_timestamp()
"""

_UNREPORTED = """
SELECT stored.trading_pair_id, exchanges.code, symbol, layer, day, rows, first_time, last_time, lag_ms, gaps, updated_at,
    reported_at
FROM stream_days AS stored
JOIN trading_pairs ON trading_pairs.id = stored.trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id
WHERE (reported_at IS NULL OR reported_at < updated_at) AND day <= %(through)s
ORDER BY day, exchanges.code, symbol, layer LIMIT %(limit)s
"""

# As of the state that was read: what the stream adds in the meantime is reported by the next call.
_REPORTED = """
UPDATE stream_days AS stored SET reported_at = seen.updated_at
FROM unnest(%s::integer[], %s::text[], %s::date[], %s::timestamptz[]) AS seen (pair, layer, day, updated_at)
WHERE stored.trading_pair_id = seen.pair AND stored.layer = seen.layer AND stored.day = seen.day
"""

_UNCOMPACTED = """
SELECT stored.trading_pair_id, exchanges.code, symbol, layer, stored.day, stored.rows, stored.first_time, stored.last_time,
    lag_ms, gaps, updated_at, reported_at
FROM stream_days AS stored
JOIN trading_pairs ON trading_pairs.id = stored.trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id
LEFT JOIN lake_days AS made
    ON made.trading_pair_id = stored.trading_pair_id AND made.kind = stored.layer AND made.day = stored.day
WHERE layer IN ('trades', 'ticks') AND stored.day BETWEEN %(first)s AND %(last)s
    AND (made.written_at IS NULL OR made.written_at < updated_at)
ORDER BY stored.day, exchanges.code, symbol
"""


def add_stream_days(conn: Connection, additions: Sequence[StreamDayAddition]) -> None:
    """Add to the days, in the caller's transaction; several of one day are summed."""
    if not additions:
        return
    columns = [
        [getattr(each, name) for each in additions]
        for name in ("trading_pair_id", "layer", "day", "rows", "first_time", "last_time", "lag_ms", "gaps")
    ]
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_ADD, columns)


def load_unreported(conn: Connection, through: date, limit: int = 1_000) -> list[StreamDay]:
    """Days up to `through` that were written since they were last reported, oldest first."""
    with driver_connection(conn).cursor() as cursor:
        return [StreamDay(*row) for row in cursor.execute(_UNREPORTED, {"through": through, "limit": limit})]


def mark_reported(conn: Connection, days: Sequence[StreamDay]) -> None:
    """Note that the days were reported as they were read; what came since stays unreported."""
    if not days:
        return
    columns = [[getattr(each, name) for each in days] for name in ("trading_pair_id", "layer", "day", "updated_at")]
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_REPORTED, columns)


def load_uncompacted(conn: Connection, first: date, last: date) -> list[StreamDay]:
    """Days of trades or ticks from `first` to `last` whose file is older than what the stream wrote last, or not there yet.

    A day whose latest parts held nothing new is among them, too: its file did not change.
    """
    with driver_connection(conn).cursor() as cursor:
        return [StreamDay(*row) for row in cursor.execute(_UNCOMPACTED, {"first": first, "last": last})]
