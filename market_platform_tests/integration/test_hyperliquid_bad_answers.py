"""Hyperliquid's past from an exchange that answers badly: right, stated to be incomplete, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    RateLimitedError,
)
from market_platform.domain.intervals import MINUTE_MS, parse_interval
from market_platform.exchanges.day_rows import HOUR_MS
from market_platform_tests.fixtures.bad_exchange import Answer
from market_platform_tests.fixtures.history_rows import rows_of, span, states
from market_platform_tests.fixtures.hyperliquid_past import DAYS, Hyperliquid, candles_of, fundings_of
from market_platform_tests.fixtures.scripted_past import backwards, overlapping, row_twice, stuck
from market_platform_tests.recordings import recording

MINUTE = parse_interval("1m")

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.mark.parametrize("series", [candles_of, fundings_of])
def test_short_pages_are_followed_to_the_end(series: Callable[[Hyperliquid], Any]) -> None:
    server = Hyperliquid(most=20)
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "available")
    assert [each.count for each in got.days] == [24, 24, 24]
    assert len(server.asked) == 4
    assert len(got.days[0].inputs) == 2  # the pages it was on, not those of others


@pytest.mark.parametrize("series", [candles_of, fundings_of])
@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(status=500, body=b"null"),
        Answer(b"[", cut=0),
        Answer(reset=True),
        Answer(b"not JSON"),
    ],
)
def test_one_failure_is_asked_again(series: Callable[[Hyperliquid], Any], fault: Answer) -> None:
    server = Hyperliquid()
    server.faults = [fault]
    assert states(series(server)) == dict.fromkeys(DAYS, "available")
    assert len(server.asked) == 2


@pytest.mark.parametrize("series", [candles_of, fundings_of])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Answer(status=429, headers={"Retry-After": "600"}), RateLimitedError),
        (Answer(status=503), ExchangeUnavailableError),
        (Answer(b'[{"t": 1}]'), BadPayloadError),
    ],
)
def test_failures_that_stay_fail_their_days_with_a_type(
    series: Callable[[Hyperliquid], Any], fault: Answer, kind: type[Exception]
) -> None:
    server = Hyperliquid()
    server.faults = [fault] * 5
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, kind.__name__)
    assert got.days == ()


@pytest.mark.parametrize("series", [candles_of, fundings_of])
def test_an_hour_that_is_not_there_is_named(series: Callable[[Hyperliquid], Any]) -> None:
    server = Hyperliquid()
    hole = day_start_ms(DAYS[1]) + 5 * HOUR_MS
    server.silent = [hole]
    got = series(server)
    assert list(states(got).values()) == ["available", "degraded", "available"]
    assert (got.days[1].count, got.days[1].missing) == (23, (hole,))
    assert got.days[1].reason


@pytest.mark.parametrize("series", [candles_of, fundings_of])
def test_a_day_without_a_row_is_missing(series: Callable[[Hyperliquid], Any]) -> None:
    server = Hyperliquid()
    start = day_start_ms(DAYS[1])
    server.silent = range(start, start + 24 * HOUR_MS, HOUR_MS)
    got = series(server)
    assert list(states(got).values()) == ["available", "missing", "available"]
    assert len(got.days[1].missing) == 24


@pytest.mark.parametrize("series", [candles_of, fundings_of])
@pytest.mark.parametrize("how", ["a row twice", "backwards"])
def test_a_page_in_disorder_is_refused(series: Callable[[Hyperliquid], Any], how: str) -> None:
    server = Hyperliquid()
    server.meddle = row_twice if how == "a row twice" else backwards
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "BadPayloadError")
    assert ("comes twice" if how == "a row twice" else "out of order") in str(got.failures[DAYS[0]])


def test_a_page_that_overlaps_the_one_before_gives_each_candle_once() -> None:
    server = Hyperliquid(most=30)
    server.meddle = overlapping()
    got = candles_of(server)
    assert states(got) == dict.fromkeys(DAYS, "available")
    assert [row[0] for row in rows_of(got)] == list(range(*span(DAYS[0], DAYS[-1]), HOUR_MS))


def test_a_page_that_overlaps_the_one_before_gives_each_rate_once() -> None:
    server = Hyperliquid(most=30)
    server.meddle = overlapping()
    got = fundings_of(server)
    assert states(got) == dict.fromkeys(DAYS, "available")
    assert [row.time_ms for day in got.days for row in day.rows] == list(range(*span(DAYS[0], DAYS[-1]), HOUR_MS))


def test_the_same_page_again_fails_what_it_should_have_brought_and_keeps_the_days_before() -> None:
    server = Hyperliquid(most=30)
    server.meddle = stuck()
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "BadPayloadError", "BadPayloadError"]
    assert "a page of other times" in str(got.failures[DAYS[1]])


def test_a_block_that_fails_leaves_the_others() -> None:
    server = Hyperliquid()
    server.faults = [Answer(status=502)] * 5
    days = days_between(date(2026, 10, 20), date(2026, 11, 17))
    got = fundings_of(server, days)
    assert list(states(got).values()).count("available") == 9
    assert {day for day, state in states(got).items() if state == "ExchangeUnavailableError"} == set(days[:20])


def test_a_wrong_number_is_refused() -> None:
    for change in ({"c": "99"}, {"o": "-1"}, {"i": "1m"}, {"v": 1.5}):
        server = Hyperliquid()
        server.meddle = lambda rows, change=change: [{**each, **change} for each in rows]  # type: ignore[misc]
        assert states(candles_of(server)) == dict.fromkeys(DAYS, "BadPayloadError")
    server = Hyperliquid()
    server.meddle = lambda rows: [{**each, "coin": "ETH"} for each in rows]
    assert "a rate of another coin" in str(fundings_of(server).failures[DAYS[0]])


def test_a_number_that_can_t_be_stored_exactly_fails_its_day_alone() -> None:
    server = Hyperliquid()
    noon = day_start_ms(DAYS[1]) + 12 * HOUR_MS
    fine = {"v": "1.5000000000000000001"}
    server.meddle = lambda rows: [{**each, **fine} if each.get("t") == noon else each for each in rows]
    got = candles_of(server)
    assert list(states(got).values()) == ["available", "available", "BadPayloadError"]
    assert states(got)[DAYS[1]] == "BadPayloadError"
    assert "more than 18 decimals" in str(got.failures[DAYS[1]])


def test_a_young_market_has_nothing_before_its_first_candle() -> None:
    server = Hyperliquid()
    listed = day_start_ms(DAYS[1]) + 10 * HOUR_MS
    server.silent = range(0, listed, HOUR_MS)
    got = candles_of(server)
    assert list(states(got).values()) == ["missing", "degraded", "available"]
    assert {each.reason for each in got.days[:2]} == {"Hyperliquid's first candle of it is of 2026-11-16 10:00 UTC"}
    assert got.days[0].condition is Condition.MISSING


def test_a_day_that_the_edge_has_cut_is_asked_for_from_the_edge_on() -> None:
    """So that the answer to the whole day's question, which is another one, is not taken for what it was made of."""
    server = Hyperliquid()
    got = candles_of(server, MINUTE)
    edge = server.now_ms - 4999 * MINUTE_MS
    assert list(states(got).values()) == ["degraded", "available", "available"]
    assert [each["req"]["startTime"] for each in server.asked] == [0, edge]
    assert got.days[0].missing == tuple(range(day_start_ms(DAYS[0]), edge, MINUTE_MS))


def test_questions_are_the_days_own_so_that_answers_can_be_compared() -> None:
    server = Hyperliquid()
    got = candles_of(server)
    start, end = span(DAYS[0], DAYS[-1])
    asked = {"coin": "BTC", "interval": "1h", "startTime": start, "endTime": end - HOUR_MS}
    assert server.asked == [{"type": "candleSnapshot", "req": asked}]
    question = json.dumps(server.asked[0], separators=(",", ":"))
    assert got.days[0].inputs[0].name == f"POST /info {question}"


def test_the_recorded_fundings_are_understood_those_of_every_eight_hours_too() -> None:
    text = recording("hyperliquid/sdk_cassettes/test_get_funding_history[1684811870000].yaml").read_text()
    bodies = [line.strip().removeprefix("string: ").strip("'") for line in text.splitlines() if "string: " in line]
    rows = json.loads(bodies[-1])
    days = days_between(date(2023, 5, 15), date(2023, 5, 21))
    start, end = span(days[0], days[-1])
    body = json.dumps([each for each in rows if start <= each["time"] < end]).encode()
    server = Hyperliquid()
    server.faults = [Answer(body), Answer(b"[]")]
    got = fundings_of(server, days)
    assert states(got) == dict.fromkeys(days, "available")
    assert [each.count for each in got.days] == [3] * 7
    first = next(each for each in rows if each["time"] >= start)
    paid = got.days[0].rows[0]
    assert (str(paid.funding_rate), str(paid.premium)) == (first["fundingRate"], first["premium"])
    assert paid.time_ms == first["time"] // MINUTE_MS * MINUTE_MS == start
