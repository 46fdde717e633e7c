"""The WebSocket API while Postgres restarts, the network swallows, notifications are lost, and clients misbehave."""

from __future__ import annotations

import asyncio
import random
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed

from market_platform.domain.clock import to_ms
from market_platform.domain.live_frames import FormingCandle
from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform.warehouse.migrations import migrate
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.live_market import FIRST, Client, LiveMarket, connected
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.fixtures.tcp_proxy import TcpProxy

pytestmark = pytest.mark.anyio


async def numbers_until(client: Client, last: int) -> list[int]:
    """Numbers of the messages up to `last`."""
    found: list[int] = []
    while not found or found[-1] != last:
        message = await client.next(30)
        if message["type"] == "candle" and message["closed"]:
            found.append(message["seq"])
    return found


@asynccontextmanager
async def both_subscribed(api: ApiServer, starlisting_id: int) -> AsyncIterator[tuple[Client, Client]]:
    """Two clients of a starlisting; the second keeps but one message that it has not read."""
    async with connected(api.url) as other, connected(api.url, max_queue=1) as lazy:
        for client in (lazy, other):
            await client.say(action="subscribe", starlisting_ids=[starlisting_id])
            await client.until(type="success")
        yield other, lazy


async def test_a_restart_of_postgres_costs_a_client_nothing(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", free_port())
    try:
        url = server.start()
        migrate(url)
        market = LiveMarket(url)
        with ApiServer(url) as api:
            market.wait_until_heard(api.url)
            async with connected(api.url) as client:
                await client.say(action="subscribe", starlisting_ids=[market.id(market.btc)], history=1)
                await client.until(type="historical")
                market.candles(market.btc, 3)
                assert await numbers_until(client, 3) == [1, 2, 3]
                for last in (5, 7):
                    market.close()
                    server.stop()
                    assert server.start() == url
                    market.candles(market.btc)  # perhaps before the API listens again
                    market.candles(market.btc)
                    assert await numbers_until(client, last) == [last - 1, last]
        market.close()
    finally:
        server.destroy()


@pytest.mark.parametrize("how", ["refuse", "swallow"])
async def test_what_was_missed_while_the_network_was_away_is_read(
    market: LiveMarket, proxy: TcpProxy, how: str
) -> None:
    with ApiServer(proxy.url(market.database_url), database_timeout_s=1.0) as api:
        market.wait_until_heard(api.url)
        async with connected(api.url) as client:
            await client.say(action="subscribe", starlisting_ids=[market.id(market.btc)], history=1)
            await client.until(type="historical")
            getattr(proxy, how)()
            market.candles(market.btc, 40)
            proxy.restore()
            market.candles(market.btc)
            assert await numbers_until(client, 41) == list(range(1, 42))


async def test_a_notification_that_never_comes_is_not_needed(market: LiveMarket) -> None:
    one = market.id(market.btc)
    market.candles(market.btc)
    with ApiServer(market.database_url) as api:
        async with connected(api.url) as client:
            await client.say(action="subscribe", starlisting_ids=[one], history=1)
            await client.until(type="historical")
            with psycopg.connect(market.database_url) as conn:
                conn.execute("UPDATE series_state SET seq = 2 WHERE starlisting_id = %s", (one,))
                conn.execute(
                    "INSERT INTO series_changes (starlisting_id, seq, kind, time) VALUES (%s, 2, 'candle', %s)",
                    (one, FIRST),
                )
            assert (await client.next())["seq"] == 2


async def test_a_numbering_that_begins_anew_is_a_resync(market: LiveMarket) -> None:
    one = market.id(market.btc)
    market.candles(market.btc, 9)
    with ApiServer(market.database_url) as api:
        async with connected(api.url) as client:
            await client.say(action="subscribe", starlisting_ids=[one], history=2)
            await client.until(type="historical", seq=9)
            with psycopg.connect(market.database_url) as conn:
                conn.execute("UPDATE series_state SET seq = 4 WHERE starlisting_id = %s", (one,))
                conn.execute("DELETE FROM series_changes WHERE seq > 4")
            assert await client.next() == {"type": "resync", "starlisting_id": one, "seq": 4}
            assert (await client.next())["seq"] == 4
            market.candles(market.btc)
            assert (await client.next())["seq"] == 5
            with psycopg.connect(market.database_url) as conn:
                conn.execute("UPDATE series_state SET epoch = epoch + 1, seq = 70 WHERE starlisting_id = %s", (one,))
            assert (await client.next(), (await client.next())["seq"]) == (
                {"type": "resync", "starlisting_id": one, "seq": 70},
                70,
            )


async def test_who_stops_reading_is_closed_with_1013_and_resumes_by_number(market: LiveMarket) -> None:
    one = market.id(market.btc)
    with ApiServer(market.database_url, ws_max_outbox_bytes=100_000) as api:
        market.wait_until_heard(api.url)
        async with both_subscribed(api, one) as (other, lazy):
            slow = lazy.connection.transport
            slow.pause_reading()
            written = 0
            while not _slow_consumers(api):
                written += 900
                market.candles(market.btc, 900)
                assert await numbers_until(other, written) == list(range(written - 899, written + 1))
            slow.resume_reading()
            assert (await lazy.closed()) == (1013, "slow_consumer")
            assert lazy.seen[-1]["code"] == "slow_consumer"
            got = [each["seq"] for each in lazy.seen if each["type"] == "candle"]
            assert got == list(range(1, len(got) + 1))
        async with connected(api.url) as again:
            await again.say(action="subscribe", starlisting_ids=[one], since={str(one): written - 900})
            assert await numbers_until(again, written) == list(range(written - 899, written + 1))


async def test_a_client_that_stops_reading_gets_only_the_newest_forming_candle(market: LiveMarket) -> None:
    one = market.id(market.btc)
    with ApiServer(market.database_url) as api:
        market.wait_until_heard(api.url)
        async with both_subscribed(api, one) as (other, lazy):
            slow = lazy.connection.transport
            slow.pause_reading()
            sent = 40_000
            for first in range(0, sent, 1000):
                await asyncio.to_thread(_form, market, range(first, first + 1000))
                await other.until(type="candle", data=_data(first + 999))
            assert not _slow_consumers(api)
            slow.resume_reading()
            await lazy.until(type="candle", data=_data(sent - 1))
            shown = [int(each["data"]["close"].partition(".")[0]) for each in lazy.seen if each["type"] == "candle"]
            assert shown == sorted(set(shown))
            assert len(shown) < sent


@pytest.mark.slow
async def test_a_thousand_clients_notice_nothing_of_those_that_misbehave(market: LiveMarket) -> None:
    _allow_files(5000)
    one, rounds = market.id(market.btc), 40
    with ApiServer(market.database_url, ws_max_outbox_bytes=100_000) as api:
        market.wait_until_heard(api.url)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            good = [await stack.enter_async_context(connected(api.url)) for _ in range(989)]
            for client in good:
                await client.say(action="subscribe", starlisting_ids=[one], history=1)
                await client.until(type="historical")
            lazy = await stack.enter_async_context(connected(api.url, max_queue=1))
            await lazy.say(action="subscribe", starlisting_ids=[one], history=1)
            await lazy.until(type="historical")
            lazy.connection.transport.pause_reading()
            stop = asyncio.Event()
            misbehaving = [tasks.create_task(_garbage(api.url, seed, stop)) for seed in range(10)]
            followers = [tasks.create_task(numbers_until(each, rounds)) for each in good]
            for _ in range(rounds):
                await asyncio.to_thread(market.candles, market.btc)
            for each in followers:
                assert await each == list(range(1, rounds + 1))
            stop.set()
    assert all(each.result() for each in misbehaving)


async def _garbage(http_url: str, seed: int, stop: asyncio.Event) -> int:
    """Send what is no message, no JSON, no frame, as fast as it is taken; how often something was sent."""
    dice, sent = random.Random(seed), 0
    while not stop.is_set():
        with suppress(ConnectionClosed, OSError, TimeoutError):
            async with connected(http_url) as client:
                tasks = asyncio.create_task(_read_all(client))
                for _ in range(50):
                    kind = dice.randrange(6)
                    if kind == 0:
                        await client.connection.send(dice.randbytes(dice.randrange(2000)))
                    elif kind == 1:
                        await client.connection.send('{"action":"subscribe","starlisting_ids":' + "[" * 5000)
                    elif kind == 2:
                        await client.say(action="subscribe", starlisting_ids=[dice.randrange(1, 2**31)], history=1000)
                    elif kind == 3:
                        await client.connection.send("x" * 300_000)
                    elif kind == 4:
                        await client.say(action="subscribe", starlisting_ids=[1, 2, 3], since={"1": 2**61})
                    elif dice.random() < 0.05:
                        client.connection.transport.write(dice.randbytes(64))
                    sent += 1
                    await asyncio.sleep(0)
                tasks.cancel()
    return sent


async def _read_all(client: Client) -> None:
    with suppress(ConnectionClosed):
        while True:
            await client.connection.recv()


def _form(market: LiveMarket, closes: range) -> None:
    time = to_ms(FIRST + timedelta(minutes=1))
    one = market.id(market.btc)
    market.notify([FormingCandle(one, time, "1", "1", "1", str(each), "1", 1, 0) for each in closes], [])


def _data(close: int) -> dict[str, Any]:
    one = "1.000000000000000000"
    time = (FIRST + timedelta(minutes=1)).isoformat()
    prices = {"open": one, "high": one, "low": one, "close": f"{close}.{'0' * 18}"}
    return {"time": time, **prices, "volume": one, "num_trades": 1}


def _slow_consumers(api: ApiServer) -> float:
    return api.sample("market_ws_slow_consumers_total")


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard < count:
            pytest.skip(f"{hard} open files are too few here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


async def test_everyone_may_come_back_at_once_after_a_restart_of_the_api(market: LiveMarket) -> None:
    one, other = market.id(market.btc), market.id(market.eth)
    market.candles(market.btc, 300)
    market.candles(market.eth, 300)
    with ApiServer(market.database_url, database_pool_size=2) as api:
        begun: list[int] = []
        everyone = asyncio.Event()

        async def come_back(number: int) -> None:
            async with connected(api.url, open_timeout=60) as client:
                request: dict[str, Any] = {"action": "subscribe", "starlisting_ids": [one, other], "history": 50}
                if number % 2:
                    request["since"] = {str(one): number, str(other): number}
                await client.say(**request)
                await client.until(60, starlisting_id=other)
                begun.append(number)
                if len(begun) == 300:
                    everyone.set()
                await client.until(60, starlisting_id=one, seq=301)
                numbers = [each["seq"] for each in client.seen if each.get("starlisting_id") == one]
                assert numbers == (list(range(number + 1, 302)) if number % 2 else [300, 301])

        async with asyncio.TaskGroup() as tasks:
            for number in range(300):
                tasks.create_task(come_back(number))
            await everyone.wait()
            await asyncio.to_thread(market.candles, market.btc)
        assert api.sample("market_ws_resyncs_total") == 0
