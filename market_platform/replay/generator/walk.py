"""Where a market stands at the beginning of each day and hour.

Belongs here: a walk of days, anchored in the seed, and the hours between two of its days. Does not: ticks. A year's days
come from that year's own random numbers, so the walk is the same however far it is asked to go; the hours of a day are a
bridge between its two ends, so any day can be made without the days before it being looked at tick by tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import exp, log, sqrt
from threading import Lock

import numpy as np
import numpy.typing as npt

from market_platform.replay.generator.profiles import Profile
from market_platform.replay.generator.seeds import stream

Floats = npt.NDArray[np.float64]

FIRST_DAY = date(2015, 1, 1)
_RETURN = 0.0015
"""How fast a market drifts back to its usual level, a day: half way in a year and a quarter."""
_WEEKDAY = (1.0, 1.0, 1.0, 1.0, 0.97, 0.12, 0.3)
"""A day's volatility by weekday. Saturday's little is what a market opens away from its close with on Sunday."""


@dataclass(frozen=True, slots=True)
class DayLevels:
    """A day's 25 log prices at its hours' beginnings and its end, and its volatility as a fraction of the price."""

    levels: Floats
    volatility: float
    share: Floats
    """Of the day's variance, each hour's."""


class DayWalk:
    """The log price of one symbol at each midnight, and each day's volatility."""

    def __init__(self, seed: int, profile: Profile) -> None:
        self._seed = seed
        self._profile = profile
        self._levels = [log(profile.price)]
        self._volatility: list[float] = []
        self._quiet = 0.0
        self._year = FIRST_DAY.year
        self._lock = Lock()

    def at(self, day: date) -> tuple[float, float, float]:
        """Log price at the day's beginning and at its end, and the day's volatility."""
        index = (day - FIRST_DAY).days
        with self._lock:
            while index >= len(self._volatility):
                self._add_year()
        return self._levels[index], self._levels[index + 1], self._volatility[index]

    def _add_year(self) -> None:
        days = (date(self._year + 1, 1, 1) - date(self._year, 1, 1)).days
        moves, moods = stream(self._seed, "days", self._profile.symbol, self._year).standard_normal((2, days))
        usual, level = log(self._profile.price), self._levels[-1]
        weekday = date(self._year, 1, 1).weekday()
        for move, mood in zip(moves.tolist(), moods.tolist(), strict=True):
            self._quiet = 0.97 * self._quiet + 0.075 * mood
            factor = 1.0 if self._profile.is_round_the_clock else _WEEKDAY[weekday]
            volatility = self._profile.volatility * exp(self._quiet) * factor
            level += _RETURN * (usual - level) + volatility * move
            self._volatility.append(volatility)
            self._levels.append(level)
            weekday = (weekday + 1) % 7
        self._year += 1


def day_levels(seed: int, profile: Profile, day: date, walk: DayWalk, ticks: Floats) -> DayLevels:
    """The hours of one day of a symbol that is no cross; `ticks` are those expected of each hour.

    Prices move in proportion to the square root of quotes, and not at all in hours without any.
    """
    start, end, volatility = walk.at(day)
    total = float(ticks.sum())
    if total <= 0:
        return DayLevels(np.full(25, start), volatility, np.zeros(24))
    share = ticks / total
    moves = stream(seed, "hours", profile.symbol, day).standard_normal(24) * np.sqrt(share) * volatility
    path, elapsed = np.zeros(25), np.zeros(25)
    np.cumsum(moves, out=path[1:])
    np.cumsum(share, out=elapsed[1:])
    return DayLevels(start + path + elapsed * (end - start - path[24]), volatility, share)


def cross_levels(first: DayLevels, second: DayLevels, ticks: Floats) -> DayLevels:
    """The hours of a cross: the product of its legs at every hour."""
    total = float(ticks.sum())
    share = ticks / total if total > 0 else np.zeros(24)
    return DayLevels(first.levels + second.levels, sqrt(first.volatility**2 + second.volatility**2), share)
