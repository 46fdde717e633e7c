"""Live ingestion as it runs: the streamer's process on a hundred starlistings at ten times the real rate.

Belongs here: rows of that process: how late closed candles are committed, its share of a core, its memory. Does not: from
commit to client (bench_ws.py), parsing alone (bench_stream.py), the journal alone (bench_journal.py).

Nothing is asked of the streamer itself: a second client of the replay exchange notes when each closing message comes, and a
second listener on Postgres when each commit is told. Exchange, streamer, Postgres and both observers share the cores.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import psutil
import psycopg
from websockets.asyncio.client import connect

from market_platform.domain.clock import to_ms
from market_platform.domain.live_frames import SERIES_CHANNEL
from market_platform.embedded.processes import launch_command
from market_platform.settings import PROJECT_ROOT
from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.fixtures.ports import free_ports

COINS = [f"COIN{number:03}" for number in range(1, 51)]
INTERVALS = ("1m", "5m")
SPEED = 10
PART_S = 300
"""Parts for the lake are as long as by default, in the exchange's time, so that their writing is part of what is measured."""
WARM_S, SPAN_S = 45.0, 60.0
_EDGE_S = 10.0
_LATE_S = 20.0

Series = tuple[str, str]
"""Symbol and interval."""


class _Bar(msgspec.Struct):
    open_ms: int = msgspec.field(name="t")
    interval: str = msgspec.field(name="i")
    closed: bool = msgspec.field(name="x")


class _Kline(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    bar: _Bar = msgspec.field(name="k")


class _Message(msgspec.Struct):
    data: _Kline


@dataclass(slots=True)
class Seen:
    """What was observed: moments by our monotonic clock, in seconds; process figures once a second of the span."""

    closed: dict[tuple[Series, int], float] = field(default_factory=dict)
    committed: dict[tuple[int, int], float] = field(default_factory=dict)
    cpu_s: float = 0.0
    replay_cpu_s: float = 0.0
    span_s: float = 0.0
    messages: float = 0.0
    rss: list[int] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    begun: float = 0.0
    delays_ms: list[float] = field(default_factory=list)


async def measure(database_url: str, folder: Path) -> list[BenchRow]:
    """Every row."""
    seen = await observe(database_url, folder)
    delays = sorted(seen.delays_ms)
    median, late = _share(delays, 0.5), _share(delays, 0.99)
    about = f"p50 {median:.1f} ms, longest {delays[-1]:.1f} ms of {len(delays):,} candles"
    first, last = memory_edges(seen)
    rate = f"{seen.messages / seen.span_s:,.0f} messages/s"
    others = f"replay exchange {100 * seen.replay_cpu_s / seen.span_s:.0f} %; load {statistics.mean(seen.load):.1f}"
    growth = 100 * (last / first - 1)
    return [
        BenchRow("live: closed candle received to committed, p99", late, "ms", 250.0, "lower", about),
        BenchRow(
            "live: streamer's CPU, 100 starlistings at 10 × real rate",
            100 * seen.cpu_s / seen.span_s,
            "% of a core",
            100.0,
            "lower",
            f"{rate}; {others}",
        ),
        BenchRow(
            f"live: growth of the streamer's memory in {seen.span_s * SPEED / 60:.0f} min of the exchange's time",
            growth,
            "%",
            5.0,
            "lower",
            f"{first / 1e6:.1f} to {last / 1e6:.1f} MB",
        ),
    ]


def memory_edges(seen: Seen) -> tuple[float, float]:
    """Resident bytes at the beginning and the end of the span: medians of some seconds."""
    edge = max(1, min(int(_EDGE_S), len(seen.rss) // 2))
    return statistics.median(seen.rss[:edge]), statistics.median(seen.rss[-edge:])


async def observe(
    database_url: str, folder: Path, *, speed: int = SPEED, warm_s: float = WARM_S, span_s: float = SPAN_S
) -> Seen:
    """Run the processes, look on for `span_s` after `warm_s`, and end them.

    Raises:
        AssertionError: a process ended, or a closed candle was not committed.
    """
    series_ids = _reference(database_url)
    replay_port, metrics_port = free_ports(2)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("R2_", "AWS_", "LAKE_"))},
        "DATABASE_URL": database_url,
        "MARKET": "replay",
        "MARKET_DATA_DIR": str(folder / "data"),
        "REPLAY_PORT": str(replay_port),
        "REPLAY_SPEED": str(speed),
        "STREAMER_METRICS_PORT": str(metrics_port),
        "STREAM_EXCHANGES": "binance",
        "STREAM_PART_S": str(PART_S / speed),
        "LOG_FORMAT": "json",
    }
    metrics = f"http://127.0.0.1:{metrics_port}/metrics"
    logs = folder / "replay.log", folder / "streamer.log"
    seen = Seen()
    async with AsyncExitStack() as stack:
        replay = stack.enter_context(_process("market_platform.replay", logs[0], environment))
        await _until(f"http://127.0.0.1:{replay_port}/healthz", "", replay, logs[0])
        streamer = stack.enter_context(_process("streamer", logs[1], environment))
        await _until(metrics, r"streamer_connection_delivering\{[^}]*\} 1\.0", streamer, logs[1])
        async with asyncio.TaskGroup() as group:
            watchers = [
                group.create_task(_watch_exchange(replay_port, seen)),
                group.create_task(_watch_postgres(database_url, seen)),
            ]
            await asyncio.sleep(warm_s)
            await _span(span_s, streamer, replay, metrics, seen)
            await _compare(database_url, series_ids, seen)
            for watcher in watchers:
                watcher.cancel()
        streamer.terminate()
        assert await asyncio.to_thread(streamer.wait, 30) == 0, _tail(logs[1])
    return seen


def _reference(database_url: str) -> dict[Series, int]:
    """The starlistings, and their ids."""
    lines = [
        "exchanges: {binance: {name: Binance, licence: public, market_type: spot}}",
        "quote_currencies: {USDT: Tether}",
        "market_types: {spot: Spot}",
        f"intervals: [{', '.join(INTERVALS)}]",
        "coins:",
        *(f"  {coin}: {coin}" for coin in COINS),
        "starlistings:",
        "  binance:",
        *(f"    {coin}USDT: {{coin: {coin}, quote: USDT}}" for coin in COINS),
    ]
    warehouse = create_warehouse(database_url)
    try:
        with warehouse.begin() as connection:
            sync_reference(connection, parse_starlistings("\n".join(lines) + "\n"))
            pairs = {f"{coin}USDT": load_pair(connection, "binance", f"{coin}USDT") for coin in COINS}
    finally:
        warehouse.close()
    return {(symbol, interval): pair.starlistings[interval] for symbol, pair in pairs.items() for interval in INTERVALS}


async def _span(
    seconds: float, streamer: subprocess.Popen[bytes], replay: subprocess.Popen[bytes], metrics: str, seen: Seen
) -> None:
    """Note the processes' figures for so long."""
    ours, theirs = psutil.Process(streamer.pid), psutil.Process(replay.pid)
    messages = await _messages(metrics)
    begun_cpu = _cpu(ours), _cpu(theirs)
    seen.begun = time.monotonic()
    while time.monotonic() < seen.begun + seconds:
        await asyncio.sleep(1)
        assert streamer.poll() is None, "the streamer ended"
        seen.rss.append(ours.memory_info().rss)
        seen.load.append(os.getloadavg()[0])
    seen.span_s = time.monotonic() - seen.begun
    seen.cpu_s, seen.replay_cpu_s = _cpu(ours) - begun_cpu[0], _cpu(theirs) - begun_cpu[1]
    seen.messages = await _messages(metrics) - messages


async def _compare(database_url: str, series_ids: dict[Series, int], seen: Seen) -> None:
    """The delay of every candle that closed within the span; each must be committed within some seconds more."""
    names = {starlisting_id: series for series, starlisting_id in series_ids.items()}
    span = seen.begun, seen.begun + seen.span_s
    wanted = {candle: at for candle, at in seen.closed.items() if span[0] <= at < span[1]}
    assert wanted, "nothing closed"
    deadline = time.monotonic() + _LATE_S
    while True:
        first: dict[tuple[Series, int], float] = {}
        for starlisting_id, seq, open_ms in await asyncio.to_thread(_changes, database_url):
            moment = seen.committed.get((starlisting_id, seq))
            if moment is not None:
                first.setdefault((names[starlisting_id], open_ms), moment)
        lost = [candle for candle in wanted if candle not in first]
        if not lost:
            break
        assert time.monotonic() < deadline, f"{len(lost)} of {len(wanted)} not committed: {lost[:3]}"
        await asyncio.sleep(0.5)
    seen.delays_ms = [1000 * (first[candle] - at) for candle, at in wanted.items()]


def _changes(database_url: str) -> list[tuple[int, int, int]]:
    """Starlisting, number and opening time of every candle that changed, in the order of numbers."""
    query = "SELECT starlisting_id, seq, time FROM series_changes WHERE kind = 'candle' ORDER BY starlisting_id, seq"
    with psycopg.connect(database_url) as connection:
        return [(int(row[0]), int(row[1]), to_ms(row[2])) for row in connection.execute(query)]


async def _watch_exchange(port: int, seen: Seen) -> None:
    """Note when each candle's closing message comes, until cancelled."""
    names = "/".join(f"{coin.lower()}usdt@kline_{interval}" for coin in COINS for interval in INTERVALS)
    decode = msgspec.json.Decoder(_Message).decode
    async with connect(f"ws://127.0.0.1:{port}/binance/spot/stream?streams={names}", compression=None) as socket:
        while True:
            raw = await socket.recv(decode=False)
            if b'"x":true' in raw:
                now = time.monotonic()
                kline = decode(raw).data
                seen.closed.setdefault(((kline.symbol, kline.bar.interval), kline.bar.open_ms), now)


async def _watch_postgres(database_url: str, seen: Seen) -> None:
    """Note when each number is told, until cancelled; a number told says that those before it are there too."""
    known: dict[int, int] = {}
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(f"LISTEN {SERIES_CHANNEL}".encode())
        async for notification in connection.notifies():
            now = time.monotonic()
            for part in notification.payload.split():
                starlisting_id, _, seq = (int(each) if each.isdecimal() else 0 for each in part.partition(":"))
                for number in range(known.get(starlisting_id, seq - 1) + 1, seq + 1):
                    seen.committed[starlisting_id, number] = now
                known[starlisting_id] = max(seq, known.get(starlisting_id, 0))


@contextmanager
def _process(module: str, log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program of ours that is gone afterwards, also when the bench is killed."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            launch_command([sys.executable, "-m", module], on_parent_death=signal.SIGTERM),
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _until(url: str, pattern: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an answer has that in it."""
    deadline = time.monotonic() + 60
    async with httpx.AsyncClient(timeout=5) as client:
        while True:
            assert process.poll() is None, f"it ended:\n{_tail(log)}"
            with contextlib.suppress(httpx.TransportError):
                if re.search(pattern, (await client.get(url)).raise_for_status().text):
                    return
            assert time.monotonic() < deadline, f"{url} does not say {pattern!r}:\n{_tail(log)}"
            await asyncio.sleep(0.2)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


async def _messages(url: str) -> float:
    """Messages that the streamer received so far."""
    async with httpx.AsyncClient(timeout=5) as client:
        text = (await client.get(url)).raise_for_status().text
    return sum(float(count) for count in re.findall(r"^streamer_messages_total\{[^}]*\} (\S+)$", text, re.MULTILINE))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
