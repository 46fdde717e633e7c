"""What the API reads of pairs: which are listed, what data they have, when their markets are open. Async.

Belongs here: that SQL and the rows it comes back as. Does not: candles (chart_queries.py), starlistings as
`/api/starlistings` lists them (starlisting_queries.py), pools and time limits (api_service.database).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple

from pydantic import TypeAdapter

from market_platform.domain.market_hours import usual_hours
from market_platform.domain.sessions import ALWAYS_OPEN, SessionCalendar
from market_platform.warehouse.chart_queries import Connection

REFERENCE_CHANNEL = "reference"
"""Postgres notifies it in the commit that changes exchanges, trading pairs or starlistings."""


Held = Literal[0, 1, 2]
"""What is held of a pair: candles in Postgres (2), only ticks or trades in the lake (1), or nothing (0)."""
HAS_CANDLES: Held = 2


class ListedStarlisting(NamedTuple):
    """One interval of a pair: its starlisting's id, and whether it is active."""

    id: int
    active: bool


@dataclass(frozen=True, slots=True)
class ListedPair:
    """A trading pair with its starlistings by interval name; where one interval has several, the active one.

    `licence` is its exchange's: `public`, or `private` for data that may not be passed on.
    """

    id: int
    exchange: str
    symbol: str
    market_type: str
    active: bool
    first_day: date | None
    starlistings: Mapping[str, ListedStarlisting]
    held: Held = 0
    licence: str = "private"


class SymbolSummary(NamedTuple):
    """A pair that has data: first and last moment of it in Unix seconds (rounded down), its ticks in the lake, what is held."""

    exchange: str
    symbol: str
    market_type: str
    earliest: int
    latest: int
    tick_count: int
    intervals: Sequence[str]
    held: Held


class PairCalendar(NamedTuple):
    """When a pair's market is open, and when its history begins (ms) by the exchange's own description, None before it is known."""

    calendar: SessionCalendar
    first_tick_ms: int | None


_READY = "SELECT EXISTS (SELECT FROM trading_pairs), EXISTS (SELECT FROM candle_days), EXISTS (SELECT FROM candles)"

# Each step goes down an index and stops at the first row, however much history there is.
_HELD = """
coalesce(
    (SELECT 2 FROM starlistings AS own CROSS JOIN LATERAL
        (SELECT FROM candle_days AS d WHERE d.starlisting_id = own.id AND d.rows > 0 ORDER BY d.day LIMIT 1) AS filled
     WHERE own.trading_pair_id = p.id AND own.active LIMIT 1),
    (SELECT 1 FROM lake_totals AS t
     WHERE t.trading_pair_id = p.id AND t.kind IN ('ticks', 'trades') AND t.rows > 0 LIMIT 1),
    0
)
"""

_PAIRS = f"""
SELECT p.id, e.code, p.symbol, m.code, p.active AND e.active, p.first_day, p.held, e.licence, i.name, s.id, s.active
FROM (SELECT p.*, {_HELD} AS held FROM trading_pairs AS p OFFSET 0) AS p
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
LEFT JOIN starlistings AS s ON s.trading_pair_id = p.id
LEFT JOIN intervals AS i ON i.id = s.interval_id
ORDER BY p.symbol, e.id, i.seconds, s.active, s.id
"""

_CALENDAR = """
SELECT p.instrument -> 'calendar', (p.instrument ->> 'first_tick_ms')::bigint, e.code, m.code, p.symbol, c.code, q.code
FROM trading_pairs AS p
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
JOIN coins AS c ON c.id = p.coin_id
JOIN quote_currencies AS q ON q.id = p.quote_currency_id
WHERE p.id = %(pair)s
"""

# Ticks (or trades) say how far a pair's data goes; where there are none (an exchange that gives candles only), its candles do,
# and candles of a stream are newer than the last whole day of its ticks. Each look-up is one step down an index, so none of it
# grows with history.
_SUMMARIES = f"""
SELECT e.code, p.symbol, m.code,
    floor(extract(epoch FROM coalesce(ticks.first_time, candle.first_time)))::bigint,
    floor(extract(epoch FROM greatest(ticks.last_time, candle.last_time, streamed.last_time)))::bigint,
    coalesce(ticks.rows, 0)::bigint,
    ARRAY(SELECT i.name FROM starlistings AS s JOIN intervals AS i ON i.id = s.interval_id
          WHERE s.trading_pair_id = p.id AND s.active ORDER BY i.seconds),
    {_HELD}
FROM trading_pairs AS p
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN market_types AS m ON m.id = p.market_type_id
LEFT JOIN LATERAL (
    SELECT t.rows,
        (SELECT d.first_time FROM lake_days AS d
         WHERE d.trading_pair_id = p.id AND d.kind = t.kind AND d.rows > 0 ORDER BY d.day LIMIT 1) AS first_time,
        (SELECT d.last_time FROM lake_days AS d
         WHERE d.trading_pair_id = p.id AND d.kind = t.kind AND d.rows > 0 ORDER BY d.day DESC LIMIT 1) AS last_time
    FROM lake_totals AS t
    WHERE t.trading_pair_id = p.id AND t.kind IN ('ticks', 'trades') AND t.rows > 0
    ORDER BY t.kind LIMIT 1
) AS ticks ON true
LEFT JOIN LATERAL (
    SELECT min(edge.first_time) AS first_time, max(edge.last_time) AS last_time
    FROM starlistings AS s
    CROSS JOIN LATERAL (
        SELECT (SELECT d.first_time FROM candle_days AS d
                WHERE d.starlisting_id = s.id AND d.rows > 0 ORDER BY d.day LIMIT 1) AS first_time,
               (SELECT d.last_time FROM candle_days AS d
                WHERE d.starlisting_id = s.id AND d.rows > 0 ORDER BY d.day DESC LIMIT 1) AS last_time
    ) AS edge
    WHERE s.trading_pair_id = p.id AND s.active
) AS candle ON ticks.rows IS NULL
LEFT JOIN LATERAL (
    SELECT (SELECT d.last_time FROM candle_days AS d
            WHERE d.starlisting_id = s.id AND d.rows > 0 ORDER BY d.day DESC LIMIT 1) AS last_time
    FROM starlistings AS s JOIN intervals AS i ON i.id = s.interval_id
    WHERE s.trading_pair_id = p.id AND s.active
    ORDER BY i.seconds LIMIT 1
) AS streamed ON true
WHERE p.active AND e.active AND coalesce(ticks.first_time, candle.first_time) IS NOT NULL
    AND (%(symbol)s::text IS NULL OR p.symbol = %(symbol)s)
ORDER BY p.symbol, e.id
"""


async def check_ready(connection: Connection) -> None:
    """Read nothing from the tables the API needs; fails as any query would."""
    await (await connection.execute(_READY, prepare=True)).fetchone()


async def load_listed_pairs(connection: Connection) -> list[ListedPair]:
    """Every trading pair, inactive ones too, sorted by symbol; of a symbol, the exchange that was configured first comes first."""
    cursor = await connection.execute(_PAIRS)
    found: dict[int, ListedPair] = {}
    starlistings: dict[int, dict[str, ListedStarlisting]] = {}
    async for pair_id, *pair, interval, starlisting_id, listed in cursor:
        intervals = starlistings.setdefault(pair_id, {})
        if interval is not None:
            intervals[interval] = ListedStarlisting(starlisting_id, listed)
        if pair_id not in found:
            exchange, symbol, market_type, active, first_day, held, licence = pair
            found[pair_id] = ListedPair(
                pair_id, exchange, symbol, market_type, active, first_day, intervals, held, licence
            )
    return list(found.values())


async def load_summaries(connection: Connection, symbol: str | None = None) -> list[SymbolSummary]:
    """Every active pair that has data (of that symbol), in the order of `load_listed_pairs`."""
    cursor = await connection.execute(_SUMMARIES, {"symbol": symbol}, prepare=True)
    return [SymbolSummary(*row) for row in await cursor.fetchall()]


async def load_calendar(connection: Connection, pair_id: int) -> PairCalendar:
    """When the pair's market is open: by the exchange's own description of it, else as is usual for such a market."""
    cursor = await connection.execute(_CALENDAR, {"pair": pair_id}, prepare=True)
    row = await cursor.fetchone()
    if row is None:
        return PairCalendar(ALWAYS_OPEN, None)
    document, first_tick_ms, *market = row
    return PairCalendar(_calendars().validate_python(document) if document else usual_hours(*market), first_tick_ms)


@lru_cache(maxsize=1)
def _calendars() -> TypeAdapter[SessionCalendar]:
    return TypeAdapter(SessionCalendar)
