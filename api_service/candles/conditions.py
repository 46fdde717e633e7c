"""What the days of a range may be relied on for, in one word: the worst of them.

Belongs here: combining the days' stored conditions with days nothing is stored of. Does not: reading candles.

A day nothing is stored of is told apart by the market's own hours: the market was closed (a weekend is never missing), the
day is not over (`pending`), or it was never brought here (`not_materialised`). A market whose hours are not known counts as
open, so that no hole is hidden.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from api_service.database import Database
from market_platform.domain.clock import day_start_ms, to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import DAY_MS, Interval, bucket_end, bucket_start
from market_platform.domain.sessions import SessionCalendar, Span
from market_platform.warehouse.pair_queries import load_calendar

NOT_MATERIALISED = "not_materialised"
WORST_FIRST = (
    NOT_MATERIALISED,
    Condition.MISSING.value,
    Condition.PENDING.value,
    Condition.DEGRADED.value,
    Condition.AVAILABLE.value,
    Condition.CLOSED.value,
)
_BY_LETTER = {each.value[0]: each.value for each in Condition}


class Unknown(NamedTuple):
    """A day or period that nothing is stored of: which span of it was asked for (ms), and when it ends (ms)."""

    asked: Span
    ends_ms: int


class MarketHours:
    """When a pair's market is open, remembered by period; `first_ms` is where its history begins, 0 when unknown."""

    def __init__(self, calendar: SessionCalendar, first_ms: int) -> None:
        self.first_ms = first_ms
        self._calendar = calendar
        self._open: dict[Span, bool] = {}

    def is_open(self, period: Span) -> bool:
        """Whether the market is open at any moment of the period."""
        found = self._open.get(period)
        if found is None:
            found = self._open[period] = bool(self._calendar.open_spans(*period))
        return found


class Calendars:
    """The market hours of each pair, read when first needed and again after `forget()`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hours: dict[int, MarketHours] = {}
        self._changes = 0
        self._reading = asyncio.Lock()

    def forget(self) -> None:
        """Pairs changed."""
        self._changes += 1
        self._hours.clear()

    async def hours_of(self, pair_id: int, first_day: date | None) -> MarketHours:
        """The pair's hours: by the exchange's description of it, else as is usual for such a market.

        Raises:
            WarehouseUnavailableError: they have to be read and can't be.
        """
        found = self._hours.get(pair_id)
        if found is None:
            async with self._reading:
                changes = self._changes
                stored = await self._database.run(lambda connection: load_calendar(connection, pair_id))
                first_ms = max(stored.first_tick_ms or 0, day_start_ms(first_day) if first_day else 0)
                found = MarketHours(stored.calendar, first_ms)
                if changes == self._changes:
                    self._hours[pair_id] = found
        return found


def days_of(interval: Interval, start_ms: int, end_ms: int) -> tuple[date, date]:
    """First and last `candle_days.day` that candles opening from `start_ms` to `end_ms` belong to."""
    return day_of(start_ms), day_of(end_ms if interval.is_intraday else bucket_start(end_ms, interval))


def unknown_periods(interval: Interval, start_ms: int, end_ms: int, conditions: str, now: datetime) -> list[Unknown]:
    """The days (for 1w and 1M the periods) that began before `now` and nothing is stored of.

    Of the first and the last day only what candles of the range cover: a Saturday's range does not ask for Sunday evening.
    """
    first = start_ms // DAY_MS
    known = {int(each[:-1]) for each in conditions.split()}
    after = bucket_end(end_ms, interval)
    return [
        Unknown((max(start, start_ms), min(end, after)), end)
        for start, end in _periods(interval, start_ms, min(end_ms, to_ms(now)))
        if start // DAY_MS - first not in known
    ]


def worst_condition(conditions: str, unknown: Sequence[Unknown], hours: MarketHours | None, now: datetime) -> str:
    """One of `WORST_FIRST`; `hours` is needed where something is unknown. A range that has not begun is `pending`.

    `conditions` is `RangeState.conditions`; `unknown` is what `unknown_periods` made of it.
    """
    found = {_BY_LETTER[letter] for letter in {each[-1] for each in conditions.split()}}
    now_ms = to_ms(now)
    for period in unknown:
        assert hours is not None
        if period.asked[1] <= hours.first_ms or not hours.is_open(period.asked):
            found.add(Condition.CLOSED.value)
        elif period.ends_ms > now_ms:
            found.add(Condition.PENDING.value)
        else:
            return NOT_MATERIALISED
    return min(found, key=WORST_FIRST.index, default=Condition.PENDING.value)


def _periods(interval: Interval, start_ms: int, end_ms: int) -> Iterator[Span]:
    start = start_ms // DAY_MS * DAY_MS
    while start <= end_ms:
        end = start + DAY_MS if interval.is_intraday else bucket_end(start, interval)
        yield start, end
        start = end


def day_of(ms: int) -> date:
    """The UTC day of a moment."""
    return datetime.fromtimestamp(ms // 1000, UTC).date()
