"""Hyperliquid's REST side against a real server on localhost that keeps its rules, and breaks them on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    HistoryGoneError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.events import Candle
from market_platform.domain.intervals import bucket_end, bucket_start, parse_interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
from market_platform.exchanges.hyperliquid.exchange import HyperliquidExchange
from market_platform.exchanges.live import LiveExchange, LiveRest
from market_platform_tests.fixtures.answering_exchange import AnsweringExchange, Question
from market_platform_tests.fixtures.scripted_exchange import Reply, json_reply
from market_platform_tests.recordings import recording

Result = TypeVar("Result")
Rows = list[dict[str, Any]]

NOW = datetime(2026, 6, 18, 12, 0, 30, tzinfo=UTC)
NOW_MS = to_ms(NOW)
BTC = LivePair(1, "hyperliquid", "BTCUSD", "BTC", "USD", "perps", "BTC")
MINUTE, HOUR, DAY, WEEK = (parse_interval(name) for name in ("1m", "1h", "1d", "1w"))

pytestmark = pytest.mark.usefixtures("instant_retries")


class Hyperliquid:
    """The server's rules: the newest `served` candles, at most `most` in an answer; `faults` come before good answers.

    `meddle` changes the rows of every candleSnapshot; in `silent` there was no trade.
    """

    def __init__(self, *, newest_ms: int = NOW_MS, listed_ms: int = 0, served: int = 5000, most: int = 5000) -> None:
        self.newest_ms = newest_ms
        self.time_ms = NOW_MS
        self.listed_ms = listed_ms
        self.served = served
        self.most = most
        self.silent = range(0)
        self.faults: list[Reply] = []
        self.asked: list[dict[str, Any]] = []
        self.meddle: Callable[[Rows], object] = lambda rows: rows

    def __call__(self, question: Question) -> Reply:
        assert (question.method, question.path) == ("POST", "/info")
        body = json.loads(question.body)
        self.asked.append(body)
        if body["type"] == "meta":
            return json_reply({"universe": [{"name": "BTC"}, {"name": "kPEPE"}, {"name": "FTM", "isDelisted": True}]})
        if body["type"] == "l2Book":
            return json_reply({"coin": body["coin"], "time": self.time_ms, "levels": [[], []]})
        if self.faults:
            return self.faults.pop(0)
        assert body["type"] == "candleSnapshot"
        return json_reply(self.meddle(self.rows(**body["req"])))

    def rows(self, coin: str, interval: str, startTime: int, endTime: int) -> Rows:  # noqa: N803
        length = parse_interval(interval)
        last = bucket_start(self.newest_ms, length)
        first = max(bucket_start(last - (self.served - 1) * length.ms, length), self.listed_ms)
        open_ms = max(bucket_start(max(startTime, 0), length), first)
        rows: Rows = []
        while open_ms <= min(endTime, last) and len(rows) < self.most:
            if open_ms not in self.silent:
                rows.append(row(open_ms, interval, coin))
            open_ms = bucket_end(open_ms, length)
        return rows

    @property
    def snapshots(self) -> list[dict[str, Any]]:
        return [body["req"] for body in self.asked if body["type"] == "candleSnapshot"]


def row(open_ms: int, interval: str = "1m", coin: str = "BTC") -> dict[str, Any]:
    """A candle that its open time tells."""
    price = 60_000 + open_ms // 60_000 % 1000
    return {
        "t": open_ms,
        "T": bucket_end(open_ms, parse_interval(interval)) - 1,
        "s": coin,
        "i": interval,
        "o": f"{price}.0",
        "h": f"{price + 2}.10",
        "l": f"{price - 2}.0",
        "c": f"{price + 1}.0",
        "v": "1.50000",
        "n": 7,
    }


def ask(
    server: Callable[[Question], Reply],
    work: Callable[[LiveRest], Awaitable[Result]],
    *,
    now: datetime = NOW,
    **more: Any,
) -> Result:
    """What `work` gets of an exchange that asks that server."""

    async def run() -> Result:
        async with AnsweringExchange(server) as running:
            config = HyperliquidConfig(rest_url=running.url, **more)
            exchange: LiveExchange = HyperliquidExchange(config, clock=lambda: now)
            async with exchange.rest() as rest:
                return await work(rest)

    return asyncio.run(run())


def minutes(server: Callable[[Question], Reply], first: int, last: int, **more: Any) -> list[Candle]:
    """The minutes from `first` to `last` (excluded), counted from now's own."""
    here = bucket_start(NOW_MS, MINUTE)
    return ask(server, lambda rest: rest.candles(BTC, MINUTE, here + first * 60_000, here + last * 60_000), **more)


def test_closed_candles_come_sorted_and_digit_for_digit() -> None:
    server = Hyperliquid()
    candles = minutes(server, -10, 1)
    assert [each.open_ms for each in candles] == [bucket_start(NOW_MS, MINUTE) + at * 60_000 for at in range(-10, 0)]
    assert {each.closed for each in candles} == {True}
    assert str(candles[0].high).endswith(".10")
    assert str(candles[0].volume) == "1.50000"
    assert server.snapshots == [
        {
            "coin": "BTC",
            "interval": "1m",
            "startTime": candles[0].open_ms,
            "endTime": bucket_start(NOW_MS, MINUTE) + 60_000,
        }
    ]


def test_the_candle_after_the_range_proves_its_last_one_closed() -> None:
    late = Hyperliquid()
    late.time_ms -= 7_200_000
    assert len(minutes(late, -3, 0)) == 3


def test_without_a_later_one_a_candle_is_closed_when_it_ended_some_seconds_ago_by_the_exchange_s_clock() -> None:
    silent = Hyperliquid(newest_ms=NOW_MS - 60_000)
    assert len(minutes(silent, -3, 0)) == 3
    silent.time_ms -= 29_000
    for ours in (NOW, NOW + timedelta(hours=1)):
        assert len(minutes(silent, -3, 0, now=ours)) == 2


def test_a_start_between_candles_begins_with_the_next_one() -> None:
    here = bucket_start(NOW_MS, MINUTE)
    candles = ask(Hyperliquid(), lambda rest: rest.candles(BTC, MINUTE, here - 119_999, here))
    assert [each.open_ms for each in candles] == [here - 60_000]
    assert ask(Hyperliquid(), lambda rest: rest.candles(BTC, MINUTE, here - 59_999, here)) == []


@pytest.mark.parametrize("fault", ["short pages", "one earlier", "each twice", "backwards", "later ones too"])
def test_pages_that_are_short_or_overlap_give_each_candle_once(fault: str) -> None:
    server = Hyperliquid(most=500 if fault == "short pages" else 5000)
    server.meddle = {
        "short pages": lambda rows: rows,
        "one earlier": lambda rows: [row(rows[0]["t"] - 60_000), *rows] if rows else rows,
        "each twice": lambda rows: [each for each in rows for _ in range(2)],
        "backwards": lambda rows: rows[::-1],
        "later ones too": lambda rows: (
            rows + [row(rows[-1]["t"] + at * 60_000) for at in range(1, 5)] if rows else rows
        ),
    }[fault]
    candles = minutes(server, -1200, 0)
    assert [each.open_ms for each in candles] == [bucket_start(NOW_MS, MINUTE) + at * 60_000 for at in range(-1200, 0)]
    assert len(server.snapshots) == (3 if fault == "short pages" else 1)


def test_hours_without_trades_are_no_end_of_the_data() -> None:
    server = Hyperliquid(most=500)
    here = bucket_start(NOW_MS, MINUTE)
    server.silent = range(here - 900 * 60_000, here - 300 * 60_000)
    assert len(minutes(server, -1200, 0)) == 600


def test_what_is_older_than_what_is_served_is_gone_and_the_rest_can_be_had() -> None:
    server = Hyperliquid()
    with pytest.raises(HistoryGoneError, match="only the newest 5000 candles") as raised:
        minutes(server, -6000, -5900)
    earliest = bucket_start(NOW_MS, MINUTE) - 4999 * 60_000
    assert raised.value.earliest_ms == earliest
    candles = ask(server, lambda rest: rest.candles(BTC, MINUTE, earliest, earliest + 600_000))
    assert [each.open_ms for each in candles] == [earliest + at * 60_000 for at in range(10)]


def test_before_its_listing_a_young_market_has_no_candles_and_nothing_is_gone() -> None:
    listed = bucket_start(NOW_MS, MINUTE) - 4500 * 60_000
    assert len(minutes(Hyperliquid(listed_ms=listed), -6000, -4490)) == 10
    assert minutes(Hyperliquid(listed_ms=listed), -6000, -4600) == []


def test_weeks_begin_on_monday_and_are_made_of_days() -> None:
    server = Hyperliquid()
    monday = to_ms(datetime(2026, 6, 1, tzinfo=UTC))
    weeks = ask(server, lambda rest: rest.candles(BTC, WEEK, monday - 1, NOW_MS))
    assert [each.open_ms for each in weeks] == [monday, monday + WEEK.ms]
    assert {(each.interval, each.volume, each.num_trades, each.closed) for each in weeks} == {
        ("1w", Decimal("10.5"), 49, True)
    }
    assert {each["interval"] for each in server.snapshots} == {"1d"}


def test_it_waits_when_told_to_and_asks_again_after_a_failure() -> None:
    server = Hyperliquid()
    server.faults = [
        Reply(status=429, headers={"Retry-After": "0"}),
        Reply(status=500),
        Reply(b"nonsense"),
        Reply(reset=True),
    ]
    assert len(minutes(server, -3, 0)) == 3
    assert len(server.snapshots) == 5


def test_failures_that_stay_are_told_apart() -> None:
    for fault, kind, says in (
        (Reply(status=429), RateLimitedError, "HTTP 429.*tried 5 times"),
        (Reply(status=502), ExchangeUnavailableError, "HTTP 502"),
        (Reply(status=422, body=b"Failed to deserialize"), BadPayloadError, "HTTP 422: Failed to deserialize"),
        (Reply(b"[", cut=1), BadPayloadError, "candleSnapshot BTC 1m"),
    ):
        server = Hyperliquid()
        server.faults = [fault] * 5
        with pytest.raises(kind, match=says):
            minutes(server, -3, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"o": 60000.0}, r"\$\[0\]\.o"),
        ({"c": "0"}, "c is 0"),
        ({"h": "1.0"}, "is below low"),
        ({"t": 1781782200001}, "is not where a candle of 1m opens"),
        ({"s": "ETH"}, "another series"),
        ({"v": None}, r"\.v"),
    ],
)
def test_a_wrong_candle_is_refused_naming_the_field(change: dict[str, Any], says: str) -> None:
    server = Hyperliquid()
    server.meddle = lambda rows: [{**each, **change} for each in rows]
    with pytest.raises(BadPayloadError, match=says):
        minutes(server, -3, 0)


def test_no_answer_in_time_is_a_failure() -> None:
    server = Hyperliquid()
    server.faults = [Reply(hang=True)] * 9
    with pytest.raises(ExchangeUnavailableError, match=r"no answer within 0\.3 s"):
        minutes(server, -3, 0, call_budget_s=0.3)


def test_all_of_a_process_together_stay_within_the_weight_of_an_address() -> None:
    """Half of our share of 1,200 may go at once: four answers of 5,000 candles at 103 each, and no fifth."""
    here = bucket_start(NOW_MS, MINUTE)

    async def run() -> int:
        async with AnsweringExchange(Hyperliquid(listed_ms=here - 600_000)) as running:
            config = HyperliquidConfig(rest_url=running.url)
            hasty = HyperliquidConfig(rest_url=running.url, call_budget_s=0.5)
            async with HyperliquidExchange(config, clock=lambda: NOW).rest() as rest:
                for _ in range(4):
                    await rest.candles(BTC, MINUTE, here - 4999 * 60_000, here)
            async with HyperliquidExchange(hasty, clock=lambda: NOW).rest() as rest:
                with pytest.raises(ExchangeUnavailableError, match="waiting for the exchange's limit included"):
                    await rest.candles(BTC, MINUTE, here - 4999 * 60_000, here)
            return len(running.questions)

    assert asyncio.run(run()) <= 11


def test_a_coin_that_does_not_exist_is_never_asked_for() -> None:
    server = Hyperliquid()
    unknown = LivePair(2, "hyperliquid", "NOPEUSD", "NOPE", "USD", "perps", "NOPE")
    with pytest.raises(UnknownSymbolError, match="'NOPE'"):
        ask(server, lambda rest: rest.candles(unknown, MINUTE, NOW_MS - 600_000, NOW_MS))
    assert server.snapshots == []


def test_names_are_spelled_as_subscriptions_need_them_without_delisted_ones() -> None:
    assert ask(Hyperliquid(), lambda rest: rest.known_symbols("perps")) == {"BTC", "kPEPE"}
    assert ask(Hyperliquid(), lambda rest: rest.known_symbols("spot")) == frozenset()


def test_trades_have_no_history_and_the_context_comes_by_stream() -> None:
    server = Hyperliquid()
    with pytest.raises(HistoryGoneError, match="no history of trades") as raised:
        ask(server, lambda rest: rest.trades(BTC, 1, 2))
    assert raised.value.earliest_ms is None
    assert ask(server, lambda rest: rest.last_trade_id(BTC)) is None
    assert ask(server, lambda rest: rest.context(BTC)) == []
    exchange: LiveExchange = HyperliquidExchange(HyperliquidConfig())
    assert (exchange.trade_history, exchange.polls_candles, exchange.confirms_candles) == ("none", False, True)


def test_the_recorded_answers_are_understood() -> None:
    text = recording("hyperliquid/sdk_cassettes/test_get_candles_snapshot.yaml").read_text()
    meta, snapshot = (
        line.strip().removeprefix("string: ").strip("'") for line in text.splitlines() if "string: " in line
    )

    def recorded(question: Question) -> Reply:
        asked = json.loads(question.body)
        if asked["type"] == "l2Book":
            return json_reply({"coin": asked["coin"], "time": to_ms(now), "levels": [[], []]})
        return Reply((meta if asked["type"] == "meta" else snapshot).encode())

    pepe = LivePair(3, "hyperliquid", "KPEPEUSD", "KPEPE", "USD", "perps", "kPEPE")
    now = datetime(2023, 5, 22, 20, 0, tzinfo=UTC)
    start = 1684699200000
    candles = ask(recorded, lambda rest: rest.candles(pepe, HOUR, start, start + 24 * HOUR.ms), now=now)
    assert [(str(each.open), str(each.close), each.num_trades) for each in candles] == [
        (each["o"], each["c"], each["n"]) for each in json.loads(snapshot)[: len(candles)]
    ]
    assert len(candles) == 23  # the last one recorded had not ended
    assert "BTC" in ask(recorded, lambda rest: rest.known_symbols("perps"))
