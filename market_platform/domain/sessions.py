"""When a market is open: weekly sessions and holidays, as an exchange describes them itself.

A `SessionCalendar` is built from an instrument's own description (exchanges/ does that) and answers two questions: which
spans of a day were open, and how much of an hour. All spans are half-open, in milliseconds since the epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from market_platform.domain.clock import day_start_ms, to_ms
from market_platform.domain.intervals import DAY_MS

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class WeeklySession:
    """One trading session by local clock: opens `open_days_before` days before `weekday` (0 = Monday) at `opens`.

    It closes on `weekday` at `closes`, or `closes_days_before` days before that (-1: the day after). A schedule that
    changed over the years is several sessions, each `valid_from_ms` (included) to `valid_to_ms` (excluded); None is
    without end.
    """

    weekday: int
    opens: time
    closes: time
    open_days_before: int = 0
    closes_days_before: int = 0
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None


@dataclass(frozen=True)
class SessionCalendar:
    """Weekly sessions in a time zone, minus holidays (UTC ms spans)."""

    timezone: str
    sessions: tuple[WeeklySession, ...]
    holidays: tuple[Span, ...] = ()

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def open_spans(self, start_ms: int, end_ms: int) -> list[Span]:
        """Open spans within the range, sorted, merged where they touch."""
        first = datetime.fromtimestamp(start_ms // 1000, UTC).date() - timedelta(days=2)
        last = datetime.fromtimestamp(end_ms // 1000, UTC).date() + timedelta(days=2)
        spans: list[Span] = []
        for offset in range((last - first).days + 1):
            day = first + timedelta(days=offset)
            for session in self.sessions:
                if session.weekday == day.weekday():
                    opens = self._moment(day - timedelta(days=session.open_days_before), session.opens)
                    closes = self._moment(day - timedelta(days=session.closes_days_before), session.closes)
                    since = start_ms if session.valid_from_ms is None else max(start_ms, session.valid_from_ms)
                    until = end_ms if session.valid_to_ms is None else min(end_ms, session.valid_to_ms)
                    spans.append((max(opens, since), min(closes, until)))
        return _without(_merged(spans), self.holidays)

    def open_spans_of_day(self, day: date) -> list[Span]:
        """Open spans of a UTC day."""
        start = day_start_ms(day)
        return self.open_spans(start, start + DAY_MS)

    def is_open_on(self, day: date) -> bool:
        """Whether the market is open at any moment of the UTC day."""
        return bool(self.open_spans_of_day(day))

    def open_ms(self, start_ms: int, end_ms: int) -> int:
        """How many milliseconds of the range were open."""
        return sum(end - start for start, end in self.open_spans(start_ms, end_ms))

    def _moment(self, day: date, clock: time) -> int:
        return to_ms(datetime.combine(day, clock, tzinfo=self._zone).astimezone(UTC))


ALWAYS_OPEN = SessionCalendar(
    "UTC", tuple(WeeklySession(weekday, time(0), time(0), open_days_before=1) for weekday in range(7))
)
"""A market that never closes. (Each day's session runs from the midnight before to its own midnight.)"""

FOREX = SessionCalendar(
    "America/New_York", tuple(WeeklySession(weekday, time(17), time(17), open_days_before=1) for weekday in range(5))
)
"""The usual spot forex week, Sunday 17:00 to Friday 17:00 in New York: what is assumed until an exchange's own is known."""


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _without(spans: list[Span], holes: tuple[Span, ...]) -> list[Span]:
    for hole_start, hole_end in holes:
        kept: list[Span] = []
        for start, end in spans:
            if hole_end <= start or end <= hole_start:
                kept.append((start, end))
                continue
            if start < hole_start:
                kept.append((start, hole_start))
            if hole_end < end:
                kept.append((hole_end, end))
        spans = kept
    return spans
