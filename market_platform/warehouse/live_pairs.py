"""The trading pairs to stream, as the database has them now.

Belongs here: reading them. Does not: how an exchange spells a pair (exchanges/; the caller brings the function), when to look
again (streamer/).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from market_platform.domain.live import LivePair
from market_platform.warehouse.driver import driver_connection

WireSymbol = Callable[[str, str, str, str], str | None]
"""Of exchange, coin, quote and market type: how the exchange spells the pair; None leaves the pair out."""

_PAIRS = """
SELECT pair.id, exchanges.code, pair.symbol, coins.code, quote_currencies.code, market_types.code, pair.candles_from, listed.ids
FROM trading_pairs AS pair
JOIN exchanges ON exchanges.id = pair.exchange_id AND exchanges.active
JOIN coins ON coins.id = pair.coin_id
JOIN quote_currencies ON quote_currencies.id = pair.quote_currency_id
JOIN market_types ON market_types.id = pair.market_type_id
JOIN LATERAL (
    SELECT json_object_agg(intervals.name, starlistings.id ORDER BY intervals.seconds) AS ids
    FROM starlistings JOIN intervals ON intervals.id = starlistings.interval_id AND intervals.active
    WHERE starlistings.trading_pair_id = pair.id AND starlistings.active
) AS listed ON listed.ids IS NOT NULL
WHERE pair.active AND exchanges.code = ANY(%(exchanges)s) AND NOT (
    SELECT coalesce(bool_and(role = 'training'), false) FROM reference_listings
    WHERE table_name = 'trading_pairs' AND key = ARRAY[exchanges.code, pair.symbol]
)
ORDER BY exchanges.code, pair.symbol
"""


_IDS = """
SELECT exchanges.code, pair.symbol, pair.id, json_object_agg(intervals.name, starlistings.id)
FROM trading_pairs AS pair
JOIN exchanges ON exchanges.id = pair.exchange_id
JOIN starlistings ON starlistings.trading_pair_id = pair.id
JOIN intervals ON intervals.id = starlistings.interval_id
GROUP BY 1, 2, 3
"""


class PairIds(NamedTuple):
    """How the database numbers a pair and, by interval, its starlistings."""

    pair_id: int
    starlistings: Mapping[str, int]


def load_pair_ids(conn: Connection) -> dict[tuple[str, str], PairIds]:
    """The numbers of every pair, inactive ones too, by exchange and symbol."""
    with driver_connection(conn).cursor() as cursor:
        return {(exchange, symbol): PairIds(*ids) for exchange, symbol, *ids in cursor.execute(_IDS)}


def load_live_pairs(conn: Connection, exchanges: Sequence[str], wire: WireSymbol) -> list[LivePair]:
    """The active pairs of those exchanges that have an active starlisting, sorted by exchange and symbol.

    Pairs that are in this database for training alone are left out.

    What `wire` raises is raised.
    """
    with driver_connection(conn).cursor() as cursor:
        rows = cursor.execute(_PAIRS, {"exchanges": list(exchanges)}).fetchall()
    pairs: list[LivePair] = []
    for pair_id, exchange, symbol, coin, quote, market_type, candles_from, starlistings in rows:
        spelling = wire(exchange, coin, quote, market_type)
        if spelling is not None:
            pairs.append(
                LivePair(pair_id, exchange, symbol, coin, quote, market_type, spelling, starlistings, candles_from)
            )
    return pairs
