"""Our pairs among CCXT's markets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from market_platform.domain.errors import UnknownSymbolError
from market_platform.domain.history import HistoryPair

_STABLE_DOLLARS = {"hyperliquid": "USDC"}
"""Exchanges whose perpetuals against USD are settled in another dollar, and CCXT says so in the symbol."""
_NEAR = 5


def candidates(pair: HistoryPair, ccxt_id: str) -> list[str]:
    """CCXT's symbols that may be the pair, the likeliest first: `BTC/USDT:USDT`, inverse `BTC/USD:BTC`, spot `BTC/USDT`."""
    if pair.market_type != "perps":
        return [f"{pair.coin}/{pair.quote}"]
    quotes = [pair.quote]
    if pair.quote == "USD" and ccxt_id in _STABLE_DOLLARS:
        quotes.insert(0, _STABLE_DOLLARS[ccxt_id])
    return [f"{pair.coin}/{quote}:{settle}" for quote in quotes for settle in (quote, pair.coin)]


def resolve(pair: HistoryPair, ccxt_id: str, markets: Mapping[str, Mapping[str, Any]]) -> str:
    """CCXT's symbol of the pair.

    Raises:
        UnknownSymbolError: the exchange has no such market; names those that are near.
    """
    wanted = "swap" if pair.market_type == "perps" else "spot"
    tried = candidates(pair, ccxt_id)
    for symbol in tried:
        if symbol in markets and markets[symbol].get(wanted) is True:
            return symbol
    listed = sorted(symbol for symbol, market in markets.items() if market.get(wanted) is True)
    same_coin = [symbol for symbol in listed if symbol.startswith(f"{pair.coin}/")]
    near = list(dict.fromkeys(get_close_matches(tried[0], listed, _NEAR, 0.6) + same_coin))[:_NEAR]
    hint = f"it has {', '.join(near)}" if near else f"none of its {len(listed)} {pair.market_type} markets is near"
    raise UnknownSymbolError(
        f"{pair.name}: {ccxt_id} has no {pair.market_type} market {' or '.join(tried)}; {hint}. "
        "Change coin, quote or market_type in config/starlistings.yaml"
    )
