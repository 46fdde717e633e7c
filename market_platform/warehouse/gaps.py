"""The gap ledger: what a stream may have missed, from its detection to its repair.

Belongs here: what a gap is, recording gaps, listing and counting them. Does not: which are due and how they ended
(gap_repairs.py), when a stream has a gap (streamer/), how it is repaired (pipeline/gap_repair.py).

A gap is the same gap when pair, kind, interval, start, reason and first id are the same: recording it again merges, so that a
streamer may write what it knows as often as it likes. A row that was repaired or given up is never opened again by that; one
that says that the stream was away for longer than the repaired row is another gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy import Connection

from market_platform.domain.gaps import GapKind, GapReason, GapState
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.engine import Warehouse


@dataclass(frozen=True, slots=True)
class GapRecord:
    """What a streamer knows of a gap. `interval` None means every interval of the pair; ids are those of missed trades.

    `end` is exclusive, None while the stream is still away. `missed` is False once it is certain that nothing was: the next
    trade had the next id. Such a gap is closed at once.
    """

    trading_pair_id: int
    kind: GapKind
    start: datetime
    reason: GapReason
    interval: str | None = None
    end: datetime | None = None
    first_id: int | None = None
    last_id: int | None = None
    detail: str = ""
    missed: bool = True


@dataclass(frozen=True, slots=True)
class Gap:
    """A row of the ledger; see the comments of the table. `exchange` and `symbol` name the pair."""

    id: int
    trading_pair_id: int
    exchange: str
    symbol: str
    kind: GapKind
    interval: str | None
    start: datetime
    end: datetime | None
    first_id: int | None
    last_id: int | None
    reason: GapReason
    detail: str
    detected_at: datetime
    attempts: int
    last_attempt_at: datetime | None
    last_error: str | None
    repaired_at: datetime | None
    repaired_rows: int | None
    unrepairable: str | None
    run_id: str | None

    @property
    def pair(self) -> str:
        """How commands and messages name the pair: `binance/BTCUSDT`."""
        return f"{self.exchange}/{self.symbol}"

    @property
    def state(self) -> GapState:
        """Whether it is open, repaired or given up."""
        if self.repaired_at is not None:
            return "repaired"
        return "open" if self.unrepairable is None else "unrepairable"


@dataclass(frozen=True, slots=True)
class GapFilter:
    """Which gaps to list; None and empty mean all. `since` is by detection."""

    ids: Sequence[int] = ()
    exchange: str | None = None
    symbol: str | None = None
    state: GapState | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class GapCount:
    """Open gaps of a pair; `oldest` is when the oldest of them was found."""

    exchange: str
    symbol: str
    open: int
    oldest: datetime


OPEN = "gaps.repaired_at IS NULL AND gaps.unrepairable IS NULL"
COLUMNS = """
gaps.id, trading_pair_id, exchanges.code, symbol, kind, "interval", gap_start, gap_end, first_id, last_id, reason, detail,
detected_at, attempts, last_attempt_at, last_error, repaired_at, repaired_rows, unrepairable, run_id
"""
FROM = """
FROM gaps JOIN trading_pairs ON trading_pairs.id = trading_pair_id JOIN exchanges ON exchanges.id = exchange_id
"""

_LOCK = 0x67617073  # "gaps"
_SAME = """
trading_pair_id = %(pair)s AND kind = %(kind)s AND "interval" IS NOT DISTINCT FROM %(interval)s AND gap_start = %(start)s
AND reason = %(reason)s AND first_id IS NOT DISTINCT FROM %(first_id)s
"""
_MERGE = f"""
WITH same AS (
    SELECT id FROM gaps WHERE {_SAME} AND ({OPEN} OR gap_end >= %(end)s::timestamptz)
), merged AS (
    UPDATE gaps SET gap_end = greatest(gap_end, gap_start, %(end)s::timestamptz),
        last_id = greatest(last_id, %(last_id)s::bigint),
        detail = CASE WHEN %(detail)s = '' THEN detail ELSE %(detail)s END
    WHERE id IN (SELECT id FROM same) AND {OPEN} AND %(end)s::timestamptz IS NOT NULL
)
INSERT INTO gaps (trading_pair_id, kind, "interval", gap_start, gap_end, first_id, last_id, reason, detail)
SELECT %(pair)s, %(kind)s, %(interval)s, %(start)s::timestamptz,
    CASE WHEN %(end)s::timestamptz IS NOT NULL THEN greatest(%(start)s::timestamptz, %(end)s::timestamptz) END,
    %(first_id)s::bigint, %(last_id)s::bigint, %(reason)s, %(detail)s
WHERE NOT EXISTS (SELECT FROM same) AND EXISTS (SELECT FROM trading_pairs WHERE id = %(pair)s)
"""
_NOTHING_MISSED = f"""
UPDATE gaps SET repaired_at = clock_timestamp(), repaired_rows = 0,
    detail = concat_ws('; ', nullif(detail, ''), 'nothing was missed')
WHERE {_SAME} AND {OPEN}
"""
_UNENDED = f"""
SELECT {COLUMNS} {FROM} WHERE {OPEN} AND gap_end IS NULL AND exchanges.code = ANY(%s) ORDER BY gaps.id
"""
_LIST = f"""
SELECT {COLUMNS} {FROM}
WHERE (%(ids)s::bigint[] = '{{}}' OR gaps.id = ANY(%(ids)s))
    AND (%(exchange)s::text IS NULL OR exchanges.code = %(exchange)s)
    AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
    AND (%(since)s::timestamptz IS NULL OR detected_at >= %(since)s)
    AND (%(state)s::text IS NULL OR %(state)s = CASE WHEN repaired_at IS NOT NULL THEN 'repaired'
        WHEN unrepairable IS NOT NULL THEN 'unrepairable' ELSE 'open' END)
ORDER BY detected_at DESC, gaps.id DESC LIMIT %(limit)s
"""
_COUNTS = f"""
SELECT exchanges.code, symbol, count(*), min(detected_at) {FROM}
WHERE {OPEN} AND (%(exchange)s::text IS NULL OR exchanges.code = %(exchange)s) GROUP BY 1, 2 ORDER BY 1, 2
"""
_UNREPAIRED = """
SELECT trading_pair_id, kind, gap_start, coalesce(gap_end, gap_start) FROM gaps
WHERE repaired_at IS NULL AND gap_start < %(until)s AND coalesce(gap_end, gap_start) >= %(since)s
"""
_PRUNE = "DELETE FROM gaps WHERE repaired_at < clock_timestamp() - %s"
_LAST_CANDLES = """
SELECT listed.id, newest."time", (
    SELECT min(recent."time")
    FROM (SELECT "time", source FROM candles WHERE starlisting_id = listed.id ORDER BY "time" DESC LIMIT 1000) AS recent
    WHERE recent.source <= %(streamed)s
)
FROM unnest(%(ids)s::integer[]) AS listed (id)
JOIN LATERAL (
    SELECT "time" FROM candles WHERE starlisting_id = listed.id ORDER BY "time" DESC LIMIT 1
) AS newest ON true
"""


def record_gaps(conn: Connection, gaps: Sequence[GapRecord]) -> None:
    """Write what is known of those gaps, in the caller's transaction: new ones are opened, known ones get their end.

    An end only moves later; gaps that were repaired or given up stay so. Gaps of pairs that do not exist are passed over.
    """
    with driver_connection(conn).cursor() as cursor:
        for pair in sorted({gap.trading_pair_id for gap in gaps}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_LOCK, pair))
        for gap in gaps:
            parameters = {
                "pair": gap.trading_pair_id,
                "kind": gap.kind,
                "interval": gap.interval,
                "start": gap.start,
                "end": gap.end,
                "reason": gap.reason,
                "first_id": gap.first_id,
                "last_id": gap.last_id,
                "detail": gap.detail,
            }
            cursor.execute(_MERGE, parameters)
            if not gap.missed:
                cursor.execute(_NOTHING_MISSED, parameters)


def load_unended_gaps(conn: Connection, exchanges: Sequence[str]) -> list[Gap]:
    """Open gaps of those exchanges without an end: left by a streamer that died, when none runs."""
    with driver_connection(conn).cursor() as cursor:
        return [Gap(*row) for row in cursor.execute(_UNENDED, (list(exchanges),))]


def list_gaps(conn: Connection, wanted: GapFilter, limit: int = 1_000) -> list[Gap]:
    """Gaps that the filter names, the last found first."""
    parameters = {
        "ids": list(wanted.ids),
        "exchange": wanted.exchange,
        "symbol": wanted.symbol,
        "since": wanted.since,
        "state": wanted.state,
        "limit": limit,
    }
    with driver_connection(conn).cursor() as cursor:
        return [Gap(*row) for row in cursor.execute(_LIST, parameters)]


def count_gaps_of_days(conn: Connection, first: date, last: date) -> Mapping[tuple[int, GapKind, date], int]:
    """Gaps that are open or given up, by pair, kind and each UTC day they touch, from `first` to `last`."""
    since, until = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
    counts: Counter[tuple[int, GapKind, date]] = Counter()
    with driver_connection(conn).cursor() as cursor:
        for pair, kind, start, end in cursor.execute(_UNREPAIRED, {"since": since, "until": until}):
            day = max(first, start.date())
            while day <= min(last, max(start, end - timedelta(microseconds=1)).date()):
                counts[pair, kind, day] += 1
                day += timedelta(days=1)
    return counts


@dataclass(frozen=True, slots=True)
class LastCandle:
    """Open times of a starlisting's newest candle, and of the first of the newest 1,000 that only a stream has told."""

    time: datetime
    unconfirmed: datetime | None


def load_last_candles(conn: Connection, starlisting_ids: Sequence[int]) -> Mapping[int, LastCandle]:
    """How far each starlisting's candles go; those without any are left out."""
    parameters = {"ids": list(starlisting_ids), "streamed": int(CandleRank.LIVE_STREAM)}
    with driver_connection(conn).cursor() as cursor:
        return {row[0]: LastCandle(*row[1:]) for row in cursor.execute(_LAST_CANDLES, parameters)}


def read_last_candles(warehouse: Warehouse, starlisting_ids: Sequence[int]) -> Mapping[int, LastCandle]:
    """The same in a transaction of its own.

    Raises:
        WarehouseUnavailableError: Postgres does not answer.
    """
    with warehouse.connect() as conn:
        return load_last_candles(conn, starlisting_ids)


def prune_gaps(conn: Connection, repaired_before: timedelta) -> int:
    """Delete gaps that were repaired longer ago; returns how many. What is open or lost stays for ever."""
    with driver_connection(conn).cursor() as cursor:
        return cursor.execute(_PRUNE, (repaired_before,)).rowcount


async def load_open_gap_counts(
    connection: AsyncConnection[tuple[Any, ...]], exchange: str | None = None
) -> list[GapCount]:
    """How many gaps of each pair (of an exchange) are open; pairs without one are left out."""
    cursor = await connection.execute(_COUNTS, {"exchange": exchange}, prepare=True)
    return [GapCount(*row) for row in await cursor.fetchall()]


def read_open_gap_counts(conn: Connection, exchange: str | None = None) -> list[GapCount]:
    """The same for commands and sensors."""
    with driver_connection(conn).cursor() as cursor:
        return [GapCount(*row) for row in cursor.execute(_COUNTS, {"exchange": exchange})]
