"""The starlistings that clients may follow live, named as they name them.

Belongs here: that one list, async, for the WebSocket API. Does not: pairs to stream (live_pairs.py), rows (series_queries.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg import AsyncConnection


class LiveListing(NamedTuple):
    """An active starlisting of an active pair."""

    id: int
    trading_pair_id: int
    exchange: str
    symbol: str
    coin: str
    quote: str
    market_type: str
    interval: str


_LISTINGS = """
SELECT s.id, p.id, e.code, p.symbol, c.code, q.code, m.code, i.name
FROM starlistings AS s
JOIN intervals AS i ON i.id = s.interval_id
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN coins AS c ON c.id = p.coin_id
JOIN quote_currencies AS q ON q.id = p.quote_currency_id
JOIN market_types AS m ON m.id = p.market_type_id
WHERE s.active AND p.active AND e.active
ORDER BY e.code, p.symbol, i.seconds
"""


async def load_live_listings(connection: AsyncConnection[tuple[Any, ...]]) -> list[LiveListing]:
    """Every one, sorted by exchange, symbol and interval."""
    cursor = await connection.execute(_LISTINGS)
    return [LiveListing(*row) for row in await cursor.fetchall()]
