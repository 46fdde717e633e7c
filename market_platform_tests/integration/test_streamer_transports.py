"""Streams of lines over HTTP, and the bus to the API, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest

from market_platform.domain.live import ConnectionPlan, StreamLimits
from market_platform.domain.live_frames import LIVE_CHANNEL, LiveFrame, LiveTick, decode_frame
from market_platform.warehouse.live_bus import listen
from market_platform_tests.fixtures.fake_stream import eventually, limits
from market_platform_tests.fixtures.memory_sink import NOON_MS, made_candle
from market_platform_tests.fixtures.ports import free_port
from streamer.bus import Bus
from streamer.connections.failures import RefusedError, StreamEndedError, judge
from streamer.connections.transports import open_transport

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@asynccontextmanager
async def lines_server(*parts: bytes) -> AsyncIterator[tuple[ConnectionPlan, asyncio.Event]]:
    """A server that answers every request with those bytes, and ends when the event is set."""
    end, handlers = asyncio.Event(), set[asyncio.Task[None] | None]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        await end.wait()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream"
    async with server:
        try:
            yield ConnectionPlan("prices-1", url, (), "http", {"Authorization": "Bearer made-up"}), end
        finally:
            end.set()
            await asyncio.gather(*(each for each in handlers if each is not None))


LIMITS: StreamLimits = limits(silence_s=1.0)


def test_lines_come_whole_however_they_are_cut() -> None:
    async def scenario() -> None:
        parts = (HEAD, chunk(b'{"a":1}\n{"b"'), chunk(b":2}\n\n"), chunk(b'{"c":3}\r\n{"d":4}\n'))
        async with lines_server(*parts) as (plan, end):
            stream = await open_transport(plan, LIMITS)
            assert [await stream.receive() for _ in range(4)] == [b'{"a":1}', b'{"b":2}', b'{"c":3}', b'{"d":4}']
            end.set()
            with pytest.raises(Exception) as caught:  # noqa: PT011 - which of them, the judge says
                await stream.receive()
            assert not judge(caught.value).fatal
            await stream.close()

    asyncio.run(scenario())


def test_a_stream_that_ends_or_falls_silent_is_over() -> None:
    async def scenario() -> None:
        async with lines_server(HEAD, chunk(b'{"a":1}\n'), b"0\r\n\r\n") as (plan, _):
            stream = await open_transport(plan, LIMITS)
            await stream.receive()
            with pytest.raises(StreamEndedError):
                await stream.receive()
            await stream.close()
        async with lines_server(HEAD, chunk(b'{"a":1}\n')) as (plan, _):
            stream = await open_transport(plan, LIMITS)
            await stream.receive()
            with pytest.raises(Exception) as caught:  # noqa: PT011 - as above
                await stream.receive()
            assert judge(caught.value).text == "no answer in time"
            await stream.close()

    asyncio.run(scenario())


def test_a_refused_stream_says_why() -> None:
    async def scenario() -> None:
        body = b'{"errorMessage":"Insufficient authorization"}'
        head = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(body)
        async with lines_server(head + body) as (plan, _):
            with pytest.raises(RefusedError, match="Insufficient authorization") as caught:
                await open_transport(plan, LIMITS)
            assert judge(caught.value).fatal

    asyncio.run(scenario())


def test_frames_reach_whoever_listens_newest_only(database_url: str) -> None:
    async def scenario() -> None:
        bus, listening = Bus(database_url, 3.0), asyncio.Event()
        bus.sources.append(lambda: [LiveTick(7, NOON_MS, "100", "1", "buy")])
        frames: list[LiveFrame] = []

        async def hear() -> None:
            async for payload in listen(database_url, LIVE_CHANNEL, 3.0):
                listening.set()
                frames.extend([] if payload is None else [decode_frame(payload)])

        async def say() -> None:
            while True:  # what is forming is told once: who was not listening hears the next
                for close in ("100.1", "100.20", "1.0050E+2"):
                    bus.candle(5, made_candle(0, closed=False, close=close), NOON_MS + 1)
                await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(each) for each in (hear(), bus.run())]
        await eventually(lambda: bus.connected and listening.is_set())
        tasks.append(asyncio.create_task(say()))
        await eventually(lambda: any(frame.c for frame in frames) and any(frame.t for frame in frames))
        candles = [each for frame in frames for each in frame.c]
        assert {(each.starlisting_id, each.close, each.event_ms) for each in candles} == {(5, "100.50", NOON_MS + 1)}
        assert all(len(frame.c) <= 1 for frame in frames)
        assert {each.trading_pair_id for frame in frames for each in frame.t} == {7}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())


def test_the_bus_outlives_postgres_and_never_blocks(database_url: str) -> None:
    async def scenario() -> None:
        bus = Bus(database_url, 3.0)
        running = asyncio.create_task(bus.run())
        await eventually(lambda: bus.connected)
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        while bus.connected:
            bus.candle(5, made_candle(0, closed=False), NOON_MS)
            await asyncio.sleep(0.01)
        await eventually(lambda: bus.connected)  # again
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


def test_without_postgres_frames_are_dropped() -> None:
    async def scenario() -> None:
        bus = Bus(f"postgresql://nobody@127.0.0.1:{free_port()}/none", 2.0)
        running = asyncio.create_task(bus.run())
        for _ in range(1_000):
            bus.candle(5, made_candle(0, closed=False), NOON_MS)
        await asyncio.sleep(0)
        assert len(bus._candles) == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())
