"""How Hyperliquid is spoken with: names, frames, connections within its limits."""

from __future__ import annotations

import json
import random

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.domain.events import Control
from market_platform.domain.intervals import INTERVALS
from market_platform.domain.live import CandlesFrom, Channel, LivePair, Subscription
from market_platform.exchanges.hyperliquid.dialect import HyperliquidDialect
from market_platform.exchanges.live import StreamDialect, all_events
from market_platform.exchanges.registry import live_exchange
from market_platform.settings import load_settings
from market_platform_tests.unit.exchanges.hyperliquid.test_hyperliquid_wire import (
    CANDLE,
    CONTEXT,
    TRADE,
    message,
    recorded_messages,
)

DIALECT: StreamDialect = HyperliquidDialect("wss://example.test/ws")


def pair(number: int, coin: str = "BTC", candles_from: CandlesFrom = "exchange", intervals: str = "all") -> LivePair:
    names = [each.name for each in INTERVALS] if intervals == "all" else intervals.split()
    return LivePair(
        id=number,
        exchange="hyperliquid",
        symbol=f"{coin}USD",
        coin=coin,
        quote="USD",
        market_type="perps",
        wire=coin,
        starlistings={name: number * 100 + at for at, name in enumerate(names)},
        candles_from=candles_from,
    )


def test_a_perpetual_is_called_by_its_coin() -> None:
    assert DIALECT.wire_symbol("BTC", "USD", "perps") == "BTC"
    assert DIALECT.wire_symbol("KPEPE", "USD", "perps") == "kPEPE"


@pytest.mark.parametrize(
    ("coin", "quote", "market_type"),
    [("BTC", "USDT", "perps"), ("BTC", "USD", "spot"), ("@107", "USD", "perps"), ("XYZ:TSLA", "USD", "perps")],
)
def test_what_it_does_not_trade_is_a_wrong_configuration(coin: str, quote: str, market_type: str) -> None:
    with pytest.raises(ConfigError, match="hyperliquid"):
        DIALECT.wire_symbol(coin, quote, market_type)


def test_everything_of_a_pair_but_weeks_is_asked_for_in_a_frame_each() -> None:
    wanted = DIALECT.subscriptions(pair(1, "SOL", intervals="1m 1w 1M"))
    assert [json.loads(frame) for frame in DIALECT.subscribe(wanted)] == [
        {"method": "subscribe", "subscription": {"type": "trades", "coin": "SOL"}},
        {"method": "subscribe", "subscription": {"type": "activeAssetCtx", "coin": "SOL"}},
        {"method": "subscribe", "subscription": {"type": "candle", "coin": "SOL", "interval": "1m"}},
        {"method": "subscribe", "subscription": {"type": "candle", "coin": "SOL", "interval": "1M"}},
    ]
    assert json.loads(DIALECT.unsubscribe(wanted[2:3])[0])["method"] == "unsubscribe"
    assert [each.name for each in wanted] == ["trades:SOL", "activeAssetCtx:SOL", "candle:SOL:1m", "candle:SOL:1M"]
    assert [each.channel for each in wanted if each.silence_s is not None] == [Channel.CONTEXT]


def test_candles_built_here_are_not_asked_for() -> None:
    wanted = DIALECT.subscriptions(pair(1, candles_from="trades"))
    assert [each.channel for each in wanted] == [Channel.TRADES, Channel.CONTEXT]


def test_every_event_finds_the_subscription_that_brought_it() -> None:
    names = {each.name for each in DIALECT.subscriptions(pair(1))}
    raw = [message("candle", CANDLE), message("trades", [TRADE]), message("activeAssetCtx", CONTEXT)]
    events = all_events(DIALECT, raw, "perps-1")
    assert [DIALECT.subscription_of(event, "perps-1") for event in events] == [
        "candle:BTC:5m",
        "trades:BTC",
        "activeAssetCtx:BTC",
        "activeAssetCtx:BTC",
    ]
    assert names.issuperset(name for event in events if (name := DIALECT.subscription_of(event, "perps-1")))
    assert DIALECT.subscription_of(Control("heartbeat"), "perps-1") is None


def test_the_answer_to_a_subscription_says_its_name() -> None:
    for subscription, frame in zip(wanted := DIALECT.subscriptions(pair(1)), DIALECT.subscribe(wanted), strict=True):
        (event,) = DIALECT.parse(message("subscriptionResponse", json.loads(frame)), "perps-1")
        assert event == Control("subscribed", subscription.name)


def test_connections_hold_whole_pairs_within_the_limit() -> None:
    wanted = subscriptions_of(range(1, 61))
    plan = DIALECT.plan(random.Random(1).sample(wanted, len(wanted)))
    assert sorted(each.name for part in plan for each in part.subscriptions) == sorted(each.name for each in wanted)
    assert [part.name for part in plan] == ["perps-1", "perps-2", "perps-3"]
    assert {part.url for part in plan} == {"wss://example.test/ws"}
    assert all(len(part.subscriptions) <= DIALECT.limits.subscriptions_per_connection for part in plan)
    homes = [{each.pair.id for each in part.subscriptions} for part in plan]
    assert sum(map(len, homes)) == 60


def test_one_more_pair_leaves_the_others_where_they_are() -> None:
    before, after = DIALECT.plan(subscriptions_of(range(1, 31))), DIALECT.plan(subscriptions_of(range(1, 32)))
    assert after[0] == before[0]
    assert after[1].subscriptions[: len(before[1].subscriptions)] == before[1].subscriptions
    assert DIALECT.plan([]) == []


def test_more_than_an_address_may_ask_for_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match="1100 subscriptions, but it allows 1000"):
        DIALECT.plan(subscriptions_of(range(1, 101)))


def test_its_limits() -> None:
    limits = DIALECT.limits
    assert (limits.connections, limits.connects, limits.connects_per_s) == (10, 30, 60.0)
    assert limits.ping_s is not None
    assert limits.ping_s < limits.silence_s == 60.0
    assert limits.messages_per_s * 60 * 4 <= 2000
    assert DIALECT.resubscribes
    assert DIALECT.parse(b'{"channel":"pong"}', "perps-1") == (Control("heartbeat"),)
    assert DIALECT.ping() == '{"method":"ping"}'


def test_every_recorded_line_is_understood() -> None:
    assert len(all_events(DIALECT, recorded_messages(), "perps-1")) == 47


def subscriptions_of(numbers: range) -> list[Subscription]:
    """Eleven of each pair: weeks are not subscribed to."""
    return [each for number in numbers for each in DIALECT.subscriptions(pair(number, f"C{number}"))]


def test_the_settings_say_where_it_is() -> None:
    for market, url in (("live", "wss://api.hyperliquid.xyz/ws"), ("replay", "ws://127.0.0.1:8190/hyperliquid/ws")):
        settings = load_settings(market=market, replay_port=8190, hyperliquid_stream_url=None)
        exchange = live_exchange("hyperliquid", settings)
        assert [plan.url for plan in exchange.dialect.plan(exchange.dialect.subscriptions(pair(1)))] == [url]
