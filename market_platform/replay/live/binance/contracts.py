"""Funding, mark prices and open interest of USD-M contracts, as smooth functions of time.

Belongs here: numbers and their text. Does not: messages.
"""

from __future__ import annotations

from market_platform.replay.cache import BoundedCache
from market_platform.replay.live.binance.texts import decimal
from market_platform.replay.live.noise import PricePath, key
from market_platform.replay.live.tape import Tape

FUNDING_MS = 8 * 3_600_000
_PLACES = 8


class Contract:
    """A perpetual's other numbers. Rates and open interest change once a minute, prices once a second."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        market = tape.market
        name = (market.venue, market.symbol)
        self._funding = PricePath(key(*name, "funding"), 10_000.0, 0.12)
        self._interest = PricePath(
            key(*name, "open interest"), float(market.open_interest * 10**market.lot_scale), 0.05
        )
        self._indices: BoundedCache[int, list[float]] = BoundedCache(16, lambda _: 1)
        self._rates: BoundedCache[int, str] = BoundedCache(1_024, lambda _: 1)

    def index_price(self, second: int) -> str:
        """The index price at a second (since the epoch), to eight digits."""
        return self._price(second, 1.0)

    def mark_price(self, second: int) -> str:
        """The mark price at a second, to eight digits."""
        return self._price(second, 1.00002)

    def funding_rate(self, second: int) -> str:
        """The rate expected for the next funding, to eight digits: one basis point, give or take."""
        minute = second // 60
        return self._rates.get(minute, lambda: _slow(self._funding, minute, _PLACES))

    def charged_rate(self, funding_ms: int) -> str:
        """The rate charged at a funding: what was expected in the second before."""
        return self.funding_rate(funding_ms // 1000 - 1)

    def open_interest_value(self, second: int) -> str:
        """Open contracts at the mark price, in the quote currency, to all digits."""
        units = int(self.open_interest(second).replace(".", "")) * int(self.mark_price(second).replace(".", ""))
        places = self._tape.market.lot_scale + _PLACES
        return decimal(units, places, places)

    def open_interest(self, second: int) -> str:
        """Open contracts in coins, to the size's digits."""
        return _slow(self._interest, second // 60, self._tape.market.lot_scale)

    def _price(self, second: int, factor: float) -> str:
        minute, rest = divmod(second, 60)
        levels = self._indices.get(minute, lambda: self._tape.path.at(minute * 60, 60).tolist())
        units = levels[rest] * self._tape.market.tick * 10 ** (_PLACES - self._tape.market.price_scale)
        return decimal(int(units * factor), _PLACES, _PLACES)


def next_funding_ms(second: int) -> int:
    """When funding is paid next."""
    return (second * 1000 // FUNDING_MS + 1) * FUNDING_MS


def _slow(path: PricePath, minute: int, places: int) -> str:
    return decimal(max(int(path.at(minute * 60, 1)[0]), 0), places, places)
