"""Every error and close code of the WebSocket API, on a real server."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterator

import pytest

from market_platform_tests.fixtures.api_server import ApiServer, wait_for
from market_platform_tests.fixtures.live_market import LiveMarket, connected
from market_platform_tests.fixtures.tcp_proxy import TcpProxy

pytestmark = pytest.mark.anyio


@pytest.fixture
def api(market: LiveMarket) -> Iterator[ApiServer]:
    with ApiServer(market.database_url, ws_max_connections=5) as server:
        market.wait_until_heard(server.url)
        yield server


WRONG = [
    ("{not json", "invalid_json", ""),
    ("", "invalid_json", ""),
    ('{"action":"subscribe","starlisting_ids":' + "[" * 100_000, "invalid_json", ""),
    ("[1]", "validation_error", "object"),
    ('{"no":"action"}', "validation_error", "action"),
    ('{"action":5}', "validation_error", "action"),
    ('{"action":"dance"}', "unknown_action", "dance"),
    ('{"action":"subscribe"}', "validation_error", "broker"),
    ('{"action":"subscribe","starlisting_ids":[]}', "validation_error", "starlisting_ids"),
    ('{"action":"subscribe","starlisting_ids":"1"}', "validation_error", "starlisting_ids"),
    ('{"action":"subscribe","starlisting_ids":[true]}', "validation_error", "starlisting_ids"),
    ('{"action":"subscribe","starlisting_ids":[1.5]}', "validation_error", "starlisting_ids"),
    ('{"action":"subscribe","starlisting_ids":[-1]}', "validation_error", "starlisting_ids"),
    ('{"action":"subscribe","starlisting_ids":[99999999999]}', "validation_error", "starlisting_ids"),
    (
        json.dumps({"action": "subscribe", "starlisting_ids": list(range(1, 102))}),
        "validation_error",
        "starlisting_ids",
    ),
    ('{"action":"subscribe","starlisting_ids":[1],"history":1001}', "validation_error", "history"),
    ('{"action":"subscribe","starlisting_ids":[1],"history":-1}', "validation_error", "history"),
    ('{"action":"subscribe","starlisting_ids":[1],"since":{"1":-5}}', "validation_error", "since"),
    ('{"action":"subscribe","starlisting_ids":[1],"since":{"x":5}}', "validation_error", "since"),
    ('{"action":"subscribe","starlisting_ids":[1],"since":{"2":5}}', "validation_error", "2"),
    ('{"action":"subscribe","starlisting_ids":[1,777777]}', "invalid_starlisting", "777777"),
    ('{"action":"subscribe","broker":"binance","symbols":["NOPE"]}', "invalid_starlisting", "NOPE"),
    ('{"action":"subscribe","broker":"nasdaq","symbols":["BTCUSDT"]}', "invalid_starlisting", "BTCUSDT"),
    (
        '{"action":"subscribe","broker":"binance","symbols":["BTCUSDT"],"interval":"7m"}',
        "invalid_starlisting",
        "7m",
    ),
    (
        '{"action":"subscribe","broker":"binance","symbols":["BTCUSDT"],"types":["orderbook"]}',
        "validation_error",
        "types",
    ),
    ('{"action":"auth"}', "validation_error", "auth"),
    (
        '{"action":"subscribe","starlisting_ids":[1],"broker":"binance","symbols":["BTCUSDT"]}',
        "validation_error",
        "not both",
    ),
    ('{"action":"unsubscribe","starlisting_ids":[1],"symbols":["BTCUSDT"]}', "validation_error", "not both"),
]
"""A message, the code it is answered with, and a word of the answer."""


async def test_what_is_wrong_is_said_and_changes_nothing(market: LiveMarket, api: ApiServer) -> None:
    one = market.id(market.btc)
    async with connected(api.url) as witness:
        await witness.say(action="subscribe", starlisting_ids=[one])
        for number, (text, code, named) in enumerate(WRONG, 1):
            async with connected(api.url) as client:
                await client.connection.send(text)
                error = await client.next()
                assert (error["type"], error["code"]) == ("error", code), text[:200]
                assert named in error["message"], text[:200]
                market.candles(market.btc)
                await witness.until(type="candle", seq=number)
                await client.say(action="ping")
                assert (await client.next())["type"] == "pong", text[:200]


async def test_binary_messages_are_not_understood(api: ApiServer) -> None:
    async with connected(api.url) as client:
        await client.connection.send(b'{"action":"ping"}')
        assert (await client.next())["code"] == "invalid_json"


async def test_ping_and_auth_are_answered(api: ApiServer) -> None:
    async with connected(api.url) as client:
        await client.say(action="ping")
        pong = await client.next()
        assert pong["type"] == "pong"
        assert pong["timestamp"].endswith("+00:00")
        await client.say(action="auth", auth="kb_0123")
        assert (await client.next())["type"] == "success"


async def test_heartbeats_come_by_themselves(market: LiveMarket) -> None:
    with ApiServer(market.database_url, ws_heartbeat_s=0.05) as api:
        async with connected(api.url) as client:
            assert [(await client.next())["type"] for _ in range(3)] == ["ping"] * 3


async def test_a_client_that_asks_too_often_is_told_and_slowed(api: ApiServer) -> None:
    async with connected(api.url, max_queue=None) as client, connected(api.url) as other:
        for _ in range(100):
            await client.say(action="ping")
        await client.until(type="error", code="rate_limited")
        await other.say(action="ping")
        assert (await other.next())["type"] == "pong"


async def test_one_client_too_many_is_closed_with_1008(api: ApiServer) -> None:
    async with (
        connected(api.url),
        connected(api.url),
        connected(api.url),
        connected(api.url),
        connected(api.url) as fifth,
    ):
        async with connected(api.url, greeted=False) as sixth:
            assert await sixth.closed() == (1008, "capacity: 5 clients are connected")
        await fifth.say(action="ping")
        assert (await fifth.next())["type"] == "pong"


async def test_a_message_over_a_mebibyte_is_closed_with_1009(api: ApiServer) -> None:
    async with connected(api.url) as client:
        await client.connection.send("x" * 1_048_577)
        code, _ = await client.closed()
        assert code == 1009


async def test_a_message_of_a_mebibyte_is_read(api: ApiServer) -> None:
    async with connected(api.url) as client:
        await client.connection.send("x" * 1_048_576)
        assert (await client.next())["code"] == "invalid_json"


async def test_a_broken_frame_is_closed_with_1002_or_1007(api: ApiServer) -> None:
    async with connected(api.url) as client:
        client.connection.transport.write(b"\xff\xff\xff")
        assert (await client.closed())[0] == 1002
    async with connected(api.url) as client:
        client.connection.transport.write(struct.pack("!BB4s2s", 0x81, 0x82, bytes(4), b"\xff\xff"))
        assert (await client.closed())[0] == 1007


async def test_a_client_may_close_in_the_middle_of_its_history(market: LiveMarket) -> None:
    market.candles(market.btc, 900)
    with ApiServer(market.database_url) as api:
        for _ in range(20):
            async with connected(api.url) as client:
                await client.say(action="subscribe", starlisting_ids=[market.id(market.btc)], history=1000)
        async with connected(api.url) as client:
            await client.say(action="subscribe", starlisting_ids=[market.id(market.btc)], history=1000)
            assert (await client.until(type="historical"))["count"] == 900
        await asyncio.to_thread(wait_for, lambda: api.sample("market_ws_clients") == 0)


async def test_a_client_that_comes_while_postgres_is_away_begins_when_it_is_back(
    market: LiveMarket, proxy: TcpProxy
) -> None:
    one, other = market.id(market.btc), market.id(market.eth)
    with ApiServer(proxy.url(market.database_url), database_timeout_s=0.5) as api:
        market.wait_until_heard(api.url)
        market.candles(market.btc, 5)
        async with connected(api.url) as client, connected(api.url) as resuming:
            proxy.refuse()
            await client.say(action="subscribe", starlisting_ids=[one, other], history=5)
            assert (await client.next())["type"] == "success"
            await resuming.say(action="subscribe", starlisting_ids=[one], since={str(one): 2})
            assert (await resuming.next())["type"] == "success"
            proxy.restore()
            begun = [await client.next(), await client.next()]  # each when its own reading succeeds
            assert {each["starlisting_id"]: each["count"] for each in begun} == {one: 5, other: 0}
            assert [(await resuming.next())["seq"] for _ in range(3)] == [3, 4, 5]
            market.candles(market.btc)
            assert ((await client.next())["seq"], (await resuming.next())["seq"]) == (6, 6)


async def test_a_client_of_an_api_that_never_saw_postgres_is_told_to_ask_again(
    market: LiveMarket, proxy: TcpProxy
) -> None:
    proxy.refuse()
    with ApiServer(proxy.url(market.database_url), database_timeout_s=0.5) as api:
        async with connected(api.url) as client:
            await client.say(action="subscribe", starlisting_ids=[market.id(market.btc)])
            assert (await client.next())["code"] == "internal_error"
        async with connected(api.url, "/ws/BTCUSDT", greeted=False) as chart:
            assert (await chart.next())["code"] == "internal_error"
            assert await chart.closed() == (1013, "try again later")


async def test_a_stopping_server_closes_with_1012(market: LiveMarket) -> None:
    server = ApiServer(market.database_url)
    with server as api:
        async with connected(api.url) as client:
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            assert (await client.closed())[0] == 1012
            await stopping


async def test_an_ordinary_server_is_refused_in_words(market: LiveMarket) -> None:
    with ApiServer(market.database_url) as api:
        answer = api.http.get("/ws")
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
