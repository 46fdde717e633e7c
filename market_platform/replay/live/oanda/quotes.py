"""Quotes of OANDA's instruments and candles of them.

Belongs here: ticks of spans, and their candles. Does not: wire formats. The market is the one that Dukascopy's side has,
so days without trading are its days too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from market_platform.domain.clock import from_ms
from market_platform.domain.ticks import Ticks
from market_platform.replay.addresses import DAY_MS, HOUR_MS
from market_platform.replay.cache import BoundedCache
from market_platform.replay.generator.market import Market
from market_platform.replay.generator.profiles import PROFILES, Profile
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.noise import Ints

MINUTE_MS = 60_000
PriceOf = Literal["M", "B", "A"]

INSTRUMENTS: Mapping[str, Profile] = {
    f"{symbol[:3]}_{symbol[3:]}": profile for symbol, profile in PROFILES.items() if symbol != "BTCUSD"
}
"""By OANDA's names."""


@dataclass(slots=True)
class QuoteBar:
    """A candle of quotes: prices in units of the instrument's scale, `volume` the number of quotes."""

    open: int
    high: int
    low: int
    close: int
    volume: int

    def extend(self, later: QuoteBar) -> None:
        """The quotes of the bar that follows."""
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume


class Quotes:
    """All instruments. May be used by several threads."""

    def __init__(self, seed: int, clock: ExchangeClock) -> None:
        self.clock = clock
        # the generator publishes whole days, up to yesterday; here the present day is wanted too
        self._market = Market(seed, lambda: from_ms(clock.now_ms() + 2 * DAY_MS))
        self._minutes: BoundedCache[tuple[str, int, PriceOf], dict[int, QuoteBar]] = BoundedCache(512, lambda _: 1)
        self._sums: BoundedCache[tuple[str, int, PriceOf], QuoteBar | None] = BoundedCache(16_384, lambda _: 1)

    def ticks(self, profile: Profile, hour_ms: int) -> Ticks:
        """An hour's quotes, sorted; those of the present hour that are still to come included."""
        return self._market.ticks(profile, hour_ms)

    def last(self, profile: Profile, before_ms: int) -> tuple[Ticks, int] | None:
        """The last quote before a moment, as the ticks of its hour and the place in them; None when there is none."""
        hour_ms = before_ms - before_ms % HOUR_MS
        for _ in range(24 * 5):
            ticks = self.ticks(profile, hour_ms)
            at = int(np.searchsorted(ticks.time, before_ms, "left")) - 1
            if at >= 0:
                return ticks, at
            hour_ms -= HOUR_MS
        return None

    def candle(self, profile: Profile, price: PriceOf, start_ms: int, end_ms: int) -> QuoteBar | None:
        """The candle of [start, end), whole minutes; None when there was no quote."""
        total: QuoteBar | None = None
        at = start_ms
        while at < end_ms:
            whole = at % HOUR_MS == 0 and at + HOUR_MS <= end_ms
            hour_ms = at - at % HOUR_MS
            part = self._sum(profile, price, at) if whole else self._hour(profile, price, hour_ms).get(at)
            at += HOUR_MS if whole else MINUTE_MS
            if part is not None:
                if total is None:
                    total = QuoteBar(part.open, part.high, part.low, part.close, part.volume)
                else:
                    total.extend(part)
        return total

    def forming(self, profile: Profile, price: PriceOf, start_ms: int, until_ms: int) -> QuoteBar | None:
        """The candle with the quotes of [start, until)."""
        minute_ms = until_ms - until_ms % MINUTE_MS
        total = self.candle(profile, price, start_ms, minute_ms)
        ticks = self.ticks(profile, minute_ms - minute_ms % HOUR_MS)
        low, high = (int(np.searchsorted(ticks.time, edge, "left")) for edge in (minute_ms, until_ms))
        if low < high:
            units = _units(ticks, price)[low:high]
            last = QuoteBar(int(units[0]), int(units.max()), int(units.min()), int(units[-1]), high - low)
            if total is None:
                return last
            total.extend(last)
        return total

    def _sum(self, profile: Profile, price: PriceOf, hour_ms: int) -> QuoteBar | None:
        def make() -> QuoteBar | None:
            total: QuoteBar | None = None
            for bar in self._make_hour(profile, price, hour_ms).values():
                if total is None:
                    total = QuoteBar(bar.open, bar.high, bar.low, bar.close, bar.volume)
                else:
                    total.extend(bar)
            return total

        return self._sums.get((profile.symbol, hour_ms, price), make)

    def _hour(self, profile: Profile, price: PriceOf, hour_ms: int) -> dict[int, QuoteBar]:
        return self._minutes.get((profile.symbol, hour_ms, price), lambda: self._make_hour(profile, price, hour_ms))

    def _make_hour(self, profile: Profile, price: PriceOf, hour_ms: int) -> dict[int, QuoteBar]:
        """The hour's minutes that had quotes, by their opening."""
        ticks = self.ticks(profile, hour_ms)
        if not len(ticks):
            return {}
        units = _units(ticks, price)
        minutes = ticks.time - ticks.time % MINUTE_MS
        first = np.concatenate(([0], np.flatnonzero(np.diff(minutes)) + 1))
        last = np.concatenate((first[1:], [len(minutes)])) - 1
        columns = (
            minutes[first],
            units[first],
            np.maximum.reduceat(units, first),
            np.minimum.reduceat(units, first),
            units[last],
            last - first + 1,
        )
        return {opens: QuoteBar(*rest) for opens, *rest in zip(*(column.tolist() for column in columns), strict=True)}


def _units(ticks: Ticks, price: PriceOf) -> Ints:
    if price == "M":
        return (ticks.bid + ticks.ask + 1) // 2
    return ticks.bid if price == "B" else ticks.ask
