"""What each generated market is like. Belongs here: numbers about markets. Does not: how they are used.

Markets that are not listed by name have one of their own nature, drawn from a hash of their name: `COIN001USDT` to
`COIN100USDT` on Binance, for benches with a hundred starlistings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from market_platform.replay.live.noise import key

Venue = Literal["binance-spot", "binance-usdm", "hyperliquid"]

COINS = 100
_COIN = re.compile(r"COIN(\d{3})USDT")


@dataclass(frozen=True, slots=True)
class Market:
    """One market. `price_scale` and `lot_scale` are digits after the point; `tick` is the price step in units of that scale.

    `price` is the level in quote currency it moves around, `volatility` a usual day's move as a fraction, `rate` the
    aggregate trades a second, `lot` the usual size of one in units of `lot_scale`, `open_interest` in coins.
    `parts` are the single trades within aggregates, again and again.
    """

    venue: Venue
    symbol: str
    coin: str
    quote: str
    price: float
    price_scale: int
    tick: int
    lot_scale: int
    lot: int
    rate: float
    volatility: float = 0.025
    open_interest: int = 0
    parts: tuple[int, ...] = (1, 1, 2, 1, 1, 1, 3, 1, 1, 1, 1, 5, 1, 1, 2, 1)


_ONE = (1,)
LISTED: Mapping[tuple[Venue, str], Market] = {
    (each.venue, each.symbol): each
    for each in (
        Market("binance-spot", "BTCUSDT", "BTC", "USDT", 64_000.0, 2, 1, 5, 900, 3.0),
        Market("binance-spot", "ETHUSDT", "ETH", "USDT", 2_700.0, 2, 1, 4, 2_400, 2.0, 0.032),
        Market("binance-spot", "SOLUSDT", "SOL", "USDT", 150.0, 2, 1, 3, 6_000, 1.5, 0.04),
        Market("binance-usdm", "BTCUSDT", "BTC", "USDT", 64_030.0, 2, 10, 3, 60, 4.0, 0.025, 84_000),
        Market("binance-usdm", "ETHUSDT", "ETH", "USDT", 2_701.0, 2, 1, 3, 900, 2.5, 0.032, 1_900_000),
        Market("binance-usdm", "SOLUSDT", "SOL", "USDT", 150.1, 4, 10, 0, 14, 1.5, 0.04, 8_400_000),
        Market("hyperliquid", "BTC", "BTC", "USD", 64_020.0, 1, 10, 5, 3_000, 1.5, 0.025, 32_000, _ONE),
        Market("hyperliquid", "ETH", "ETH", "USD", 2_700.5, 2, 10, 4, 9_000, 1.0, 0.032, 560_000, _ONE),
        Market("hyperliquid", "SOL", "SOL", "USD", 150.05, 3, 10, 2, 900, 0.8, 0.04, 4_100_000, _ONE),
    )
}
"""By venue and symbol."""


def coin_market(venue: Venue, symbol: str) -> Market | None:
    """The market of one of the numbered coins; None for any other name."""
    match = _COIN.fullmatch(symbol)
    if match is None or venue == "hyperliquid" or not 1 <= int(match[1]) <= COINS:
        return None
    nature = key("coin", symbol)
    quiet = int(match[1]) % 10 == 0
    price = 0.5 * 1.1 ** (nature % 80)
    return Market(
        venue,
        symbol,
        symbol.removesuffix("USDT"),
        "USDT",
        price,
        4 if price < 100 else 2,
        1,
        1,
        1 + int(8_000 / price),
        0.012 if quiet else 0.5 + (nature >> 8) % 100 / 100,
        0.03 + (nature >> 16) % 30 / 1000,
        0 if venue == "binance-spot" else int(50_000_000 / price),
    )


def markets_of(venue: Venue) -> list[Market]:
    """All that a venue lists, the numbered coins last."""
    named = [market for market in LISTED.values() if market.venue == venue]
    coins = (coin_market(venue, f"COIN{number:03}USDT") for number in range(1, COINS + 1))
    return named + [market for market in coins if market is not None]
