"""Binance's REST side against a real local server that refuses: retries that end, limits kept, failures typed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.rest import BinanceRest
from market_platform_tests.fixtures.binance_rest_script import (
    SPOT,
    Script,
    asked,
    failing,
    trade,
    trades_path,
)
from market_platform_tests.fixtures.scripted_exchange import Reply, ScriptedExchange, json_reply

NEWEST = trades_path(limit=1)

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=500),
        Reply(status=503, body=b"<html>"),
        Reply(b'[{"a":1', status=200),
        Reply(b"[]" * 50, cut=10),
        Reply(reset=True),
        Reply(status=429, headers={"Retry-After": "0"}),
    ],
    ids=lambda reply: reply.label,
)
def test_troubles_that_pass_are_asked_again(trouble: Reply) -> None:
    newest, server = asked({NEWEST: [trouble, trouble, json_reply([trade(5)])]}, lambda rest: rest.last_trade_id(SPOT))
    assert newest == 5
    assert server.times_asked(NEWEST) == 3


def test_troubles_that_stay_end_in_an_error_after_finite_questions() -> None:
    async def run() -> int:
        async with ScriptedExchange({NEWEST: Reply(status=502)}) as server:
            async with BinanceRest(BinanceConfig(spot_rest=server.url, attempts=3)) as rest:
                with pytest.raises(ExchangeUnavailableError, match=r"HTTP 502 .*tried 3 times"):
                    await rest.last_trade_id(SPOT)
            return server.times_asked(NEWEST)

    assert asyncio.run(run()) == 3


@pytest.mark.parametrize("status", [429, 418])
def test_a_pause_is_kept_by_all_that_ask(status: int) -> None:
    """Also by another instance: Binance counts by address."""

    async def run() -> int:
        headers = {"Retry-After": "120"}
        async with ScriptedExchange({NEWEST: Reply(b'{"code":-1003,"msg":"slow"}', status, headers=headers)}) as server:
            config = BinanceConfig(spot_rest=server.url)
            for told in (f"HTTP {status} .*code -1003: slow.* 120 s", "wants a pause of 1[12]"):
                async with BinanceRest(config) as rest:
                    with pytest.raises(RateLimitedError, match=told) as caught:
                        await rest.last_trade_id(SPOT)
                    assert caught.value.retry_after == pytest.approx(120, abs=60)
            return len(server.asked)

    assert asyncio.run(run()) == 1


def test_what_binance_counted_is_believed_before_it_refuses() -> None:
    used = {"X-MBX-USED-WEIGHT-1M": "4800"}

    async def run() -> int:
        async with ScriptedExchange({NEWEST: json_reply([trade(5)], headers=used)}) as server:
            config = BinanceConfig(spot_rest=server.url)
            async with BinanceRest(config, clock=lambda: datetime(2024, 8, 9, 0, 0, 20, tzinfo=UTC)) as rest:
                assert await rest.last_trade_id(SPOT) == 5
                with pytest.raises(RateLimitedError) as caught:
                    await rest.last_trade_id(SPOT)
                assert caught.value.retry_after is not None
                assert 0 < caught.value.retry_after <= 40
            return len(server.asked)

    assert asyncio.run(run()) == 1


def test_a_ban_that_ends_at_a_moment() -> None:
    until = int(datetime(2024, 8, 9, 0, 2, 30, tzinfo=UTC).timestamp() * 1000)
    script: Script = {NEWEST: Reply(status=418, headers={"Retry-After": str(until)})}
    error = failing(script, lambda rest: rest.last_trade_id(SPOT), RateLimitedError, "418")
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == pytest.approx(120)


def test_an_unknown_symbol_is_said_once() -> None:
    async def run() -> int:
        refusal = json_reply({"code": -1121, "msg": "Invalid symbol."}, status=400)
        async with ScriptedExchange({NEWEST: refusal}) as server:
            async with BinanceRest(BinanceConfig(spot_rest=server.url)) as rest:
                with pytest.raises(UnknownSymbolError, match=r"binance/BTCUSDT newest trade.*Invalid symbol"):
                    await rest.last_trade_id(SPOT)
            return len(server.asked)

    assert asyncio.run(run()) == 1


def test_another_refusal_names_its_code() -> None:
    refusal = json_reply({"code": -1130, "msg": "Bad parameter"}, status=400)
    failing({NEWEST: refusal}, lambda rest: rest.last_trade_id(SPOT), BadPayloadError, "code -1130: Bad parameter")


def test_no_server_at_all() -> None:
    async def run() -> None:
        async with BinanceRest(BinanceConfig(spot_rest="http://127.0.0.1:9", attempts=1)) as rest:
            await rest.last_trade_id(SPOT)

    with pytest.raises(ExchangeUnavailableError, match="start the replay exchange"):
        asyncio.run(run())


def test_an_answer_that_never_comes() -> None:
    async def run() -> None:
        async with ScriptedExchange({NEWEST: Reply(hang=True)}) as server:
            config = BinanceConfig(spot_rest=server.url, attempts=2, request_timeout_s=0.1)
            async with BinanceRest(config) as rest:
                await rest.last_trade_id(SPOT)

    with pytest.raises(ExchangeUnavailableError, match=r"no answer within 0\.1 s .*tried 2 times"):
        asyncio.run(run())
