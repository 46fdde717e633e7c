"""What is asked of Binance's streams, on which connections, within its limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.domain.live import Channel, ConnectionPlan, LivePair, Subscription
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.dialect import STREAMS_A_CONNECTION, BinanceDialect
from market_platform.exchanges.binance.messages import UNSUBSCRIBE_ID
from market_platform_tests.unit.exchanges.binance.wire import GOOD, combined

DIALECT = BinanceDialect(BinanceConfig())


def pair(number: int, market_type: str = "spot", intervals: tuple[str, ...] = ("1m", "5m"), **more: Any) -> LivePair:
    symbol = f"COIN{number}USDT"
    suffix = ".P" if market_type == "perps" else ""
    starlistings = {name: 1000 * number + index for index, name in enumerate(intervals)}
    return LivePair(
        number, "binance", symbol + suffix, f"COIN{number}", "USDT", market_type, symbol, starlistings, **more
    )


def all_subscriptions(*pairs: LivePair) -> list[Subscription]:
    return [each for one in pairs for each in DIALECT.subscriptions(one)]


def names(plan: list[ConnectionPlan]) -> dict[str, list[str]]:
    return {each.name: [subscription.name for subscription in each.subscriptions] for each in plan}


def test_a_spot_pair_is_trades_quotes_and_candles() -> None:
    found = DIALECT.subscriptions(pair(1, intervals=("5m", "1m", "1M")))
    assert [(each.name, each.channel, each.interval) for each in found] == [
        ("coin1usdt@aggTrade", Channel.TRADES, None),
        ("coin1usdt@bookTicker", Channel.QUOTES, None),
        ("coin1usdt@kline_1m", Channel.CANDLES, "1m"),
        ("coin1usdt@kline_5m", Channel.CANDLES, "5m"),
        ("coin1usdt@kline_1M", Channel.CANDLES, "1M"),
    ]


def test_a_perpetual_has_its_mark_price_too() -> None:
    found = DIALECT.subscriptions(pair(1, "perps", ("1m",)))
    assert [each.name for each in found if each.channel is Channel.CONTEXT] == ["coin1usdt@markPrice@1s"]


def test_candles_built_here_are_not_asked_for_and_trades_may_not_be_silent() -> None:
    trades, _ = DIALECT.subscriptions(pair(1, candles_from="trades"))
    assert trades.silence_s is not None
    assert DIALECT.subscriptions(pair(1))[0].silence_s is None


def test_a_connection_for_each_market_and_one_for_the_book_of_usdm() -> None:
    plan = DIALECT.plan(all_subscriptions(pair(1, intervals=("1m",)), pair(2, "perps", ("1m",))))
    assert {each.name: each.url for each in plan} == {
        "spot-1": "wss://data-stream.binance.vision/stream",
        "usdm-1": "wss://fstream.binance.com/market/stream",
        "usdm-public-1": "wss://fstream.binance.com/public/stream",
    }
    assert names(plan) == {
        "spot-1": ["coin1usdt@aggTrade", "coin1usdt@bookTicker", "coin1usdt@kline_1m"],
        "usdm-1": ["coin2usdt@aggTrade", "coin2usdt@kline_1m", "coin2usdt@markPrice@1s"],
        "usdm-public-1": ["coin2usdt@bookTicker"],
    }


def test_a_hundred_starlistings_fit_on_few_connections() -> None:
    spot = [pair(number) for number in range(1, 51)]
    perps = [pair(number, "perps") for number in range(51, 101)]
    plan = DIALECT.plan(all_subscriptions(*spot, *perps))
    assert [(each.name, len(each.subscriptions)) for each in plan] == [
        ("spot-1", 200),
        ("usdm-1", 200),
        ("usdm-public-1", 50),
    ]


def test_no_connection_has_more_than_its_market_allows() -> None:
    intervals = ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w", "1M")
    plan = DIALECT.plan(all_subscriptions(*(pair(number, "perps", intervals) for number in range(1, 300))))
    for each in plan:
        assert len(each.subscriptions) <= STREAMS_A_CONNECTION[each.name.rpartition("-")[0]]
    assert sum(len(each.subscriptions) for each in plan) == 299 * 13
    assert len(plan) == 19 + 2  # 16 pairs of 12 streams fit on one connection


def test_the_plan_is_stable_and_one_more_pair_moves_no_other() -> None:
    pairs = [pair(number, "perps") for number in range(1, 120)]
    before = DIALECT.plan(all_subscriptions(*pairs))
    assert names(DIALECT.plan(all_subscriptions(*reversed(pairs)))) == names(before)
    after = names(DIALECT.plan(all_subscriptions(*pairs, pair(500, "perps"))))
    for name, subscriptions in names(before).items():
        assert after[name][: len(subscriptions)] == subscriptions


def test_requests_are_small_and_their_answers_can_be_told_apart() -> None:
    subscriptions = all_subscriptions(*(pair(number) for number in range(1, 41)))
    requests = [json.loads(each) for each in DIALECT.subscribe(subscriptions)]
    assert [each["id"] for each in requests] == [1, 2, 3, 4]
    assert {each["method"] for each in requests} == {"SUBSCRIBE"}
    assert [name for each in requests for name in each["params"]] == [each.name for each in subscriptions]
    assert max(map(len, DIALECT.subscribe(subscriptions))) < 2000
    (request,) = map(json.loads, DIALECT.unsubscribe(subscriptions[:2]))
    assert (request["method"], request["id"]) == ("UNSUBSCRIBE", UNSUBSCRIBE_ID)


@pytest.mark.parametrize(("stream", "message"), GOOD.values(), ids=GOOD)
def test_every_event_knows_its_subscription(stream: str, message: dict[str, Any]) -> None:
    (event,) = DIALECT.parse(combined(stream, message).decode(), "spot-1")
    assert DIALECT.subscription_of(event, "spot-1") == stream


def test_a_control_belongs_to_no_subscription() -> None:
    (event,) = DIALECT.parse('{"result":null,"id":1}', "spot-1")
    assert DIALECT.subscription_of(event, "spot-1") is None


def test_wire_symbols() -> None:
    assert DIALECT.wire_symbol("BTC", "USDT", "spot") == DIALECT.wire_symbol("BTC", "USDT", "perps") == "BTCUSDT"
    with pytest.raises(ConfigError, match="no market of type 'options'"):
        DIALECT.wire_symbol("BTC", "USDT", "options")


def test_a_root_of_usdm_that_sends_no_candles_is_refused() -> None:
    with pytest.raises(ConfigError, match="BINANCE_USDM_STREAM_URL must end in /market"):
        BinanceConfig(usdm_stream="wss://fstream.binance.com")
