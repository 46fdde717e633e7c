"""How busy, how wide and how eventful each hour is.

Belongs here: shapes over the day, by the clocks of Tokyo, London and New York, and news. Does not: prices. Everything
follows local clocks, so it shifts with each city's own summer time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from market_platform.domain.clock import day_start_ms, to_ms
from market_platform.domain.sessions import Span
from market_platform.replay.addresses import HOUR_MS
from market_platform.replay.generator.profiles import Profile
from market_platform.replay.generator.seeds import stream

Floats = npt.NDArray[np.float64]

TOKYO, LONDON, NEW_YORK = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/London"), ZoneInfo("America/New_York")

_BASE = 2.2
_SHAPES: tuple[tuple[ZoneInfo, dict[int, float]], ...] = (
    (TOKYO, {8: 0.6, 9: 1.0, 10: 0.8, 11: 0.6, 12: 0.5, 13: 0.7, 14: 0.8, 15: 0.6, 16: 0.3}),
    (LONDON, {7: 0.5, 8: 1.0, 9: 0.9, 10: 0.75, 11: 0.6, 12: 0.6, 13: 0.55, 14: 0.55, 15: 0.5, 16: 0.3, 17: 0.1}),
    (NEW_YORK, {8: 0.55, 9: 0.8, 10: 1.0, 11: 0.8, 12: 0.6, 13: 0.5, 14: 0.45, 15: 0.5, 16: 0.1}),
)
_SPREAD_BY_NEW_YORK_HOUR = {
    16: 1.4,
    17: 4.2,
    18: 1.9,
    19: 1.35,
    20: 1.25,
    21: 1.2,
    22: 1.2,
    23: 1.2,
    0: 1.15,
    1: 1.15,
    2: 1.1,
}
_NEWS_TIMES: tuple[tuple[ZoneInfo, time], ...] = (
    (TOKYO, time(8, 50)),
    (LONDON, time(7, 0)),
    (LONDON, time(9, 30)),
    (LONDON, time(12, 0)),
    (NEW_YORK, time(8, 30)),
    (NEW_YORK, time(8, 30)),
    (NEW_YORK, time(10, 0)),
    (NEW_YORK, time(14, 0)),
)
NEWS_FADES_MS = 240_000
"""After this long a burst has fallen to about a third."""


@dataclass(frozen=True, slots=True)
class News:
    """A moment at which everybody quotes at once; `strength` 1 is ordinary, 3 a central bank."""

    at_ms: int
    strength: float


def expected_ticks(seed: int, profile: Profile, day: date, open_spans: list[Span]) -> Floats:
    """How many ticks each of a UTC day's 24 hours is to have; 0 where the market is closed."""
    shape = np.full(24, _BASE)
    for weight, (zone, by_hour) in zip(profile.sessions, _SHAPES, strict=True):
        offset = utc_offset_hours(zone, day)
        shape += weight * np.array([by_hour.get((hour + offset) % 24, 0.0) for hour in range(24)])
    busy = float(np.exp(stream(seed, "busy", profile.symbol, day).normal(0.0, 0.16)))
    if profile.is_round_the_clock and day.weekday() >= 5:
        busy *= 0.7
    ticks: Floats = shape * (profile.ticks * min(max(busy, 0.62), 1.34) / shape.sum())
    for event in news(seed, day):
        ticks[(event.at_ms - day_start_ms(day)) // HOUR_MS] += 0.009 * profile.ticks * event.strength
    return ticks * open_fractions(day, open_spans)


def open_fractions(day: date, open_spans: list[Span]) -> Floats:
    """How much of each of a UTC day's 24 hours the market is open, 0 to 1."""
    starts = day_start_ms(day) + HOUR_MS * np.arange(24)
    fractions = np.zeros(24)
    for opens, closes in open_spans:
        fractions += np.clip(np.minimum(starts + HOUR_MS, closes) - np.maximum(starts, opens), 0, HOUR_MS) / HOUR_MS
    return fractions


def spread_factor(profile: Profile, hour_ms: int) -> float:
    """How much wider than usual quotes are in that hour; New York's 17:00, when positions roll over, is the widest."""
    if profile.is_round_the_clock:
        return 1.0
    moment = datetime.fromtimestamp(hour_ms // 1000, UTC)
    return _SPREAD_BY_NEW_YORK_HOUR.get(moment.astimezone(NEW_YORK).hour, 1.0)


def news(seed: int, day: date) -> list[News]:
    """What happens on a day, the same for all symbols. Nothing happens at weekends."""
    if day.weekday() >= 5:
        return []
    draws = stream(seed, "news", day)
    events: list[News] = []
    for at in draws.choice(len(_NEWS_TIMES), size=min(int(draws.poisson(1.3)), 3), replace=False).tolist():
        zone, clock = _NEWS_TIMES[at]
        moment = to_ms(datetime.combine(day, clock, tzinfo=zone).astimezone(UTC))
        events.append(News(moment, float(draws.uniform(0.4, 2.2))))
    return [event for event in events if 0 <= event.at_ms - day_start_ms(day) < 24 * HOUR_MS]


def utc_offset_hours(zone: ZoneInfo, day: date) -> int:
    """The zone's distance from UTC at that day's noon (its clocks change while markets are closed)."""
    offset = datetime.combine(day, time(12), tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 3600)
