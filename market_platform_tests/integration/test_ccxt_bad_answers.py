"""The past through CCXT of an exchange that answers badly: right, stated to be incomplete, or refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.errors import (
    ExchangeUnavailableError,
    RateLimitedError,
)
from market_platform.domain.intervals import DAY_MS
from market_platform.exchanges.ccxt.history import INTEREST_MS
from market_platform_tests.fixtures.bad_exchange import Answer
from market_platform_tests.fixtures.ccxt_world import (
    DAYS,
    HOUR_MS,
    Binance,
    candles_of,
    fundings_of,
    interest_of,
)
from market_platform_tests.fixtures.history_rows import rows_of, span, states
from market_platform_tests.fixtures.scripted_past import Rows, overlapping, row_twice, stuck

pytestmark = pytest.mark.usefixtures("ccxt_library", "instant_retries")


SERIES = [candles_of, fundings_of, interest_of]
STEPS = {candles_of: HOUR_MS, fundings_of: 8 * HOUR_MS, interest_of: INTEREST_MS}


@pytest.mark.parametrize("series", SERIES)
def test_every_row_of_a_day_comes_exact(series: Callable[..., Any]) -> None:
    server = Binance()
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "available")
    assert [each.count for each in got.days] == [DAY_MS // STEPS[series]] * 3
    assert {each.flags for each in got.days} == {()}
    if series is candles_of:
        row = rows_of(got)[0]
        assert row == (day_start_ms(DAYS[0]), *map(Decimal, ("10", "12.5", "9.5", "11", "1.25")), None)
        assert got.days[0].inputs[0].name.startswith("binance /api/v3/klines?")
    if series is fundings_of:
        first = got.days[0].rows[0]
        assert (first.time_ms, str(first.funding_rate)) == (day_start_ms(DAYS[0]), "0.00010000")
    if series is interest_of:
        first = got.days[0].rows[0]
        assert (str(first.open_interest), str(first.notional_value)) == ("75375.617", "3248828883.7125144")


@pytest.mark.parametrize("series", SERIES)
def test_short_pages_are_followed_to_the_end(series: Callable[..., Any]) -> None:
    server = Binance(most={candles_of: 20, fundings_of: 4, interest_of: 100}[series])
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "available")
    assert len(server.asked) >= 3


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429, headers={"Retry-After": "0"}, body=b'{"code":-1003,"msg":"Too many requests."}'),
        Answer(status=502),
        Answer(b"[[1]]", cut=2),
        Answer(reset=True),
        Answer(b"<html>busy</html>", content_type="text/html"),
        Answer(b"[[17000", content_type="application/json"),
    ],
)
def test_one_failure_is_asked_again(series: Callable[..., Any], fault: Answer) -> None:
    server = Binance()
    server.faults = [fault]
    assert states(series(server)) == dict.fromkeys(DAYS, "available")


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Answer(status=418, headers={"Retry-After": "600"}, body=b'{"code":-1003,"msg":"banned"}'), RateLimitedError),
        (Answer(status=503), ExchangeUnavailableError),
    ],
)
def test_failures_that_stay_fail_their_days_with_a_type(
    series: Callable[..., Any], fault: Answer, kind: type[Exception]
) -> None:
    server = Binance()
    server.faults = [fault] * 20
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, kind.__name__)
    assert got.days == ()


@pytest.mark.parametrize("series", SERIES)
def test_a_row_that_is_not_there_is_named(series: Callable[..., Any]) -> None:
    server = Binance()
    hole = day_start_ms(DAYS[1]) + STEPS[series]
    server.silent = [hole]
    got = series(server)
    assert list(states(got).values()) == ["available", "degraded", "available"]
    assert got.days[1].missing == (hole,)
    assert "or it lost it" in got.days[1].reason


@pytest.mark.parametrize("series", SERIES)
def test_a_day_without_a_row_is_missing_and_the_next_one_still_comes(series: Callable[..., Any]) -> None:
    server = Binance(most=24)
    start = day_start_ms(DAYS[1])
    server.silent = range(start, start + DAY_MS, STEPS[series])
    assert list(states(series(server)).values()) == ["available", "missing", "available"]


@pytest.mark.parametrize("series", SERIES)
def test_a_row_that_comes_twice_is_refused(series: Callable[..., Any]) -> None:
    server = Binance()
    server.meddle = lambda rows: [*rows[:2], rows[1], *rows[2:]]
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "BadPayloadError")
    assert "comes twice" in str(got.failures[DAYS[0]])


def test_a_page_that_overlaps_the_one_before_gives_each_candle_once() -> None:
    server = Binance(most=30)
    server.meddle = overlapping()
    got = candles_of(server)
    assert [row[0] for row in rows_of(got)] == list(range(*span(DAYS[0], DAYS[-1]), HOUR_MS))


def test_the_same_page_again_leaves_a_hole_that_is_told() -> None:
    """CCXT drops rows before what was asked for, so a page that comes again is an answer without rows."""
    server = Binance(most=30)
    server.meddle = stuck()
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "degraded", "missing"]
    assert [len(each.missing) for each in got.days] == [0, 18, 24]


def test_an_exchange_that_serves_only_the_newest_says_from_when() -> None:
    server = Binance()
    server.newest_only = True
    server.oldest_ms = day_start_ms(DAYS[2])
    got = candles_of(server)
    assert list(states(got).values()) == ["missing", "missing", "available"]
    server.oldest_ms += DAY_MS
    got = candles_of(server)
    assert list(states(got).values()) == ["missing"] * 3
    assert (
        "binance answers with rows from 2026-11-18 00:00 UTC on: it serves none so old, or had none"
        in got.days[0].reason
    )
    assert len(got.days[0].missing) == 24


def test_what_an_exchange_does_not_serve_is_not_asked_for_again() -> None:
    server = Binance()
    server.newest_only = True
    server.oldest_ms = day_start_ms(DAYS[2])
    days = days_between(date(2026, 6, 1), DAYS[2])
    got = candles_of(server, days)
    assert list(states(got).values()) == ["missing"] * (len(days) - 1) + ["available"]
    assert len(server.asked) == 2


def test_rows_that_come_twice_are_refused_on_a_page_of_later_times_too() -> None:
    server = Binance()
    server.newest_only = True
    server.oldest_ms = day_start_ms(DAYS[2]) + DAY_MS
    server.meddle = row_twice
    assert states(candles_of(server)) == dict.fromkeys(DAYS, "BadPayloadError")


def test_a_page_that_fails_leaves_the_days_before_it() -> None:
    server = Binance(most=30)
    pages: list[int] = []

    def wrong_later(rows: Rows) -> Rows:
        pages.append(len(rows))
        return rows if len(pages) == 1 else row_twice(rows)

    server.meddle = wrong_later
    assert list(states(candles_of(server)).values()) == ["available", "BadPayloadError", "BadPayloadError"]


def test_a_block_that_fails_leaves_the_others() -> None:
    server = Binance()
    server.faults = [Answer(status=502)] * 2
    days = days_between(date(2026, 9, 1), date(2026, 11, 17))
    got = candles_of(server, days, attempts=2)
    failed = [day for day, state in states(got).items() if state != "available"]
    assert failed == days[:41]
    assert len(got.days) == len(days) - 41


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({4: "99.00"}, "close 99.00 is not between"),
        ({1: "-1"}, "a price is -1"),
        ({2: "NaN"}, "high is NaN"),
        ({3: "low"}, "low is 'low', which is no number"),
        ({5: None}, "volume is None"),
    ],
)
def test_a_wrong_candle_is_refused(change: dict[int, Any], says: str) -> None:
    server = Binance()
    server.meddle = lambda rows: [*rows[:-1], [change.get(place, value) for place, value in enumerate(rows[-1])]]
    got = candles_of(server, attempts=1)
    assert states(got) == dict.fromkeys(DAYS, "BadPayloadError")
    assert says in str(got.failures[DAYS[0]])


def test_a_number_that_can_t_be_stored_exactly_fails_its_day_alone() -> None:
    server = Binance()
    noon = day_start_ms(DAYS[1]) + 12 * HOUR_MS
    server.meddle = lambda rows: [
        [*each[:5], "1.5000000000000000001", *each[6:]] if each[0] == noon else each for each in rows
    ]
    got = candles_of(server)
    assert [got.failures.keys(), len(got.days)] == [{DAYS[1]}, 2]
    assert "more than 18 decimals" in str(got.failures[DAYS[1]])


def test_a_candle_off_its_grid_is_refused() -> None:
    server = Binance()
    server.meddle = lambda rows: [[each[0] + 1, *each[1:]] for each in rows]
    got = candles_of(server, attempts=1)
    assert "is not where a candle of 1h opens" in str(got.failures[DAYS[0]])
