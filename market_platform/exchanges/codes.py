"""Which exchanges can do what, by code. Belongs here: names alone, free of every client, so that asking costs no import."""

from __future__ import annotations

from market_platform.domain.history import SeriesKind
from market_platform.domain.pairs import TradingPair

TICK_EXCHANGES = ("dukascopy",)
"""Exchanges whose tick history can be fetched."""
QUOTE_STREAMS = ("oanda",)
"""Exchanges whose live ticks are quotes; those of all others are trades."""
NUMBERED_TRADES = ("binance",)
"""Exchanges that number a market's trades up by one, in the order they were made."""
LIVE_EXCHANGES = ("binance", "hyperliquid", "oanda")
"""Exchanges that can be streamed."""

CCXT = "ccxt"
"""Value of `history` of an exchange whose past is fetched through CCXT."""

_KINDS: dict[tuple[str, str], tuple[SeriesKind, ...]] = {
    ("binance", "spot"): (SeriesKind.CANDLES, SeriesKind.TRADES),
    ("binance", "perps"): (SeriesKind.CANDLES, SeriesKind.FUNDING, SeriesKind.OPEN_INTEREST, SeriesKind.TRADES),
    ("hyperliquid", "perps"): (SeriesKind.CANDLES, SeriesKind.FUNDING),
    ("oanda", "spot"): (SeriesKind.CANDLES,),
    ("yahoo", "stock"): (SeriesKind.CANDLES, SeriesKind.ACTIONS),
}


def history_kinds(pair: TradingPair) -> tuple[SeriesKind, ...]:
    """What can be fetched of the pair's past besides ticks; nothing for an exchange that has none."""
    if pair.history == CCXT:
        context = (SeriesKind.FUNDING, SeriesKind.OPEN_INTEREST) if pair.market_type == "perps" else ()
        return (SeriesKind.CANDLES, *context)
    return _KINDS.get((pair.exchange, pair.market_type), ())


def is_polled(pair: TradingPair) -> bool:
    """Whether the exchange has no stream and the day in progress is asked for while it is in session."""
    return pair.exchange == "yahoo"


def has_archive(pair: TradingPair) -> bool:
    """Whether the exchange publishes files of the pair's past, which it may publish again."""
    return pair.exchange == "binance" and pair.history != CCXT
