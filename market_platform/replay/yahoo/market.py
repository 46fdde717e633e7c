"""The minutes, days, dividends and splits of generated stocks.

Belongs here: what happens at the exchange; any day can be had without those before it. Does not: what Yahoo makes of it. Prices are
in units of 1/10,000, whole cents at the time: before a split of four to one they are multiples of a quarter of a cent.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from market_platform.domain.clock import day_start_ms
from market_platform.domain.ticks import Ints
from market_platform.replay.live.noise import PricePath, key, units, words
from market_platform.replay.yahoo.stocks import FIRST_DAY, Stock

UNITS = 10_000
MINUTE_MS = 60_000
_LAST_DAY = date(2035, 12, 31)
_DIVIDEND_MONTHS = (2, 5, 8, 11)
_making = Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """The minutes of a session: open times in ms, prices in units."""

    time: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints


class StockMarket:
    """One stock of a seed. May be used by several threads."""

    def __init__(self, seed: int, stock: Stock) -> None:
        self.stock = stock
        self._seed = key(seed, "stock", stock.symbol)
        self._path = PricePath(self._seed, stock.price, stock.volatility)
        self._days: dict[date, Minutes] = {}
        self._daily: dict[date, tuple[int, int, int, int, int]] = {}

    def session(self, day: date) -> tuple[int, int] | None:
        """When the exchange is open on one of its days, in ms; None on holidays and weekends, and before its first day."""
        return _schedule(self.stock.calendar).get(day) if day >= FIRST_DAY else None

    def minutes(self, day: date) -> Minutes:
        """A session's minutes; the day must have one."""
        if day not in self._days:
            if len(self._days) > 64:
                self._days.clear()
            self._days[day] = self._made(day)
        return self._days[day]

    def daily(self, day: date) -> tuple[int, int, int, int, int]:
        """Open, high, low, close and volume of a session."""
        if day not in self._daily:
            made = self.minutes(day)
            self._daily[day] = (
                int(made.open[0]),
                int(made.high.max()),
                int(made.low.min()),
                int(made.close[-1]),
                int(made.volume.sum()),
            )
        return self._daily[day]

    def dividend_days(self, first: date, last: date) -> list[date]:
        """Days from `first` to `last` from which on the stock is sold without its dividend."""
        days: list[date] = []
        for year in range(max(first.year, FIRST_DAY.year), last.year + 1):
            for month in _DIVIDEND_MONTHS:
                day = date(year, month, 10)
                while self.session(day) is None and day.day < 20:
                    day += timedelta(days=1)
                if first <= day <= last and self.session(day) is not None:
                    days.append(day)
        return days

    def divided_by(self, day: date, today: date) -> int:
        """By what a day's prices were divided until today: by the ratio of a split in between."""
        split = self.stock.split_day
        return self.stock.split if split is not None and day < split <= today else 1

    def mixes_units(self, day: date) -> bool:
        """Whether Yahoo has the day 100 times too small."""
        return self.stock.mixes_units and key(self._seed, "unit", day) % 20 == 0

    def _made(self, day: date) -> Minutes:
        session = self.session(day)
        assert session is not None, f"{self.stock.symbol} has no session on {day}"
        first, count = session[0] // MINUTE_MS, (session[1] - session[0]) // MINUTE_MS
        ratio = self.divided_by(day, _LAST_DAY)
        cents = np.rint(self._path.at(first, count + 1) * (ratio * 100)).astype(np.int64)
        price = cents * (UNITS // 100) // ratio
        numbers = np.arange(first, first + count)
        wiggles = (units(words(self._seed, numbers)) * 4).astype(np.int64) * (UNITS // 100)
        opened, close = price[:-1], price[1:]
        volume = (units(words(self._seed + 1, numbers)) * self.stock.lot * 2).astype(np.int64) * ratio
        return Minutes(
            numbers * MINUTE_MS,
            opened,
            np.maximum(opened, close) + wiggles,
            np.minimum(opened, close) - wiggles,
            close,
            volume,
        )


def _schedule(calendar: str) -> dict[date, tuple[int, int]]:
    """When an exchange opens and closes on each of its days; made by one thread at a time, for filters of warnings are shared."""
    with _making:
        return _made_schedule(calendar)


@lru_cache(maxsize=8)
def _made_schedule(calendar: str) -> dict[date, tuple[int, int]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what the package itself uses of pandas
        import exchange_calendars  # type: ignore[import-untyped]  # takes half a second

        cls: Any = type(exchange_calendars.get_calendar(calendar))
        schedule = cls(start=FIRST_DAY.isoformat(), end=_LAST_DAY.isoformat()).schedule
    return {
        day.date(): (round(opens.timestamp() * 1000), round(closes.timestamp() * 1000))
        for day, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
    }


def day_of(ms: int) -> date:
    """The UTC day of a moment; sessions of the stocks here lie within one."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + ms // day_start_ms(date(1970, 1, 2)))
