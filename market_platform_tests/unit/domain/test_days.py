"""An empty hour is closed, unpublished or absent, never guessed; a day's condition follows from its hours."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from market_platform.domain.clock import day_start_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.days import FetchedDay, HourReport, HourState, Instrument, classify_day, hour_state
from market_platform.domain.sessions import FOREX, SessionCalendar
from market_platform.domain.ticks import Ticks

HOUR = 3_600_000
MONDAY, SATURDAY, SUNDAY = (day_start_ms(date(2019, 2, day)) for day in (4, 2, 3))
LATER = datetime(2019, 3, 1, tzinfo=UTC)


def state(rows: int, start_ms: int, now: datetime = LATER, first_tick_ms: int | None = None) -> HourState:
    return hour_state(rows, start_ms, FOREX, now, 2 * HOUR, first_tick_ms)


def test_hour_with_ticks_is_full_whatever_the_calendar_says() -> None:
    assert state(1, MONDAY) is HourState.FULL
    assert state(1, SATURDAY) is HourState.FULL


def test_empty_hour_of_a_closed_market_is_closed_at_once() -> None:
    assert state(0, SATURDAY + 5 * HOUR) is HourState.CLOSED
    assert state(0, SUNDAY + 21 * HOUR) is HourState.CLOSED
    assert state(0, SUNDAY + 22 * HOUR) is HourState.ABSENT
    assert state(0, SATURDAY, now=datetime(2019, 2, 2, tzinfo=UTC)) is HourState.CLOSED


def test_empty_hour_of_an_open_market_is_unpublished_until_the_exchange_has_had_its_time() -> None:
    assert state(0, MONDAY, now=datetime(2019, 2, 4, 0, 30, tzinfo=UTC)) is HourState.UNPUBLISHED
    assert state(0, MONDAY, now=datetime(2019, 2, 4, 2, 59, 59, tzinfo=UTC)) is HourState.UNPUBLISHED
    assert state(0, MONDAY, now=datetime(2019, 2, 4, 3, 0, tzinfo=UTC)) is HourState.ABSENT


def test_hour_open_for_less_than_half_is_not_expected_to_have_ticks() -> None:
    holiday = SessionCalendar(FOREX.timezone, FOREX.sessions, ((MONDAY, MONDAY + HOUR // 2 + 1),))
    assert hour_state(0, MONDAY, holiday, LATER, 0) is HourState.CLOSED
    shorter = SessionCalendar(FOREX.timezone, FOREX.sessions, ((MONDAY, MONDAY + HOUR // 2),))
    assert hour_state(0, MONDAY, shorter, LATER, 0) is HourState.ABSENT


def test_an_hour_that_was_open_for_minutes_may_still_be_published() -> None:
    minutes = SessionCalendar(FOREX.timezone, FOREX.sessions, ((MONDAY, MONDAY + HOUR - 60_000),))
    in_the_hour, soon_after = (datetime(2019, 2, 4, hour, 30, tzinfo=UTC) for hour in (0, 1))
    assert hour_state(0, MONDAY, minutes, in_the_hour, 2 * HOUR) is HourState.UNPUBLISHED
    assert hour_state(0, MONDAY, minutes, soon_after, 2 * HOUR) is HourState.UNPUBLISHED
    assert hour_state(0, MONDAY, minutes, LATER, 2 * HOUR) is HourState.CLOSED


def test_an_open_hour_before_the_symbols_history_is_not_closed() -> None:
    assert state(0, MONDAY, first_tick_ms=MONDAY + HOUR) is HourState.BEFORE_HISTORY
    assert state(0, SATURDAY, first_tick_ms=MONDAY) is HourState.CLOSED
    assert state(0, MONDAY, first_tick_ms=MONDAY + HOUR - 1) is HourState.ABSENT


def hours(*states: HourState) -> tuple[HourReport, ...]:
    return tuple(HourReport(MONDAY + hour * HOUR, each, 0, "", 0, "json") for hour, each in enumerate(states))


BEFORE = HourState.BEFORE_HISTORY
FULL, CLOSED, UNPUBLISHED, ABSENT = HourState.FULL, HourState.CLOSED, HourState.UNPUBLISHED, HourState.ABSENT


@pytest.mark.parametrize(
    ("states", "condition"),
    [
        ((FULL,) * 24, Condition.AVAILABLE),
        ((CLOSED,) * 22 + (FULL,) * 2, Condition.AVAILABLE),
        ((CLOSED,) * 24, Condition.CLOSED),
        ((FULL,) * 23 + (ABSENT,), Condition.DEGRADED),
        ((CLOSED,) * 12 + (ABSENT,) * 12, Condition.MISSING),
        ((BEFORE,) * 24, Condition.MISSING),
        ((CLOSED,) * 2 + (BEFORE,) * 22, Condition.MISSING),
        ((BEFORE,) * 12 + (FULL,) * 12, Condition.AVAILABLE),
        ((ABSENT,) * 24, Condition.MISSING),
        ((FULL,) * 23 + (UNPUBLISHED,), Condition.PENDING),
        ((ABSENT,) * 23 + (UNPUBLISHED,), Condition.PENDING),
        ((UNPUBLISHED,) * 24, Condition.PENDING),
    ],
)
def test_condition_of_a_day(states: tuple[HourState, ...], condition: Condition) -> None:
    assert classify_day(hours(*states)) is condition


def test_fetched_day_names_its_incomplete_hours() -> None:
    instrument = Instrument("EURUSD", "EUR-USD", 5, FOREX)
    day = FetchedDay(date(2019, 2, 4), instrument, Ticks.empty(5), hours(FULL, ABSENT, CLOSED, UNPUBLISHED))
    assert day.incomplete_hours == [1, 3]
    assert day.condition is Condition.PENDING


def test_only_available_and_closed_days_are_final() -> None:
    assert {each for each in Condition if each.is_final} == {Condition.AVAILABLE, Condition.CLOSED}
