"""The one word about a range: from stored days, and from days nothing is stored of."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from api_service.candles.conditions import MarketHours, days_of, unknown_periods, worst_condition
from market_platform.domain.clock import day_start_ms, to_ms
from market_platform.domain.intervals import DAY_MS, Interval, parse_interval
from market_platform.domain.sessions import ALWAYS_OPEN, FOREX

MONDAY = date(2024, 3, 18)
LATER = datetime(2024, 6, 1, tzinfo=UTC)
MINUTE, HOUR, WEEK, MONTH = (parse_interval(name) for name in ("1m", "1h", "1w", "1M"))


def condition_of(
    stored: str, days: int, *, now: datetime = LATER, hours: MarketHours | None = None, first: date = MONDAY
) -> str:
    start = day_start_ms(first)
    unknown = unknown_periods(HOUR, start, start + days * DAY_MS - 1, stored, now)
    return worst_condition(stored, unknown, hours or MarketHours(FOREX, 0), now)


@pytest.mark.parametrize(
    ("stored", "days", "condition"),
    [
        ("0a", 1, "available"),
        ("0a 1c", 2, "available"),
        ("0c 1c", 2, "closed"),
        ("0a 1d 2a", 3, "degraded"),
        ("0d 1p", 2, "pending"),
        ("0p 1m 2a", 3, "missing"),
        ("0a 1a 2a 3a 4a 6a", 7, "available"),  # a Saturday nothing is stored of
        ("0a 1a 2a 3a 4a", 7, "not_materialised"),  # a Sunday neither, whose evening belongs to the week
        ("0a 1a 2a 4a", 5, "not_materialised"),
        ("0m", 2, "not_materialised"),
        ("", 1, "not_materialised"),
    ],
)
def test_the_worst_day_speaks_for_the_range(stored: str, days: int, condition: str) -> None:
    assert condition_of(stored, days) == condition


def test_a_weekend_alone_is_closed_never_missing() -> None:
    assert condition_of("", 1, first=date(2024, 3, 16)) == "closed"


def test_a_weekend_of_a_market_without_one_is_not_there_yet() -> None:
    assert condition_of("", 1, first=date(2024, 3, 16), hours=MarketHours(ALWAYS_OPEN, 0)) == "not_materialised"


@pytest.mark.parametrize(("hours", "condition"), [(20, "closed"), (22, "not_materialised")])
def test_a_sunday_before_its_evening_is_closed(hours: int, condition: str) -> None:
    start = day_start_ms(date(2024, 3, 16))
    end = start + (24 + hours) * HOUR.ms - 1
    unknown = unknown_periods(HOUR, start, end - end % HOUR.ms, "", LATER)
    assert worst_condition("", unknown, MarketHours(FOREX, 0), LATER) == condition


def test_today_is_pending_and_tomorrow_is_not_expected() -> None:
    noon = datetime(2024, 3, 19, 12, tzinfo=UTC)
    assert condition_of("0a", 2, now=noon) == "pending"
    assert condition_of("0a", 1, now=noon) == "available"
    assert condition_of("0a", 9, now=noon) == "pending"


def test_a_morning_is_pending_until_its_day_is_over() -> None:
    start = day_start_ms(MONDAY)
    noon = datetime(2024, 3, 18, 12, tzinfo=UTC)
    unknown = unknown_periods(HOUR, start, start + 9 * HOUR.ms, "", noon)
    assert worst_condition("", unknown, MarketHours(FOREX, 0), noon) == "pending"
    assert worst_condition("", unknown, MarketHours(FOREX, 0), LATER) == "not_materialised"


def test_a_range_that_has_not_begun_is_pending() -> None:
    assert condition_of("", 3, now=datetime(2024, 3, 1, tzinfo=UTC)) == "pending"


def test_before_the_market_s_history_there_is_nothing_to_have() -> None:
    hours = MarketHours(FOREX, day_start_ms(MONDAY + timedelta(days=2)))
    assert condition_of("2a", 3, hours=hours) == "available"


@pytest.mark.parametrize(
    ("stored", "now", "condition"),
    [
        ("0a 7a", LATER, "available"),
        ("0a", LATER, "not_materialised"),
        ("0a", datetime(2024, 3, 27, tzinfo=UTC), "pending"),  # the second week is not over
        ("0a 7p", LATER, "pending"),
    ],
)
def test_weeks_are_judged_by_week(stored: str, now: datetime, condition: str) -> None:
    start = day_start_ms(MONDAY)
    unknown = unknown_periods(WEEK, start, start + 7 * DAY_MS, stored, now)
    assert worst_condition(stored, unknown, MarketHours(FOREX, 0), now) == condition


@pytest.mark.parametrize(
    ("interval", "start", "end", "days"),
    [
        (MINUTE, "2024-03-18T23:59", "2024-03-19", (date(2024, 3, 18), date(2024, 3, 19))),
        (WEEK, "2024-03-18", "2024-03-25", (date(2024, 3, 18), date(2024, 3, 25))),
        (MONTH, "2024-03-01", "2024-05-01", (date(2024, 3, 1), date(2024, 5, 1))),
    ],
)
def test_days_of_a_range(interval: Interval, start: str, end: str, days: tuple[date, date]) -> None:
    edges = [to_ms(datetime.fromisoformat(each).replace(tzinfo=UTC)) for each in (start, end)]
    assert days_of(interval, *edges) == days
