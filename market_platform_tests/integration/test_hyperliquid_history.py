"""Hyperliquid's past: equal to what the replay exchange really did, and right or refused when an exchange answers badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
import stamina

from market_platform.domain.clock import day_start_ms, days_between, to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ConfigError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryPair
from market_platform.domain.intervals import MINUTE_MS, parse_interval
from market_platform.exchanges.day_rows import HOUR_MS, told
from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
from market_platform.exchanges.hyperliquid.history import HyperliquidHistory
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.hyperliquid.contexts import Contexts
from market_platform.replay.live.limits import LiveLimits
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, clock_from, running_replay
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, Request, json_answer
from market_platform_tests.fixtures.history_rows import rows_of, span, states, truth_rows
from market_platform_tests.fixtures.live_replay import WEDNESDAY
from market_platform_tests.recordings import recording

Result = TypeVar("Result")
Rows = list[dict[str, Any]]

BTC = HistoryPair("hyperliquid", "BTCUSD", "BTC", "USD", "perps")
TODAY = WEDNESDAY.date()
MONDAY, TUESDAY = TODAY - timedelta(2), TODAY - timedelta(1)
MINUTE, HOUR, DAY = (parse_interval(name) for name in ("1m", "1h", "1d"))


@pytest.fixture(autouse=True)
def instant_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    patient = LiveLimits(spot_weight=100_000, usdm_weight=100_000, hyperliquid_weight=100_000)
    with running_replay(world=World(7, ExchangeClock(1.0, clock_from(WEDNESDAY))), limits=patient) as running:
        yield running


def ask(url: str, work: Callable[[HyperliquidHistory], Awaitable[Result]], **more: Any) -> Result:
    """What `work` gets of a history that asks that server."""

    async def run() -> Result:
        async with HyperliquidHistory(HyperliquidConfig(rest_url=url, **more)) as history:
            return await work(history)

    return asyncio.run(run())


# ------------------------------------------------------------------------------------------------- the replay exchange


@pytest.mark.parametrize("interval", [MINUTE, HOUR, DAY])
def test_candles_are_the_exchange_s_own(replay: RunningReplay, interval: Any) -> None:
    days = days_between(MONDAY, TUESDAY)
    got = ask(replay.live_url("hyperliquid_rest"), lambda history: history.candles(BTC, interval, days))
    assert rows_of(got) == truth_rows(replay.truth.candles("hyperliquid", "BTC", interval.name, *span(*days)))
    assert states(got) == dict.fromkeys(days, "available")
    assert all(each.inputs and each.input_version and not each.missing for each in got.days)


def test_the_same_days_have_the_same_input_version_again(replay: RunningReplay) -> None:
    url = replay.live_url("hyperliquid_rest")
    first, again = (ask(url, lambda history: history.candles(BTC, HOUR, [MONDAY, TUESDAY])) for _ in range(2))
    assert [each.input_version for each in first.days] == [each.input_version for each in again.days]


def test_days_beyond_the_newest_5000_candles_are_missing_and_say_from_when_there_are_some(
    replay: RunningReplay,
) -> None:
    days = days_between(TODAY - timedelta(5), TUESDAY)
    earliest = edge_of(replay)
    got = ask(replay.live_url("hyperliquid_rest"), lambda history: history.candles(BTC, MINUTE, days))
    latest = edge_of(replay)
    assert list(states(got).values()) == ["missing", "missing", "degraded", "available", "available"]
    gone, _, partly, *_ = got.days
    assert len(gone.missing) == 1440
    may_be = [told(edge) for edge in range(earliest, latest + 1, MINUTE_MS)]
    assert gone.reason == partly.reason
    assert any(f"the newest 5,000 candles of 1m, from {edge} on" in gone.reason for edge in may_be)
    assert partly.missing[0] == day_start_ms(partly.day)
    assert earliest <= partly.missing[-1] + MINUTE_MS <= latest
    assert partly.count + len(partly.missing) == 1440


def edge_of(replay: RunningReplay) -> int:
    """The first of the newest 5,000 minutes now."""
    now = replay.world.clock.now_ms()
    return now - now % MINUTE_MS - 4999 * MINUTE_MS


def test_a_day_that_is_not_over_by_the_exchange_s_clock_is_pending(replay: RunningReplay) -> None:
    url = replay.live_url("hyperliquid_rest")
    got = ask(url, lambda history: history.candles(BTC, HOUR, [TUESDAY, TODAY]))
    assert states(got) == {TUESDAY: "available", TODAY: "pending"}
    assert "not over yet by Hyperliquid's clock" in got.days[-1].reason
    paid = ask(url, lambda history: history.funding(BTC, [TODAY]))
    assert states(paid) == {TODAY: "pending"}


def test_funding_is_hourly_to_the_minute_with_rate_and_premium_as_the_stream_said(replay: RunningReplay) -> None:
    days = days_between(TODAY - timedelta(25), TUESDAY)
    got = ask(replay.live_url("hyperliquid_rest"), lambda history: history.funding(BTC, days))
    assert states(got) == dict.fromkeys(days, "available")
    rows = [row for day in got.days for row in day.rows]
    start, end = span(days[0], days[-1])
    assert [row.time_ms for row in rows] == list(range(start, end, HOUR_MS))
    market = replay.world.market("hyperliquid", "BTC")
    assert market is not None
    said = Contexts(replay.world.book(market).tape)
    for row in rows[:: 7 * 24 + 1]:
        assert row.time_ms is not None
        rate, premium = said.funding(row.time_ms // 1000)
        assert (row.funding_rate, row.premium) == (Decimal(rate), Decimal(premium))
        assert (row.mark_price, row.oracle_price) == (None, None)  # so that COALESCE leaves what the stream had


@pytest.mark.parametrize("fault", ["429", "503", "reset", "truncate", "garbage", "empty_once"])
def test_a_fault_on_the_way_is_asked_again(replay: RunningReplay, fault: str) -> None:
    replay.fail("hyperliquid/info", fault, seconds=0)
    got = ask(replay.live_url("hyperliquid_rest"), lambda history: history.candles(BTC, HOUR, [MONDAY, TUESDAY]))
    assert rows_of(got) == truth_rows(replay.truth.candles("hyperliquid", "BTC", "1h", *span(MONDAY, TUESDAY)))


def test_what_there_is_not_is_refused_at_once(replay: RunningReplay) -> None:
    url = replay.live_url("hyperliquid_rest")
    unknown = HistoryPair("hyperliquid", "NOPEUSD", "NOPE", "USD", "perps")
    with pytest.raises(UnknownSymbolError, match="'NOPE'"):
        ask(url, lambda history: history.candles(unknown, HOUR, [MONDAY]))
    spot = HistoryPair("hyperliquid", "BTCUSD", "BTC", "USD", "spot")
    with pytest.raises(ConfigError, match="no spot market"):
        ask(url, lambda history: history.funding(spot, [MONDAY]))
    with pytest.raises(BadRequestError, match="has no history of open interest"):
        ask(url, lambda history: history.open_interest(BTC, [MONDAY]))


# --------------------------------------------------------------------------------------------------- the bad exchange


class Hyperliquid:
    """A market without a trade of its own: a row tells its time. `faults` come first, `meddle` changes rows.

    `most` rows in an answer; `silent` are times without one.
    """

    def __init__(self, most: int = 5000) -> None:
        self.now_ms = to_ms(datetime(2026, 11, 18, 12, tzinfo=UTC))
        self.most = most
        self.silent: Sequence[int] = ()
        self.faults: list[Answer] = []
        self.asked: Rows = []
        self.meddle: Callable[[Rows], Rows] = lambda rows: rows

    def __call__(self, request: Request) -> Answer:
        body = request.json
        if body["type"] == "meta":
            return json_answer({"universe": [{"name": "BTC"}]})
        if body["type"] == "l2Book":
            return json_answer({"coin": "BTC", "time": self.now_ms, "levels": [[], []]})
        self.asked.append(body)
        if self.faults:
            return self.faults.pop(0)
        asked = body.get("req", body)
        step = parse_interval(asked["interval"]).ms if "interval" in asked else HOUR_MS
        newest = self.now_ms - self.now_ms % step
        first = max(-(-asked["startTime"] // step) * step, newest - 4999 * step)
        times = [each for each in range(first, min(asked["endTime"], newest) + 1, step) if each not in self.silent]
        make = candle if "interval" in asked else rate
        return json_answer(self.meddle([make(each, asked) for each in times[: self.most]]))


def candle(open_ms: int, asked: dict[str, Any]) -> dict[str, Any]:
    end = open_ms + parse_interval(asked["interval"]).ms - 1
    prices = {"o": "10.0", "h": "12.5", "l": "9.5", "c": "11.0"}
    return {"t": open_ms, "T": end, "s": "BTC", "i": asked["interval"], **prices, "v": "1.5", "n": 3}


def rate(hour_ms: int, _: dict[str, Any]) -> dict[str, Any]:
    return {"coin": "BTC", "fundingRate": "0.0000125", "premium": "-0.0001", "time": hour_ms + hour_ms // HOUR_MS % 600}


DAYS = days_between(date(2026, 11, 15), date(2026, 11, 17))


def candles_of(server: Hyperliquid, interval: Any = HOUR, days: Sequence[date] = DAYS) -> Any:
    with BadExchange({"/info": server}) as exchange:
        return ask(exchange.url, lambda history: history.candles(BTC, interval, days))


def fundings_of(server: Hyperliquid, days: Sequence[date] = DAYS) -> Any:
    with BadExchange({"/info": server}) as exchange:
        return ask(exchange.url, lambda history: history.funding(BTC, days))


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
    server.meddle = (
        (lambda rows: [*rows[:3], rows[2], *rows[3:]]) if how == "a row twice" else (lambda rows: rows[::-1])
    )
    got = series(server)
    assert states(got) == dict.fromkeys(DAYS, "BadPayloadError")
    assert ("comes twice" if how == "a row twice" else "out of order") in str(got.failures[DAYS[0]])


def test_a_page_that_overlaps_the_one_before_gives_each_candle_once() -> None:
    server = Hyperliquid(most=30)
    earlier: Rows = []

    def overlapping(rows: Rows) -> Rows:
        page = [*earlier[-4:], *rows]
        earlier.extend(rows)
        return page

    server.meddle = overlapping
    got = candles_of(server)
    assert states(got) == dict.fromkeys(DAYS, "available")
    assert [row[0] for row in rows_of(got)] == list(range(*span(DAYS[0], DAYS[-1]), HOUR_MS))


def test_the_same_page_again_fails_what_it_should_have_brought_and_keeps_the_days_before() -> None:
    server = Hyperliquid(most=30)
    first: Rows = []

    def stuck(rows: Rows) -> Rows:
        first.extend(rows if not first else ())
        return list(first)

    server.meddle = stuck
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
