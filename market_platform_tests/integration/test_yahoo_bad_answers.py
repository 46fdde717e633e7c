"""Yahoo's wrong answers, refusals and outages, by a scripted server: a clear failure, or the right rows once it is over."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ExchangeError,
    ExchangeUnavailableError,
    MarketPlatformError,
    RateLimitedError,
)
from market_platform.domain.intervals import parse_interval
from market_platform.exchanges.yahoo.history import YahooHistory
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, json_answer
from market_platform_tests.fixtures.yahoo_past import (
    DAY,
    GOOD,
    OPEN_S,
    PAIR,
    PATH,
    answering,
    ask,
    bars_asked,
    changed,
    chart,
    daily,
    failure,
    fetch,
    replaced,
    session,
)

JUNE = days_between(date(2026, 6, 1), DAY)

pytestmark = pytest.mark.usefixtures("instant_retries")


def test_what_is_asked_is_bounded_without_extended_hours_and_with_actions() -> None:
    found, (asked,) = fetch(GOOD)
    assert (found.days[0].condition, found.days[0].count) == (Condition.AVAILABLE, 26)
    assert asked.query["includePrePost"] == "false"
    assert asked.query["events"] == "div,splits,capitalGains"
    assert int(asked.query["period1"]) < OPEN_S < OPEN_S + 23_400 < int(asked.query["period2"])


@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(status=429, body=b"Edge: Too Many Requests", content_type="text/html"),
        Answer(status=500),
        Answer(status=502, body=b"<html>"),
        Answer(status=999),
        Answer(status=401, body=b'{"finance":{"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}'),
        Answer(body=json.dumps(chart("15m", session())).encode(), cut=300),
        Answer(reset=True),
        Answer(body=b"Will be right back", content_type="text/html"),
        json_answer({"chart": {"result": None, "error": {"code": "Internal Server Error", "description": "try"}}}),
    ],
    ids=["429", "429 page", "500", "502", "999", "401", "cut", "reset", "page", "error"],
)
def test_a_passing_outage_is_asked_through_and_a_lasting_one_is_a_failure(bad: Answer) -> None:
    found, asked = fetch(bad, bad, GOOD)
    assert (found.days[0].count, len(asked)) == (26, 3)
    error = failure(bad)
    assert isinstance(error, ExchangeUnavailableError)
    assert "tried" in str(error)


def test_a_pause_that_yahoo_orders_is_kept_and_named() -> None:
    error = failure(Answer(status=429, headers={"Retry-After": "3600"}), GOOD)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after is not None
    assert 3500 < error.retry_after <= 3600


@pytest.mark.parametrize(
    "bad",
    [
        changed(time=[*session()["time"][:5], session()["time"][4], *session()["time"][6:]]),
        changed(time=[*session()["time"][:4], session()["time"][5], session()["time"][4], *session()["time"][6:]]),
        changed(close=session()["close"][:-1]),
        changed(volume=[]),
        replaced("open", 3, "NaN"),
        replaced("open", 3, True),
        replaced("volume", 3, -1),
        replaced("close", 3, 10**30),
        replaced("time", 3, 10**12),
        json_answer(chart("1h", session())),
        json_answer(chart("15m", session(), symbol="MSFT")),
        json_answer(chart("15m", session(), exchangeTimezoneName="Mars/Olympus")),
        json_answer({"chart": {"result": [], "error": None}}),
        json_answer({"chart": []}),
        json_answer({}),
        Answer(body=b'{"chart": NaN}'),
    ],
    ids=[
        *("twice", "out of order", "short column", "no column", "text", "bool", "negative volume", "huge", "no time"),
        *("another interval", "another symbol", "another world", "no result", "list", "nothing", "no json"),
    ],
)
def test_a_wrong_answer_fails_the_day_whole(bad: Answer) -> None:
    error = failure(bad)
    assert isinstance(error, BadPayloadError)
    assert "yahoo AAPL 15m" in str(error)


def test_two_daily_bars_of_one_day_are_a_wrong_answer() -> None:
    times = [OPEN_S, OPEN_S + 60, OPEN_S + 86_400]
    found, _ = fetch(daily(times, [190.1, 190.2, 190.3]), interval="1d")
    assert isinstance(found.failures[DAY], BadPayloadError)


def test_a_ticker_that_nothing_can_be_learnt_of_fails_all_days() -> None:
    with BadExchange({PATH: Answer(status=503)}) as exchange:
        found = ask(exchange.url, lambda it: it.candles(PAIR, parse_interval("1d"), JUNE))
    assert (found.days, len(found.failures)) == ((), 17)
    assert all(isinstance(error, ExchangeUnavailableError) for error in found.failures.values())


@pytest.mark.parametrize(
    ("status", "description"),
    [
        (
            422,
            "15m data not available for startTime=1 and endTime=2. The requested range must be within the last 60 days.",
        ),
        (400, "Data doesn't exist for startDate = 1, endDate = 2"),
    ],
)
def test_a_range_that_yahoo_says_is_gone_is_missing_in_its_words(status: int, description: str) -> None:
    error = {"chart": {"result": None, "error": {"code": "Unprocessable Entity", "description": description}}}
    found, asked = fetch(json_answer(error, status=status))
    assert (found.days[0].condition, len(asked)) == (Condition.MISSING, 1)
    assert description[:30] in found.days[0].reason


def test_another_refusal_is_not_asked_again() -> None:
    error = {"chart": {"result": None, "error": {"code": "Bad Request", "description": "Invalid input"}}}
    found, asked = fetch(json_answer(error, status=422))
    assert len(asked) == 1
    assert isinstance(found.failures[DAY], ExchangeError)
    assert "Invalid input" in str(found.failures[DAY])


def test_a_circuit_that_is_open_asks_nothing() -> None:
    async def thrice(history: YahooHistory) -> list[MarketPlatformError]:
        found = [await history.candles(PAIR, parse_interval(name), [DAY]) for name in ("15m", "1m", "5m")]
        return [each.failures[DAY] for each in found]

    with BadExchange({PATH: answering([Answer(status=503)])}) as exchange:
        errors = ask(exchange.url, thrice, refusals_before_pause=2, attempts=2)
        assert len(bars_asked(exchange)) == 2
    assert "circuit" not in str(errors[0])
    assert all(isinstance(each, RateLimitedError) and "circuit" in str(each) for each in errors[1:])


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"exchangeName": "NOWHERE"}, "no calendar"),
        ({"currency": "EUR"}, "set it to EUR"),
        ({"currency": None}, "no currency"),
    ],
)
def test_a_ticker_that_can_not_be_kept_is_refused_before_anything_is_asked(meta: dict[str, Any], told: str) -> None:
    with (
        BadExchange({PATH: json_answer(chart("1d", **meta))}) as exchange,
        pytest.raises(BadRequestError, match=told),
    ):
        ask(exchange.url, lambda it: it.candles(PAIR, parse_interval("1d"), JUNE))
    assert len(exchange.asked(PATH)) == 1
