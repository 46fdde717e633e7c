"""Where OANDA's candles begin: days at an hour of a city's clock, weeks on a weekday, everything else within the day.

Belongs here: granularities and their buckets. Does not: candles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from market_platform.domain.clock import from_ms, to_ms

_SECONDS = {
    "M1": 60,
    "M2": 120,
    "M4": 240,
    "M5": 300,
    "M10": 600,
    "M15": 900,
    "M30": 1800,
    "H1": 3600,
    "H2": 7200,
    "H3": 10_800,
    "H4": 14_400,
    "H6": 21_600,
    "H8": 28_800,
    "H12": 43_200,
}
GRANULARITIES = frozenset(_SECONDS) | {"D", "W", "M"}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Alignment:
    """`hour` of the clock in `zone` at which days begin (17 in New York), and the weekday that weeks begin on (4, Friday)."""

    granularity: str
    hour: int
    zone: ZoneInfo
    weekday: int

    def bucket(self, ms: int) -> tuple[int, int]:
        """Start and end of the candle that a moment is in."""
        seconds = _SECONDS.get(self.granularity)
        if seconds is not None and seconds <= 3600:
            start = ms - ms % (seconds * 1000)
            return start, start + seconds * 1000
        local = from_ms(ms).astimezone(self.zone).replace(tzinfo=None)
        day = (local - timedelta(hours=self.hour)).date()
        if seconds is not None:
            return self._within(day, ms, seconds)
        if self.granularity == "D":
            return self._day(day), self._day(day + timedelta(days=1))
        if self.granularity == "W":
            first = day - timedelta(days=(day.weekday() - self.weekday) % 7)
            return self._day(first), self._day(first + timedelta(days=7))
        first = day.replace(day=1)
        return self._day(first), self._day((first + timedelta(days=32)).replace(day=1))

    def _within(self, day: date, ms: int, seconds: int) -> tuple[int, int]:
        start, next_day = self._day(day), self._day(day + timedelta(days=1))
        start += (ms - start) // (seconds * 1000) * seconds * 1000
        return start, min(start + seconds * 1000, next_day)

    def _day(self, day: date) -> int:
        return to_ms(datetime.combine(day, time(self.hour), tzinfo=self.zone))


def alignment(granularity: str, hour: str | None, zone: str | None, weekday: str | None) -> Alignment:
    """As the parameters of a request say.

    Raises:
        ValueError: naming the parameter that is wrong.
    """
    if granularity not in GRANULARITIES:
        raise ValueError("granularity")
    if hour is not None and (not hour.isdecimal() or int(hour) > 23):
        raise ValueError("dailyAlignment")
    if weekday is not None and weekday not in _WEEKDAYS:
        raise ValueError("weeklyAlignment")
    try:
        place = ZoneInfo(zone or "America/New_York")
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("alignmentTimezone") from None
    return Alignment(granularity, int(hour or 17), place, _WEEKDAYS.index(weekday or "Friday"))
