"""Funding, open interest and prices of Hyperliquid's perpetuals, as smooth functions of time.

Belongs here: numbers and their text. Does not: messages.
"""

from __future__ import annotations

import numpy as np

from market_platform.replay.cache import BoundedCache
from market_platform.replay.live.hyperliquid.texts import Texts, writer
from market_platform.replay.live.noise import Ints, PricePath, key, units, words
from market_platform.replay.live.tape import Tape

HOUR_MS = 3_600_000
_RATE = writer(10)
_NOTIONAL = writer(6)
_NULL_EVERY_S = 300


class Contexts:
    """What activeAssetCtx, fundingHistory and allMids say about one coin."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._texts = Texts(tape.market)
        coin, market = tape.market.symbol, tape.market
        self._key = key("hyperliquid", coin)
        self._funding = PricePath(key(coin, "hyperliquid funding"), 1.0, 0.6)
        interest = float(market.open_interest * 10**market.lot_scale)
        self._interest = PricePath(key(coin, "hyperliquid open interest"), interest, 0.05)
        self._volume = PricePath(key(coin, "hyperliquid volume"), interest * 0.6, 0.05)
        self._minutes: BoundedCache[int, tuple[list[float], float, int, int]] = BoundedCache(64, lambda _: 1)

    def mid(self, second: int) -> str:
        """The middle of the book: half a tick is possible."""
        return self._price(self._levels(second)[0])

    def funding(self, second: int) -> tuple[str, str]:
        """Hourly rate and premium at a second (since the epoch)."""
        premium = int(self._levels(second)[1] * 10_000_000_000)
        # the rate is an eighth of premium plus clamp(0.0001 - premium, -0.0005, 0.0005)
        rate = (premium + max(min(1_000_000 - premium, 5_000_000), -5_000_000)) // 8
        return _RATE(rate), _RATE(premium)

    def funding_paid(self, hour_ms: int) -> tuple[int, str, str]:
        """When an hour's funding was paid, which is some hundred milliseconds late, its rate and its premium."""
        late = int(units(words(self._key, _one(hour_ms)))[0] * 600)
        return (hour_ms + late, *self.funding(hour_ms // 1000))

    def context(self, second: int) -> str:
        """The body of `ctx` at a second. Now and then there is no book, and what follows from it is null."""
        level, premium, interest, volume = self._levels(second)
        rate, premium_text = self.funding(second)
        price, size = self._price, self._texts.size
        if second % _NULL_EVERY_S == 17:
            book = '"premium":null,"midPx":null,"impactPxs":null'
        else:
            book = (
                f'"premium":"{premium_text}","midPx":"{price(level)}",'
                f'"impactPxs":["{price(level * 0.9999)}","{price(level * 1.0001)}"]'
            )
        before = self._tape.path.at(second - 86_400 - second % 60, 1)[0]
        units_of_quote = 10 ** (self._tape.market.price_scale + self._tape.market.lot_scale)
        notional = int(volume * level * self._tape.market.tick * 1_000_000 / units_of_quote)
        return (
            f'{{"funding":"{rate}","openInterest":"{size(interest)}","prevDayPx":"{price(float(before))}",'
            f'"dayNtlVlm":"{_NOTIONAL(notional)}","oraclePx":"{price(level * (1 - premium))}",'
            f'"markPx":"{price(level * 0.99998)}",{book},"dayBaseVlm":"{size(volume)}"}}'
        )

    def _price(self, level: float) -> str:
        return self._texts.price(round(level) * self._tape.market.tick)

    def _levels(self, second: int) -> tuple[float, float, int, int]:
        """Price, premium as a fraction, open interest and day's volume; only the price changes within a minute."""
        minute, rest = divmod(second, 60)
        levels, premium, interest, volume = self._minutes.get(minute, lambda: self._make(minute))
        return levels[rest], premium, interest, volume

    def _make(self, minute: int) -> tuple[list[float], float, int, int]:
        second = minute * 60
        levels: list[float] = self._tape.path.at(second, 60).tolist()
        premium = (float(self._funding.at(second, 1)[0]) - 1.0) * 0.0008
        return levels, premium, int(self._interest.at(second, 1)[0]), int(self._volume.at(second, 1)[0])


def _one(number: int) -> Ints:
    return np.array([number])
