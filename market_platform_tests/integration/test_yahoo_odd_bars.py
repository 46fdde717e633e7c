"""Yahoo's bars gone wrong, by a scripted server: right rows, and a day that says what it lacks or left out."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import parse_interval
from market_platform_tests.fixtures.bad_exchange import BadExchange, json_answer
from market_platform_tests.fixtures.yahoo_past import (
    OPEN_S,
    PAIR,
    PATH,
    SESSION,
    answering,
    ask,
    chart,
    daily,
    fetch,
    replaced,
    session,
    without,
)

pytestmark = pytest.mark.usefixtures("instant_retries")


def test_nulls_are_missing_bars_of_which_yahoo_says_so_itself() -> None:
    columns = session()
    for name in ("open", "high", "low", "close", "volume"):
        columns[name][5] = None
    columns["close"][7] = None
    day = fetch(json_answer(chart("15m", columns)))[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 24)
    assert day.missing == (SESSION.opens_ms + 5 * 900_000, SESSION.opens_ms + 7 * 900_000)
    assert "Yahoo says itself" in day.reason


def test_half_hours_of_a_null_quarter_are_those_of_the_other_and_unknown_ones_are_left_out() -> None:
    nothing = session()
    for name in ("open", "high", "low", "close", "volume"):
        nothing[name][2] = None
    day = fetch(json_answer(chart("15m", nothing)), interval="30m")[0].days[0]
    assert (day.condition, day.count, day.missing) == (Condition.AVAILABLE, 13, ())
    assert float(day.rows["open"][1]) == 190.3
    day = fetch(json_answer(chart("15m", without(session(), 2))), interval="30m")[0].days[0]
    assert (day.condition, day.count, day.missing) == (Condition.DEGRADED, 12, (SESSION.opens_ms + 1_800_000,))


def test_a_bar_that_is_not_even_listed_makes_the_day_degraded() -> None:
    day = fetch(json_answer(chart("15m", without(session(), 9))))[0].days[0]
    assert (day.condition, day.count) == (Condition.DEGRADED, 25)
    assert day.missing == (SESSION.opens_ms + 9 * 900_000,)
    assert "1 of the 26 bars" in day.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [("high", 180.0), ("low", 200.0), ("low", 190.4), ("open", -190.0), ("close", 0)],
    ids=["high", "low", "low above open", "-", "0"],
)
def test_an_impossible_bar_is_left_out_named_and_missing(name: str, value: float) -> None:
    day = fetch(replaced(name, 3, value))[0].days[0]
    assert (day.condition, day.count) == (Condition.DEGRADED, 25)
    assert day.missing == (SESSION.opens_ms + 3 * 900_000,)
    assert "was left out" in day.flags[-1]


def test_bars_outside_the_session_are_refused_and_counted() -> None:
    columns = session(29)
    for name in columns:
        columns[name] = columns[name][:1] + columns[name][1:]
    columns["time"] = [OPEN_S - 900, *columns["time"][:-1]]
    day = fetch(json_answer(chart("15m", columns, regularMarketTime=OPEN_S + 90_000)))[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 26)
    assert "3 bars outside the sessions were refused" in day.flags[0]


def test_the_price_of_the_moment_at_the_end_is_no_bar_and_no_alarm() -> None:
    columns = session(27)
    columns["time"][-1] = OPEN_S + 23_401
    day = fetch(json_answer(chart("15m", columns, regularMarketTime=OPEN_S + 23_401)))[0].days[0]
    assert (day.condition, day.count, day.flags) == (Condition.AVAILABLE, 26, ())


def test_a_row_off_the_grid_that_is_not_the_last_is_no_price_of_the_moment() -> None:
    columns = session(28)
    columns["time"][-2:] = [OPEN_S + 23_401, OPEN_S + 23_402]
    day = fetch(json_answer(chart("15m", columns, regularMarketTime=OPEN_S + 23_402)))[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 26)
    assert "1 bars outside the sessions were refused" in day.flags[0]


def test_the_last_bar_may_come_twice_with_one_time_and_the_first_counts() -> None:
    columns = session()
    for name, values in columns.items():
        values.append(values[-1] if name in ("time", "volume") else values[-1] + 1)
    day = fetch(json_answer(chart("15m", columns)))[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 26)
    assert float(day.rows["close"][-1]) == session()["close"][-1]


def test_nulls_between_the_end_of_a_range_and_now_are_no_bars_and_no_alarm() -> None:
    columns = session(28)
    for name in ("open", "high", "low", "close", "volume"):
        columns[name][26:] = [None, None]
    day = fetch(json_answer(chart("15m", columns)))[0].days[0]
    assert (day.condition, day.count, day.flags) == (Condition.AVAILABLE, 26, ())


def test_bars_on_a_holiday_are_refused_and_the_closed_day_says_so() -> None:
    """Juneteenth 2026 lies between two sessions that are asked for; now is the Monday after."""
    columns = session()
    columns["time"] = [second + 2 * 86_400 for second in columns["time"]]
    now, days = datetime(2026, 6, 22, 22, 0, tzinfo=UTC), days_between(date(2026, 6, 18), date(2026, 6, 22))
    answer = json_answer(chart("15m", columns, regularMarketTime=OPEN_S + 5 * 86_400 + 23_400))
    with BadExchange({PATH: answering([answer])}) as exchange:
        found = ask(exchange.url, lambda it: it.candles(PAIR, parse_interval("15m"), days), now)
    holiday = found.days[1]
    assert (holiday.day, holiday.condition, holiday.count) == (date(2026, 6, 19), Condition.CLOSED, 0)
    assert "26 bars outside the sessions were refused" in holiday.flags[0]


def test_a_hundredfold_bar_is_kept_and_the_day_is_degraded() -> None:
    columns = session()
    for name in ("open", "high", "low", "close"):
        columns[name][4] *= 100
    day = fetch(json_answer(chart("15m", columns)))[0].days[0]
    assert (day.condition, day.count) == (Condition.DEGRADED, 26)
    assert day.flags == (
        "14:30 prices are about 100 times those of the bars around, as if the unit of the currency were another",
    )


def test_a_daily_bar_belongs_to_the_exchanges_day_and_of_the_last_one_twice_the_later_counts() -> None:
    times = [OPEN_S - 86_400, OPEN_S, OPEN_S + 23_401]
    day = fetch(daily(times, [190.1, 190.2, 190.3], regularMarketTime=times[-1]), interval="1d")[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 1)
    assert day.rows["time"][0] == datetime(2026, 6, 17, tzinfo=UTC)
    assert str(day.rows["close"][0]) == "190.300000000000000000"
    assert day.flags == ("the day came twice, and the later bar counts",)


def test_a_daily_bar_dated_an_hour_before_its_midnight_belongs_to_the_day_meant() -> None:
    midnight = int(datetime(2026, 6, 17, 4, tzinfo=UTC).timestamp())
    for early in (0, 3_600, 7_200):
        day = fetch(daily([midnight - early], [190.1]), interval="1d")[0].days[0]
        assert (day.condition, day.count) == (Condition.AVAILABLE, 1)
