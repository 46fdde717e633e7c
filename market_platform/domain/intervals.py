"""Candle intervals and where their buckets begin.

Buckets are half-open, `[open, next open)`. Under UTC alignment days begin at midnight UTC, weeks on Monday, months on
the first. Under `NEW_YORK_17` the trading day begins at 17:00 in New York (so its length in UTC is 23 or 25 hours twice
a year) and intervals of 4h and longer are counted from there, by local clock time; intervals below are the same as UTC's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.errors import BadRequestError

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday of the epoch


class Alignment(StrEnum):
    """Which clock an exchange's days are cut by."""

    UTC = "utc"
    NEW_YORK_17 = "new_york_17"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A candle interval; `seconds` is nominal for months (30 days), as the reference table stores it."""

    seconds: int
    name: str

    @property
    def ms(self) -> int:
        """Nominal length in milliseconds."""
        return self.seconds * 1000

    @property
    def is_intraday(self) -> bool:
        """Whether whole buckets fit into one UTC day."""
        return self.seconds <= DAY_MS // 1000

    def __str__(self) -> str:
        return self.name


_NAMED = {
    name: Interval(seconds, name)
    for name, seconds in (
        ("1m", 60),
        ("5m", 300),
        ("15m", 900),
        ("30m", 1800),
        ("1h", 3600),
        ("4h", 14_400),
        ("12h", 43_200),
        ("1d", 86_400),
        ("1w", 604_800),
        ("1M", 2_592_000),
    )
}
INTERVALS: tuple[Interval, ...] = tuple(_NAMED.values())
DAY_INTERVALS: tuple[Interval, ...] = tuple(each for each in INTERVALS if each.is_intraday)
"""Intervals whose candles belong to exactly one day partition: 1m to 1d."""
PERIOD_INTERVALS: tuple[Interval, ...] = tuple(each for each in INTERVALS if not each.is_intraday)
"""Intervals longer than a day: 1w and 1M."""


def parse_interval(name: str) -> Interval:
    """The interval of that name; `1m` is a minute and `1M` a month, so case matters.

    Raises:
        BadRequestError: code `invalid_timeframe`, naming what is allowed.
    """
    try:
        return _NAMED[name]
    except KeyError:
        allowed = ", ".join(_NAMED)
        raise BadRequestError(f"unknown interval {name!r}; use one of {allowed}", code="invalid_timeframe") from None


def bucket_start(ms: int, interval: Interval, alignment: Alignment = Alignment.UTC) -> int:
    """The open time, in ms, of the bucket that holds the moment `ms`."""
    if alignment is Alignment.UTC or interval.seconds < 14_400:
        if interval.name == "1M":
            return to_ms(from_ms(ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0))
        offset = _MONDAY_MS if interval.name == "1w" else 0
        return (ms - offset) // interval.ms * interval.ms + offset
    return _new_york_bucket(ms, interval)[0]


def bucket_end(start: int, interval: Interval, alignment: Alignment = Alignment.UTC) -> int:
    """The open time, in ms, of the bucket after the one that opens at `start`."""
    if alignment is Alignment.UTC or interval.seconds < 14_400:
        if interval.name == "1M":
            first = from_ms(start)
            return to_ms(first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1))
        return start + interval.ms
    return _new_york_bucket(start, interval)[1]


_NEW_YORK = ZoneInfo("America/New_York")


def _new_york_bucket(ms: int, interval: Interval) -> tuple[int, int]:
    """Start and end of the bucket counted by New York's clock from 17:00; weeks begin with Sunday's 17:00 (trading Monday)."""
    trading_day = (from_ms(ms).astimezone(_NEW_YORK).replace(tzinfo=None) + timedelta(hours=7)).date()
    if interval.name == "1M":
        first = trading_day.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
        return _new_york_day(first), _new_york_day(after)
    if interval.name == "1w":
        monday = trading_day - timedelta(days=trading_day.weekday())
        return _new_york_day(monday), _new_york_day(monday + timedelta(days=7))
    start, hours = _new_york_day(trading_day), interval.seconds // 3600
    while True:
        local = from_ms(start).astimezone(_NEW_YORK).replace(tzinfo=None) + timedelta(hours=hours)
        end = to_ms(local.replace(tzinfo=_NEW_YORK).astimezone(UTC))
        if ms < end:
            return start, end
        start = end


def _new_york_day(trading_day: date) -> int:
    """When, in ms, a New York trading day begins: 17:00 the calendar day before."""
    local = datetime.combine(trading_day - timedelta(days=1), time(17), tzinfo=_NEW_YORK)
    return to_ms(local.astimezone(UTC))
