"""A generated history: which hours exist, their ticks, and the exchange's own candles of them.

Belongs here: putting days, hours and candles together, and keeping a bounded part of what was made. Does not: bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from math import exp

from market_platform.domain.clock import Clock, day_start_ms, to_ms
from market_platform.domain.sessions import SessionCalendar, Span
from market_platform.domain.ticks import Ticks
from market_platform.replay.addresses import DAY_MS, HOUR_MS, Side
from market_platform.replay.cache import BoundedCache
from market_platform.replay.candles import BuiltCandles, build, concatenated, fold
from market_platform.replay.generator.activity import News, expected_ticks, news, spread_factor
from market_platform.replay.generator.hours import HourPlan, make_hour
from market_platform.replay.generator.profiles import PROFILES, Profile
from market_platform.replay.generator.walk import FIRST_DAY, DayLevels, DayWalk, cross_levels, day_levels

HISTORY_START_MS = day_start_ms(FIRST_DAY)
_LONGEST_BREAK_HOURS = 24 * 5


@dataclass(frozen=True, slots=True)
class _Day:
    levels: DayLevels
    ticks: list[float]
    spans: list[Span]
    news: list[News]


class Market:
    """All symbols of one seed. The clock only says where history ends: yesterday, at midnight UTC."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self.seed = seed
        self._clock = clock
        self._walks = {symbol: DayWalk(seed, profile) for symbol, profile in PROFILES.items() if profile.legs is None}
        self._calendars: dict[tuple[str, int], SessionCalendar] = {}
        self._days: BoundedCache[tuple[str, date], _Day] = BoundedCache(64, lambda _: 1)
        self._hours: BoundedCache[tuple[str, int], Ticks] = BoundedCache(12 << 20, lambda ticks: 256 + 40 * len(ticks))
        self._months: BoundedCache[tuple[str, int, int, Side], BuiltCandles] = BoundedCache(
            4 << 20, lambda rows: 256 + 56 * len(rows)
        )

    @property
    def published_until_ms(self) -> int:
        """End of yesterday: what is later than that is not published yet."""
        now = to_ms(self._clock())
        return now - now % DAY_MS

    @property
    def last_year(self) -> int:
        """The year the clock shows."""
        return self._clock().year

    def ticks(self, profile: Profile, hour_ms: int) -> Ticks:
        """An hour's ticks; none before history, after its end, and while the market is closed."""
        if not HISTORY_START_MS <= hour_ms < self.published_until_ms:
            return Ticks.empty(profile.price_scale, profile.volume_scale)
        return self._hours.get((profile.symbol, hour_ms), lambda: self._make_hour(profile, hour_ms))

    def minute_candles(self, profile: Profile, side: Side, start_ms: int) -> BuiltCandles:
        """A day's minutes in which something happened."""
        hours = [self.ticks(profile, start_ms + hour * HOUR_MS) for hour in range(24)]
        return concatenated([build(ticks, side, 60_000) for ticks in hours], profile.volume_scale)

    def hour_candles(self, profile: Profile, side: Side, start_ms: int, end_ms: int) -> BuiltCandles:
        """A month's hours in which something happened, as far as published."""
        end_ms = min(end_ms, self.published_until_ms)
        key = (profile.symbol, start_ms, end_ms, side)
        return self._months.get(key, lambda: self._make_month(profile, start_ms, end_ms)[side])

    def day_candles(self, profile: Profile, side: Side, start_ms: int) -> BuiltCandles:
        """A year's days in which something happened, as far as published."""
        year = datetime.fromtimestamp(start_ms // 1000, UTC).year
        edges = [day_start_ms(date(year + month // 12, month % 12 + 1, 1)) for month in range(13)]
        months = [self.hour_candles(profile, side, *edge) for edge in pairwise(edges)]
        return fold(concatenated(months, profile.volume_scale), DAY_MS)

    def last_quote_before(self, profile: Profile, ms: int) -> tuple[int, int] | None:
        """Bid and ask that stood when the hour of `ms` began; None where history has not begun."""
        hour_ms = ms - ms % HOUR_MS
        for _ in range(_LONGEST_BREAK_HOURS):
            hour_ms -= HOUR_MS
            ticks = self.ticks(profile, hour_ms)
            if len(ticks):
                return int(ticks.bid[-1]), int(ticks.ask[-1])
        return None

    def first_tick_ms(self, profile: Profile) -> int:
        """When history begins, to the millisecond."""
        hour_ms = HISTORY_START_MS
        while not len(ticks := self._make_hour(profile, hour_ms)):
            hour_ms += HOUR_MS
        return int(ticks.time[0])

    def _make_month(self, profile: Profile, start_ms: int, end_ms: int) -> dict[Side, BuiltCandles]:
        """Both sides at once, and into the cache: who asks for one side asks for the other."""
        parts: dict[Side, list[BuiltCandles]] = {"BID": [], "ASK": []}
        for hour_ms in range(max(start_ms, HISTORY_START_MS), end_ms, HOUR_MS):
            ticks = self._make_hour(profile, hour_ms)
            for side, built in parts.items():
                built.append(build(ticks, side, HOUR_MS))
        made = {side: concatenated(built, profile.volume_scale) for side, built in parts.items()}
        for side, rows in made.items():
            self._months.put((profile.symbol, start_ms, end_ms, side), rows)
        return made

    def _make_hour(self, profile: Profile, hour_ms: int) -> Ticks:
        day = datetime.fromtimestamp(hour_ms // 1000, UTC).date()
        hour = hour_ms % DAY_MS // HOUR_MS
        plan = self._day(profile, day)
        overlaps = [(max(hour_ms, opens), min(hour_ms + HOUR_MS, closes)) for opens, closes in plan.spans]
        span = next((each for each in overlaps if each[0] < each[1]), None)
        if span is None:
            return Ticks.empty(profile.price_scale, profile.volume_scale)
        unit = 10**profile.price_scale
        start, end = (exp(float(plan.levels.levels[hour + edge])) * unit for edge in (0, 1))
        return make_hour(
            self.seed,
            profile,
            HourPlan(
                hour_ms=hour_ms,
                span=span,
                start=start,
                end=end,
                volatility=start * plan.levels.volatility * float(plan.levels.share[hour]) ** 0.5,
                ticks=plan.ticks[hour],
                spread=profile.spread * spread_factor(profile, hour_ms),
                news=plan.news,
            ),
        )

    def _day(self, profile: Profile, day: date) -> _Day:
        return self._days.get((profile.symbol, day), lambda: self._make_day(profile, day))

    def _make_day(self, profile: Profile, day: date) -> _Day:
        spans = self._calendar(profile, day.year).open_spans_of_day(day)
        ticks = expected_ticks(self.seed, profile, day, spans)
        if profile.legs is None:
            levels = day_levels(self.seed, profile, day, self._walks[profile.symbol], ticks)
        else:
            first, second = (self._day(PROFILES[leg], day).levels for leg in profile.legs)
            levels = cross_levels(first, second, ticks)
        around = [*news(self.seed, day - timedelta(days=1)), *news(self.seed, day)]
        return _Day(levels, ticks.tolist(), spans, around)

    def _calendar(self, profile: Profile, year: int) -> SessionCalendar:
        """Holidays of the years around are enough, and keep looking them up short."""
        key = (profile.symbol, year)
        if key not in self._calendars:
            calendar = profile.listed.calendar(year)
            near = tuple(span for span in calendar.holidays if span[1] > day_start_ms(date(year - 1, 12, 1)))
            self._calendars[key] = SessionCalendar(calendar.timezone, calendar.sessions, near)
        return self._calendars[key]
