"""OANDA's REST side against a real server on localhost that keeps its rules, and breaks them on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeError,
    ExchangeUnavailableError,
    HistoryGoneError,
    MarketPlatformError,
    RateLimitedError,
    UnknownSymbolError,
    is_retryable,
)
from market_platform.domain.events import Candle
from market_platform.domain.intervals import INTERVALS, Interval, bucket_end, bucket_start, parse_interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.live import LiveExchange, LiveRest
from market_platform.exchanges.oanda.config import OandaConfig
from market_platform.exchanges.oanda.exchange import OandaExchange
from market_platform.exchanges.oanda.rest import GRANULARITIES
from market_platform.exchanges.oanda.wire import time_ms
from market_platform_tests.fixtures.answering_exchange import AnsweringExchange, Question
from market_platform_tests.fixtures.scripted_exchange import Reply, json_reply
from market_platform_tests.recordings import recording

Result = TypeVar("Result")
Rows = list[dict[str, Any]]

NOW_MS = to_ms(datetime(2026, 6, 18, 12, 0, 30, tzinfo=UTC))
EURUSD = LivePair(1, "oanda", "EURUSD", "EUR", "USD", "spot", "EUR_USD")
MINUTE, HOUR = parse_interval("1m"), parse_interval("1h")
HERE = bucket_start(NOW_MS, MINUTE)
INTERVAL_OF = {granularity: parse_interval(name) for name, granularity in GRANULARITIES.items()}

pytestmark = pytest.mark.usefixtures("instant_retries")


class Oanda:
    """The server's rules: from a time on, up to `count` candles, none where `closed`, the newest one not complete.

    `meddle` changes the candles of every answer; `faults` come before good answers.
    """

    def __init__(self, *, most: int = 5000) -> None:
        self.most = most
        self.closed = range(0)
        self.faults: list[Reply] = []
        self.asked: list[Question] = []
        self.meddle: Callable[[Rows], Rows] = lambda rows: rows

    def __call__(self, question: Question) -> Reply:
        self.asked.append(question)
        assert question.headers["authorization"] == "Bearer token"
        if self.faults:
            return self.faults.pop(0)
        if question.path == "/v3/accounts/001/instruments":
            return json_reply({"instruments": [{"name": "EUR_USD"}, {"name": "XAU_USD"}], "lastTransactionID": "1"})
        assert question.path == "/v3/instruments/EUR_USD/candles"
        rows = self.meddle(self.rows(**{"from_": question.query["from"], **question.query}))
        return json_reply({"instrument": "EUR_USD", "granularity": question.query["granularity"], "candles": rows})

    def rows(self, *, from_: str, granularity: str, count: str, **others: str) -> Rows:
        aligned = {key: others[key] for key in ("price", "includeFirst", "dailyAlignment", "alignmentTimezone")}
        assert aligned == {"price": "M", "includeFirst": "true", "dailyAlignment": "0", "alignmentTimezone": "UTC"}
        assert others["weeklyAlignment"] == "Monday"
        assert int(count) <= 5000
        interval = INTERVAL_OF[granularity]
        open_ms = bucket_start(time_ms(from_, "test"), interval)
        rows: Rows = []
        while open_ms <= NOW_MS and len(rows) < min(int(count), self.most):
            if open_ms not in self.closed:
                rows.append(row(open_ms, interval))
            open_ms = bucket_end(open_ms, interval)
        return rows


def row(open_ms: int, interval: Interval = MINUTE) -> dict[str, Any]:
    """A candle that its open time tells."""
    price = 20_000 + open_ms // 60_000 % 1000
    return {
        "time": from_ms(open_ms).strftime("%Y-%m-%dT%H:%M:%S.000000000Z"),
        "volume": 481,
        "complete": bucket_end(open_ms, interval) <= NOW_MS,
        "mid": {"o": f"1.{price}", "h": f"1.{price + 20}", "l": f"1.{price - 20}", "c": f"1.{price + 10}"},
    }


def ask(server: Callable[[Question], Reply], work: Callable[[LiveRest], Awaitable[Result]], **more: Any) -> Result:
    """What `work` gets of an exchange that asks that server."""

    async def run() -> Result:
        async with AnsweringExchange(server) as running:
            exchange: LiveExchange = OandaExchange(OandaConfig(running.url, running.url, "token", "001", **more))
            async with exchange.rest() as rest:
                return await work(rest)

    return asyncio.run(run())


def minutes(server: Callable[[Question], Reply], first: int, last: int, **more: Any) -> list[Candle]:
    """The minutes from `first` to `last` (excluded), counted from now's own."""
    return ask(server, lambda rest: rest.candles(EURUSD, MINUTE, HERE + first * 60_000, HERE + last * 60_000), **more)


def test_complete_candles_come_sorted_and_digit_for_digit() -> None:
    server = Oanda()
    candles = minutes(server, -10, 1)
    assert [each.open_ms for each in candles] == [HERE + at * 60_000 for at in range(-10, 0)]
    assert {(each.closed, each.num_trades, each.volume) for each in candles} == {(True, 481, Decimal(481))}
    assert str(candles[0].open) == row(candles[0].open_ms)["mid"]["o"]
    assert len(server.asked) == 1


def test_one_candle_is_one_request() -> None:
    server = Oanda()
    assert [each.open_ms for each in minutes(server, -1, 0)] == [HERE - 60_000]
    assert len(server.asked) == 1


def test_a_moment_that_its_clock_has_not_reached_has_no_candles_yet() -> None:
    server = Oanda()
    told = "Invalid value specified for 'to'. Time is in the future"
    server.faults = [json_reply({"errorMessage": told}, status=400)]
    assert minutes(server, 1, 2) == []
    assert len(server.asked) == 1


def test_every_interval_is_asked_for_by_its_own_name() -> None:
    for interval in INTERVALS:
        start = bucket_start(NOW_MS - 3 * interval.ms, interval)
        candles = ask(Oanda(), _candles_of(interval, start))
        assert [each.interval for each in candles] == [interval.name] * 3
        assert candles[0].open_ms == start


def _candles_of(interval: Interval, start: int) -> Callable[[LiveRest], Awaitable[list[Candle]]]:
    return lambda rest: rest.candles(EURUSD, interval, start, NOW_MS)


def test_a_long_range_comes_in_pages() -> None:
    server = Oanda()
    assert len(minutes(server, -11_000, 0)) == 11_000
    assert [question.query["count"] for question in server.asked] == ["5000", "5000", "1001"]


def test_closed_hours_cost_no_requests_and_make_no_candles() -> None:
    server = Oanda()
    server.closed = range(HERE - 9_000 * 60_000, HERE - 300 * 60_000)
    assert len(minutes(server, -9_600, 0)) == 900
    assert len(server.asked) == 1


def test_a_market_closed_to_the_end_ends_with_an_empty_answer() -> None:
    server = Oanda()
    server.closed = range(HERE - 300 * 60_000, NOW_MS)
    assert len(minutes(server, -600, 0)) == 300
    assert len(server.asked) == 2


@pytest.mark.parametrize("fault", ["short pages", "one less", "one earlier", "each twice", "backwards"])
def test_pages_that_are_short_or_overlap_give_each_candle_once(fault: str) -> None:
    server = Oanda(most=500 if fault == "short pages" else 5000)
    server.meddle = {
        "short pages": lambda rows: rows,
        "one less": lambda rows: rows[:-1],
        "one earlier": lambda rows: [row(time_ms(rows[0]["time"], "") - 60_000), *rows],
        "each twice": lambda rows: [each for each in rows for _ in range(2)],
        "backwards": lambda rows: rows[::-1],
    }[fault]
    candles = minutes(server, -1200, 0)
    assert [each.open_ms for each in candles] == [HERE + at * 60_000 for at in range(-1200, 0)]


def test_it_waits_when_told_to_and_asks_again_after_a_failure() -> None:
    server = Oanda()
    server.faults = [
        Reply(status=429, headers={"Retry-After": "0"}),
        Reply(status=503),
        Reply(b"<html>"),
        Reply(reset=True),
    ]
    assert len(minutes(server, -3, 0)) == 3
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (Reply(status=429), RateLimitedError, "HTTP 429.*tried 5 times"),
        (Reply(status=500), ExchangeUnavailableError, "HTTP 500"),
        (Reply(status=202), ExchangeUnavailableError, "HTTP 202"),
        (
            json_reply({"errorMessage": "Insufficient authorization"}, status=401),
            ExchangeError,
            "OANDA_API_KEY.*Insufficient",
        ),
        (json_reply({"errorMessage": "Forbidden"}, status=403), ExchangeError, "OANDA_ACCOUNT_ID"),
        (
            json_reply({"errorMessage": "Invalid value specified for 'instrument'"}, status=400),
            UnknownSymbolError,
            "EUR_USD.*does not know",
        ),
        (json_reply({"errorMessage": "Invalid value specified for 'from'"}, status=400), BadPayloadError, "'from'"),
        (Reply(b'{"instrument":"EUR_USD"', announce=False), ExchangeUnavailableError, "perhaps the connection broke"),
    ],
    ids=lambda value: value.label if isinstance(value, Reply) else "",
)
def test_failures_that_stay_are_told_apart(fault: Reply, kind: type[MarketPlatformError], says: str) -> None:
    server = Oanda()
    server.faults = [fault] * 5
    with pytest.raises(kind, match=says):
        minutes(server, -3, 0)


def test_a_wrong_key_is_not_tried_again() -> None:
    server = Oanda()
    server.faults = [Reply(status=401)]
    with pytest.raises(ExchangeError) as raised:
        minutes(server, -3, 0)
    assert not is_retryable(raised.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"volume": "481"}, r"candles\[0\]\.volume"),
        ({"mid": {"o": 1.1, "h": "1.2", "l": "1.0", "c": "1.1"}}, r"candles\[0\]\.mid\.o"),
        ({"mid": {"o": "0.0", "h": "1.2", "l": "1.0", "c": "1.1"}}, "o is 0.0"),
        ({"mid": {"o": "1.1", "h": "0.9", "l": "1.0", "c": "1.1"}}, "is below low"),
        ({"time": "2026-06-18T11:58:30Z"}, "is not where a candle of 1m opens"),
        ({"time": "soon"}, "neither RFC 3339"),
        ({"complete": 1}, "complete"),
    ],
)
def test_a_wrong_candle_is_refused_naming_the_field(change: dict[str, Any], says: str) -> None:
    server = Oanda()
    server.meddle = lambda rows: [{**each, **change} for each in rows]
    with pytest.raises(BadPayloadError, match=says):
        minutes(server, -3, 0)


def test_no_answer_in_time_is_a_failure() -> None:
    server = Oanda()
    server.faults = [Reply(hang=True)] * 9
    with pytest.raises(ExchangeUnavailableError, match=r"no answer within 0\.3 s"):
        minutes(server, -3, 0, call_budget_s=0.3)


def test_instruments_of_the_account_are_known() -> None:
    assert ask(Oanda(), lambda rest: rest.known_symbols("spot")) == {"EUR_USD", "XAU_USD"}
    assert ask(Oanda(), lambda rest: rest.known_symbols("perps")) == frozenset()


def test_quotes_have_no_history() -> None:
    with pytest.raises(HistoryGoneError, match="no history of its quotes") as raised:
        ask(Oanda(), lambda rest: rest.trades(EURUSD, 1, 2))
    assert raised.value.earliest_ms is None
    assert ask(Oanda(), lambda rest: rest.last_trade_id(EURUSD)) is None
    assert ask(Oanda(), lambda rest: rest.context(EURUSD)) == []


def test_the_recorded_answer_is_understood() -> None:
    """Ten were asked for from a closed hour, nine came: that is how OANDA answers."""
    body = recording("oanda/candles_notebook_1.json").read_bytes()
    start = to_ms(datetime(2017, 1, 1, tzinfo=UTC))
    asked: list[str] = []

    def recorded(question: Question) -> Reply:
        asked.append(question.query["from"])
        return (
            Reply(body)
            if len(asked) == 1
            else json_reply({"instrument": "EUR_USD", "granularity": "H1", "candles": []})
        )

    candles = ask(recorded, lambda rest: rest.candles(EURUSD, HOUR, start, start + 72 * HOUR.ms))
    assert [each.num_trades for each in candles] == [481, 664, 392, 394, 285, 250, 368, 1639, 2830]
    assert asked == ["2017-01-01T00:00:00.000000000Z", "2017-01-03T09:00:00.000000000Z"]
