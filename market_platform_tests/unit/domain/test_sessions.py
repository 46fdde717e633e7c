"""Sessions follow the local clock across its changes, holidays are cut out, eras hold in their own time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.clock import day_start_ms, from_ms, to_ms
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.sessions import ALWAYS_OPEN, FOREX, SessionCalendar, WeeklySession

HOUR = 3_600_000
days = st.dates(date(2003, 5, 5), date(2035, 1, 1))


def spans(calendar: SessionCalendar, day: date) -> list[tuple[str, str]]:
    return [
        (f"{from_ms(start):%d %H:%M}", f"{from_ms(end):%d %H:%M}") for start, end in calendar.open_spans_of_day(day)
    ]


@pytest.mark.parametrize(
    ("sunday", "opens"),
    [
        (date(2026, 1, 11), 22),  # winter time in New York
        (date(2026, 3, 8), 21),  # the very Sunday its summer time begins
        (date(2026, 7, 12), 21),
        (date(2026, 10, 25), 21),  # London has changed its clock, New York has not
        (date(2026, 11, 1), 22),  # the very Sunday summer time ends
        (date(2012, 12, 2), 22),
    ],
)
def test_forex_opens_on_sunday_by_new_yorks_clock(sunday: date, opens: int) -> None:
    assert FOREX.open_spans_of_day(sunday) == [(day_start_ms(sunday) + opens * HOUR, day_start_ms(sunday) + DAY_MS)]


@pytest.mark.parametrize(("friday", "closes"), [(date(2026, 1, 9), 22), (date(2026, 7, 10), 21)])
def test_forex_closes_on_friday_by_new_yorks_clock(friday: date, closes: int) -> None:
    assert FOREX.open_ms(day_start_ms(friday), day_start_ms(friday) + DAY_MS) == closes * HOUR
    assert not FOREX.is_open_on(friday + timedelta(days=1))


@given(days)
def test_forex_is_open_120_hours_a_week_but_for_the_two_clock_changes(day: date) -> None:
    monday = day_start_ms(day - timedelta(days=day.weekday()))
    open_ms = FOREX.open_ms(monday - DAY_MS, monday + 6 * DAY_MS)
    assert open_ms == 120 * HOUR


@given(days, st.integers(0, 5))
def test_a_range_is_the_sum_of_its_days(first: date, count: int) -> None:
    start = day_start_ms(first)
    whole = FOREX.open_ms(start, start + (count + 1) * DAY_MS)
    assert whole == sum(
        end - begin
        for offset in range(count + 1)
        for begin, end in FOREX.open_spans_of_day(first + timedelta(days=offset))
    )


@given(days)
def test_always_open_is(day: date) -> None:
    assert ALWAYS_OPEN.open_spans_of_day(day) == [(day_start_ms(day), day_start_ms(day) + DAY_MS)]


def test_touching_sessions_are_one_span_and_a_daily_break_is_two() -> None:
    assert spans(FOREX, date(2026, 1, 14)) == [("14 00:00", "15 00:00")]
    gold = SessionCalendar(
        "America/New_York", tuple(WeeklySession(day, time(18), time(17), open_days_before=1) for day in range(5))
    )
    assert spans(gold, date(2026, 1, 14)) == [("14 00:00", "14 22:00"), ("14 23:00", "15 00:00")]


def test_holidays_are_cut_out_wherever_they_lie() -> None:
    start = day_start_ms(date(2026, 1, 14))

    def open_with(*holidays: tuple[int, int]) -> list[tuple[int, int]]:
        calendar = SessionCalendar(FOREX.timezone, FOREX.sessions, holidays)
        return [((a - start) // HOUR, (b - start) // HOUR) for a, b in calendar.open_spans(start, start + DAY_MS)]

    assert open_with((start + 2 * HOUR, start + 4 * HOUR)) == [(0, 2), (4, 24)]
    assert open_with((start - 9 * HOUR, start + 4 * HOUR)) == [(4, 24)]
    assert open_with((start + 20 * HOUR, start + 99 * HOUR)) == [(0, 20)]
    assert open_with((start - HOUR, start + 99 * HOUR)) == []
    assert open_with((start, start + HOUR), (start + 2 * HOUR, start + 3 * HOUR)) == [(1, 2), (3, 24)]
    assert open_with((start - 5 * HOUR, start)) == [(0, 24)]


def test_a_session_holds_in_its_era_only() -> None:
    change = to_ms(datetime(2024, 1, 10, 12, tzinfo=UTC))
    calendar = SessionCalendar(
        "UTC",
        (
            *(WeeklySession(day, time(8), time(16), valid_to_ms=change) for day in range(5)),
            *(WeeklySession(day, time(9), time(22), valid_from_ms=change) for day in range(5)),
        ),
    )
    assert spans(calendar, date(2024, 1, 9)) == [("09 08:00", "09 16:00")]
    assert spans(calendar, date(2024, 1, 10)) == [("10 08:00", "10 22:00")]
    assert spans(calendar, date(2024, 1, 11)) == [("11 09:00", "11 22:00")]


def test_session_that_ends_a_day_later() -> None:
    calendar = SessionCalendar("UTC", (WeeklySession(2, time(20), time(4), closes_days_before=-1),))
    assert spans(calendar, date(2026, 1, 14)) == [("14 20:00", "15 00:00")]
    assert spans(calendar, date(2026, 1, 15)) == [("15 00:00", "15 04:00")]
