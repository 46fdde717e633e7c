"""What a day should hold, and how days are asked for in pieces.

Belongs here: the times of a session's bars, Yahoo's limits of depth and size. Does not: answers (days.py), asking (history.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.intervals import DAY_MS, Interval, parse_interval
from market_platform.exchanges.yahoo.sessions import FINAL_AFTER_MS, Session, open_spans, sessions_of

_EVENTS = "div,splits,capitalGains"
ONE_DAY = parse_interval("1d")
HALF_HOUR = parse_interval("30m")
QUARTER = parse_interval("15m")


def asked_interval(interval: Interval) -> Interval:
    """What Yahoo is asked for: its half hours are hours, so ours are put together from quarters."""
    return QUARTER if interval == HALF_HOUR else interval


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What a day of an interval (as asked for) should hold: the times of its bars, as Yahoo gives them.

    `first_ms` is when the exchange opened, `closed_ms` when it closed; both 0 on a day without a session.
    """

    day: date
    interval: Interval
    expected: tuple[int, ...] = ()
    first_ms: int = 0
    closed_ms: int = 0

    def end_of(self, time_ms: int) -> int:
        """When the bar that opens then is over."""
        return self.closed_ms if self.interval == ONE_DAY else min(time_ms + self.interval.ms, self.closed_ms)

    @property
    def final_ms(self) -> int:
        """From when on Yahoo does not change the day any more."""
        return self.closed_ms + FINAL_AFTER_MS


def plan_day(exchange_name: str, day: date, interval: Interval) -> DayPlan:
    """The plan of a UTC day, for `1d` of an exchange day.

    Raises:
        BadRequestError: the exchange's calendar is not known.
    """
    if interval == ONE_DAY:
        sessions = sessions_of(exchange_name, day, day)
        if not sessions:
            return DayPlan(day, interval)
        return DayPlan(day, interval, (sessions[0].opens_ms,), sessions[0].opens_ms, sessions[0].closes_ms)
    spans = open_spans(exchange_name, day)
    if not spans:
        return DayPlan(day, interval)
    start = day_start_ms(day)
    around = sessions_of(exchange_name, *_neighbours(day))
    expected = tuple(
        time for session in around for time in _grid(session, interval.ms) if start <= time < start + DAY_MS
    )
    return DayPlan(day, interval, expected, spans[0][0], spans[-1][1])


def exchange_day(time_ms: int, timezone: str) -> date:
    """The day by the exchange's date; midnights that Yahoo's summer time puts an hour or two too early are meant as such."""
    local = from_ms(time_ms).astimezone(ZoneInfo(timezone))
    meant = local + timedelta(hours=2) if local.minute == 0 and local.hour >= 22 else local
    return meant.date()


def _neighbours(day: date) -> tuple[date, date]:
    return date.fromordinal(day.toordinal() - 1), date.fromordinal(day.toordinal() + 1)


def _grid(session: Session, step_ms: int) -> Iterable[int]:
    """When a session's bars open: counted from its opening, but for those within its lunch break."""
    for time in range(session.opens_ms, session.closes_ms, step_ms):
        if any(opens < time + step_ms and time < closes for opens, closes in session.spans):
            yield time


class Reach(NamedTuple):
    """How an interval may be asked for: at most `days` at once after `before` more, up to `depth` days back (None: all)."""

    days: int
    before: int
    after: int
    depth: int | None


REACH = {
    "1m": Reach(4, 3, 0, 29),
    "5m": Reach(30, 5, 0, 59),
    "15m": Reach(30, 5, 0, 59),
    "1h": Reach(180, 5, 0, 729),
    "1d": Reach(3650, 20, 20, None),
}


def parts_of(plans: Sequence[DayPlan], most: int) -> list[list[DayPlan]]:
    """Plans in pieces that span at most so many days."""
    parts: list[list[DayPlan]] = []
    for plan in plans:
        if parts and plan.day - parts[-1][0].day < timedelta(days=most):
            parts[-1].append(plan)
        else:
            parts.append([plan])
    return parts


def range_of(part: Sequence[DayPlan], reach: Reach, now_ms: int) -> Mapping[str, str]:
    """`period1` and `period2` around a piece, within what Yahoo serves."""
    start = day_start_ms(part[0].day) - reach.before * DAY_MS
    end = day_start_ms(part[-1].day) + (1 + reach.after) * DAY_MS
    if reach.depth is not None:
        start = max(start, now_ms - reach.depth * DAY_MS)
    return {
        "period1": str(start // 1000),
        "period2": str(min(end, now_ms + DAY_MS) // 1000),
        "includePrePost": "false",
        "events": _EVENTS,
    }
