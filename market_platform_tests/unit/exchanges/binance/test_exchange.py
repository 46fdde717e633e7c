"""Binance is opened by name, from settings."""

from __future__ import annotations

import asyncio

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.domain.live import LivePair
from market_platform.exchanges.binance.rest import BinanceRest
from market_platform.exchanges.registry import live_exchange
from market_platform.settings import Settings

PAIR = LivePair(1, "binance", "BTCUSDT.P", "BTC", "USDT", "perps", "BTCUSDT", {"1m": 1})


def urls(settings: Settings) -> set[str]:
    dialect = live_exchange("binance", settings).dialect
    return {plan.url for plan in dialect.plan(dialect.subscriptions(PAIR))}


def test_live_and_replay_connect_to_different_hosts() -> None:
    assert urls(Settings(_env_file=None, market="live")) == {
        "wss://fstream.binance.com/market/stream",
        "wss://fstream.binance.com/public/stream",
    }
    assert urls(Settings(_env_file=None, market="replay", replay_port=8190)) == {
        "ws://127.0.0.1:8190/binance/usdm/market/stream",
        "ws://127.0.0.1:8190/binance/usdm/public/stream",
    }


def test_a_wrong_root_is_said_before_anything_connects() -> None:
    with pytest.raises(ConfigError, match="must end in /market"):
        live_exchange("binance", Settings(_env_file=None, binance_usdm_stream_url="wss://fstream.binance.com"))


def test_what_the_streamer_must_know_of_it() -> None:
    exchange = live_exchange("binance", Settings(_env_file=None))
    assert (exchange.trade_history, exchange.polls_candles, exchange.confirms_candles) == ("by_id", False, False)


def test_rest_is_open_for_as_long_as_the_context() -> None:
    async def run() -> None:
        async with live_exchange("binance", Settings(_env_file=None)).rest() as rest:
            assert isinstance(rest, BinanceRest)
        with pytest.raises(RuntimeError, match="async with"):
            await rest.last_trade_id(PAIR)

    asyncio.run(run())
