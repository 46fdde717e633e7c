"""Which data a URL names, on Dukascopy's two transports.

Belongs here: paths to addresses. Does not: data. Months count from 1 in the JSON API, without zero padding, and from 0 in
bi5 paths, with two digits; whatever is spelled otherwise is an unknown path, so that a client's mistake shows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Literal

from market_platform.domain.clock import from_ms, to_ms

Side = Literal["BID", "ASK"]

HOUR_MS = 3_600_000
DAY_MS = 86_400_000


class Series(Enum):
    """What can be asked for; the value is its word in JSON paths."""

    TICKS = "ticks"
    MINUTES = "minute"
    HOURS = "hour"
    DAYS = "day"

    @property
    def step_ms(self) -> int:
        """Length of one candle; 0 for ticks."""
        return {Series.TICKS: 0, Series.MINUTES: 60_000, Series.HOURS: HOUR_MS, Series.DAYS: DAY_MS}[self]


@dataclass(frozen=True, slots=True)
class Address:
    """One period of one series: ticks of an hour, minutes of a day, hours of a month, or days of a year.

    `instrument` is a code (`EUR-USD`) in JSON addresses and a folder (`EURUSD`) in bi5 ones. `start_ms` and `end_ms` are
    the period, half-open. `path` is what was asked for, below the transport's root. `side` is None for ticks.
    """

    series: Series
    instrument: str
    start_ms: int
    end_ms: int
    path: str
    side: Side | None = None

    @property
    def symbol(self) -> str:
        """The instrument as bi5 folders spell it: `EURUSD`, `AAPLUSUSD`."""
        return symbol_of(self.instrument)


def symbol_of(code: str) -> str:
    """`EUR-USD` is `EURUSD`, `AAPL.US-USD` is `AAPLUSUSD`."""
    return code.replace("-", "").replace(".", "")


_CODE = r"(?P<instrument>[A-Z0-9]+(?:\.[A-Z0-9]+)*-[A-Z0-9]+)"
_NUMBER = r"(?:/(?P<{}>0|[1-9]\d?))"
_JSON = re.compile(
    rf"(?:(?P<ticks>ticks)/{_CODE}|candles/(?P<series>minute|hour|day)/{_CODE.replace('instrument', 'coded')}/(?P<side>BID|ASK))"
    rf"(?:/(?P<year>\d{{4}}){_NUMBER.format('month')}?{_NUMBER.format('day')}?{_NUMBER.format('hour')}?)?"
)
_BI5 = re.compile(
    r"(?P<instrument>[A-Z0-9]+)/(?P<year>\d{4})(?:/(?P<month>\d\d))?(?:/(?P<day>\d\d))?/"
    r"(?:(?P<hour>\d\d)h_ticks|(?P<side>BID|ASK)_candles_(?P<series>min|hour|day)_1)\.bi5"
)
_BI5_SERIES = {None: Series.TICKS, "min": Series.MINUTES, "hour": Series.HOURS, "day": Series.DAYS}
_NUMBERS_NEEDED = {Series.TICKS: 4, Series.MINUTES: 3, Series.HOURS: 2, Series.DAYS: 1}


def json_address(path: str, from_ms: int | None = None) -> Address | None:
    """The address of a path below `/v1`, or None when it is none.

    `from_ms` is the `from` parameter of an unfinished period, which such an address has in place of the date; it must be
    the first millisecond of a period.
    """
    match = _JSON.fullmatch(path)
    if match is None:
        return None
    series = Series.TICKS if match["ticks"] else Series(match["series"])
    instrument = match["instrument"] or match["coded"]
    numbers = [None if match[name] is None else int(match[name]) for name in ("year", "month", "day", "hour")]
    if from_ms is not None:
        if numbers[0] is not None:
            return None
        moment = _moment(from_ms)
        if moment is None:
            return None
        full = [moment.year, moment.month, moment.day, moment.hour][: _NUMBERS_NEEDED[series]]
        period = _period(series, [*full, None, None, None][:4])
        path = f"{path}/from/{from_ms}"
        if period is None or period[0] != from_ms:
            return None
    else:
        period = _period(series, numbers)
    return None if period is None else Address(series, instrument, *period, path, _side(match["side"]))


def bi5_address(path: str) -> Address | None:
    """The address of a path below `/datafeed`, or None when it is none."""
    match = _BI5.fullmatch(path)
    if match is None:
        return None
    series = _BI5_SERIES[match["series"]]
    numbers = [None if match[name] is None else int(match[name]) for name in ("year", "month", "day", "hour")]
    if numbers[1] is not None:
        numbers[1] += 1
    period = _period(series, numbers)
    return None if period is None else Address(series, match["instrument"], *period, path, _side(match["side"]))


def _moment(ms: int) -> datetime | None:
    try:
        return from_ms(ms)
    except OverflowError:
        return None


def _side(text: str | None) -> Side | None:
    if text is None:
        return None
    return "BID" if text == "BID" else "ASK"


def _period(series: Series, numbers: list[int | None]) -> tuple[int, int] | None:
    """Start and end (ms) of the period that year, month, day and hour name; None when they name none."""
    needed = _NUMBERS_NEEDED[series]
    given = [number for number in numbers if number is not None]
    if len(given) != needed or given != numbers[:needed]:
        return None
    year, month, day, hour = given + [1, 1, 0][needed - 1 :]
    try:
        start = datetime(year, month, day, hour, tzinfo=UTC)
        if series is Series.DAYS:
            end = start.replace(year=year + 1)
        elif series is Series.HOURS:
            end = start.replace(year=year + month // 12, month=month % 12 + 1)
        else:
            end = start + timedelta(hours=24 if series is Series.MINUTES else 1)
    except (ValueError, OverflowError):
        return None
    return to_ms(start), to_ms(end)
