"""Binance's past over REST from the replay exchange: what it says of the past is what happened and what streams announced."""

from __future__ import annotations

import asyncio
import gzip
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson
import pytest

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.history import HistoryPair
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, parse_interval
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.history import BinanceHistory
from market_platform.replay.live.binance.feeds import MarkPriceFeed
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.feed import Slice
from market_platform.replay.live.history import listed_from_ms
from market_platform.replay.live.markets import Venue
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, clock_from, running_replay
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, Request, json_answer
from market_platform_tests.fixtures.scripted_past import answer_of
from market_platform_tests.recordings import recording

Result = TypeVar("Result")

PERP = HistoryPair("binance", "SOLUSDT.P", "SOL", "USDT", "perps")
SPOT = HistoryPair("binance", "SOLUSDT", "SOL", "USDT", "spot")
VENUES: dict[str, Venue] = {"perps": "binance-usdm", "spot": "binance-spot"}
NOW = datetime(2026, 11, 18, 13, 30, 1, tzinfo=UTC)
"""A second after a reading of open interest."""
DAY = date(2026, 11, 16)
START = day_start_ms(DAY)


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=World(7, ExchangeClock(1.0, clock_from(NOW)))) as running:
        yield running


def asked(replay: RunningReplay, ask: Callable[[BinanceHistory], Awaitable[Result]]) -> Result:
    config = BinanceConfig(
        spot_rest=replay.live_url("binance_spot_rest"),
        usdm_rest=replay.live_url("binance_usdm_rest"),
        request_timeout_s=60.0,
    )
    return answer_of(BinanceHistory(config, replay.world.clock.now), ask)


@pytest.mark.parametrize("pair", [SPOT, PERP], ids=["spot", "perps"])
@pytest.mark.parametrize("name", ["1m", "15m", "4h", "1d"])
def test_candles_are_the_true_ones(replay: RunningReplay, pair: HistoryPair, name: str) -> None:
    """Number by number."""
    day = asked(replay, lambda it: it.candles(pair, parse_interval(name), [DAY])).days[0]
    assert day.condition is Condition.AVAILABLE
    true = replay.truth.candles(VENUES[pair.market_type], "SOLUSDT", name, START, START + DAY_MS)
    fields = ("open", "high", "low", "close", "volume")
    wanted = [(row["time"], *(Decimal(row[each]) for each in fields), row["num_trades"]) for row in true]
    times = day.rows["time"].dt.epoch("ms").to_list()
    found = [(time, *row[1:]) for time, row in zip(times, day.rows.rows(), strict=True)]
    assert found == wanted


def test_nothing_is_due_before_the_replayed_markets_began(replay: RunningReplay) -> None:
    """As far back as they go, every day is whole."""
    first = from_ms(listed_from_ms(replay.world.clock.now_ms())).date()
    days = [first - timedelta(days=1), first]
    for found in (
        asked(replay, lambda it: it.candles(PERP, parse_interval("1h"), days)),
        asked(replay, lambda it: it.funding(PERP, days)),
    ):
        assert not found.failures
        assert [each.condition for each in found.days] == [Condition.MISSING, Condition.AVAILABLE]
        assert "before the market's first candle" in found.days[0].reason


def test_funding_is_what_the_stream_announced_in_the_second_before(replay: RunningReplay) -> None:
    """Rate and time; the mark price is that of the moment."""
    market = replay.world.market("binance-usdm", "SOLUSDT")
    assert market is not None
    book = replay.world.book(market)
    feed = MarkPriceFeed("solusdt@markPrice@1s", market, book)
    rows = asked(replay, lambda it: it.funding(PERP, [DAY])).days[0].rows
    assert [each.time_ms for each in rows] == [START, START + DAY_MS // 3, START + 2 * DAY_MS // 3]

    def told(at_ms: int) -> Any:
        before = Slice(at_ms - 1000, at_ms, book.tape.minute(at_ms // MINUTE_MS), 0, 0)
        return orjson.loads(feed.messages([before], at_ms)[0])

    for each in rows:
        assert each.time_ms is not None
        announced = told(each.time_ms - 1000)
        assert (announced["T"], Decimal(announced["r"])) == (each.time_ms, each.funding_rate)
        assert Decimal(told(each.time_ms)["p"]) == each.mark_price


def test_the_newest_open_interest_is_that_of_the_moment(replay: RunningReplay) -> None:
    """The endpoints agree within the same minute."""
    with httpx.Client(base_url=replay.live_url("binance_usdm_rest"), timeout=60) as client:
        while True:
            query = {"symbol": "SOLUSDT", "period": "5m", "limit": "1"}
            past = client.get("/futures/data/openInterestHist", params=query).json()
            now = client.get("/fapi/v1/openInterest", params={"symbol": "SOLUSDT"}).json()
            if now["time"] // MINUTE_MS == past[0]["timestamp"] // MINUTE_MS:
                assert now["openInterest"] == past[0]["sumOpenInterest"]
                break
            if now["time"] % (5 * MINUTE_MS) > MINUTE_MS:
                pytest.skip("the machine took more than a minute to ask")


def test_open_interest_goes_back_a_month(replay: RunningReplay) -> None:
    """Every five minutes; and what Binance would refuse, the replay exchange refuses."""
    days = [replay.world.clock.now().date() - timedelta(days=ago) for ago in (29, 1)]
    found = asked(replay, lambda it: it.open_interest(PERP, days))
    assert [(each.condition, each.count) for each in found.days] == [(Condition.AVAILABLE, 288)] * 2
    with httpx.Client(base_url=replay.live_url("binance_usdm_rest"), timeout=60) as client:
        too_early = {"symbol": "SOLUSDT", "period": "5m", "startTime": str(START - 60 * DAY_MS)}
        for query in (too_early, {"symbol": "SOLUSDT", "period": "7m"}):
            refused = client.get("/futures/data/openInterestHist", params=query)
            assert (refused.status_code, refused.json()["code"]) == (400, -1130)


def test_trades_of_a_day_are_the_true_ones() -> None:
    """From the first to the last; of a quiet market, in a world of its own so that no other test's weight counts."""
    with running_replay(world=World(7, ExchangeClock(1.0, clock_from(NOW)))) as replay:
        quiet = min(replay.world.markets("binance-spot"), key=lambda each: each.rate)
        pair = HistoryPair("binance", quiet.symbol, quiet.coin, quiet.quote, "spot")
        day = asked(replay, lambda it: it.trades(pair, [DAY])).days[0]
        true = replay.truth.trades("binance-spot", quiet.symbol, START, START + DAY_MS)
    assert day.condition is Condition.AVAILABLE
    assert day.count == len(true)
    assert day.rows.trade_id.tolist() == [row["id"] for row in true]
    assert day.rows.time.tolist() == [row["time"] for row in true]
    units = [Decimal(row["price"]).scaleb(day.rows.price_scale) for row in true]
    assert day.rows.price.tolist() == units


def test_candles_that_binance_once_sent_come_through_as_they_were(tmp_path: Path) -> None:
    """A recording of hours of ETH/BTC, served as pages: weeks of days, of which the last has only what was there."""
    packed = recording("multi_tf/binance_octobot/ETHBTC_15tf_20200517.sqlite.gz")
    path = tmp_path / "recorded.sqlite"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    database = sqlite3.connect(path)
    rows = [
        json.loads(text, parse_float=Decimal)
        for (text,) in database.execute("SELECT candle FROM ohlcv WHERE time_frame = '1h' ORDER BY timestamp")
    ]
    database.close()
    by_time = {int(row[0]) * 1000: row for row in rows[:-1]}  # the last one was still forming

    def page(request: Request) -> Answer:
        start, end = int(request.query["startTime"]), int(request.query.get("endTime", 2**53))
        times = [each for each in by_time if start <= each <= end][: int(request.query["limit"])]
        kept = [[each, *(str(value) for value in by_time[each][1:]), each + 3_599_999, "0", 1] for each in times]
        return json_answer(kept)

    days = [date(2020, 4, 28) + timedelta(days=offset) for offset in range(19)]
    clock = {"serverTime": day_start_ms(date(2020, 5, 18))}
    with BadExchange({"/api/v3/time": json_answer(clock), "/api/v3/klines": page}) as exchange:

        async def run() -> Any:
            async with BinanceHistory(BinanceConfig(spot_rest=exchange.url, request_timeout_s=60.0)) as history:
                pair = HistoryPair("binance", "ETHBTC", "ETH", "BTC", "spot")
                return await history.candles(pair, parse_interval("1h"), [*days, date(2020, 5, 17)])

        found = asyncio.run(run())
    assert not found.failures
    assert [each.condition for each in found.days] == [Condition.AVAILABLE] * 19 + [Condition.DEGRADED]
    for day in found.days:
        for time, row in zip(day.rows["time"].dt.epoch("ms").to_list(), day.rows.rows(), strict=True):
            assert list(row[1:6]) == by_time[time][1:6]
