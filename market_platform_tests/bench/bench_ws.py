"""WebSocket: from commit to client, fan-out, a thousand clients, and the memory of five thousand idle ones.

The API is a process of its own, so are all clients together; they, Postgres and the writer share the cores. Times are of
one clock (the system's, since boot): a commit's is taken when Postgres has answered it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import polars as pl
import psutil
import psycopg

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.ranks import CandleRank
from market_platform.settings import PROJECT_ROOT
from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.migrations import migrate
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.fixtures.ports import free_port

_CONFIG = """
exchanges: {binance: {name: Binance, licence: public, intervals: [1m]}}
coins: {BTC: Bitcoin}
quote_currencies: {USDT: Tether}
market_types: {spot: Spot}
starlistings: {binance: {BTCUSDT: {coin: BTC, quote: USDT, market_type: spot}}}
"""
_HISTORY = """
INSERT INTO candles (starlisting_id, source, time, num_trades, open, high, low, close, volume)
SELECT %(id)s, 30, t, 100, 60000.5, 60100.25, 59900.75, 60050, 12.5
FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz - interval '1 min', interval '1 min') AS t
"""
_DAYS = """
INSERT INTO candle_days (starlisting_id, day, revision, rows, first_time, last_time, condition, data_version, run_id,
    code_version)
SELECT %(id)s, d, 1, 1440, d, d + interval '1439 min', 'available', md5(d::text), 'bench', '1'
FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz - interval '1 day', interval '1 day') AS d
"""
_NOW = datetime(2026, 11, 2, tzinfo=UTC)
_YEARS = datetime(2021, 11, 2, tzinfo=UTC)
_COMMITS, _PAUSE_S = 200, 0.02
_BATCHES, _BATCH = 100, 50
_ROUNDS = 50


def measure(database_url: str) -> list[BenchRow]:
    """Every row, on an empty database and on one with five years of minutes."""
    parts = urlsplit(database_url)
    long_url = parts._replace(path=f"{parts.path}_ws_long").geturl()
    migrate(long_url)
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="bench-ws-") as folder:
        short, long = (stack.enter_context(_market(url)) for url in (database_url, long_url))
        long.fill()
        ours = stack.enter_context(_api(Path(folder) / "short.log", database_url))
        grown = stack.enter_context(_api(Path(folder) / "long.log", long_url))
        rows = _latency(short, long, ours, grown)
        rows.append(_thousand(short, ours))
        rows.append(_fan_out(short, ours, Path(folder)))
        rows.append(_idle(short, ours))
    return rows


def _latency(short: Market, long: Market, ours: Server, grown: Server) -> list[BenchRow]:
    committed: list[dict[int, float]] = [{}, {}]
    with _clients([ours.url, grown.url], short.say(), clients=100, frames=_COMMITS) as clients:
        for _ in range(_COMMITS):
            for market, moments in zip((short, long), committed, strict=True):
                seq = market.commit(1)
                moments[seq] = time.monotonic()
                time.sleep(_PAUSE_S)
        told = clients.result()
    delays = [_delays(moments, each) for moments, each in zip(committed, told, strict=True)]
    plain, years = delays
    return [
        BenchRow("WebSocket: commit to client, p50, 100 clients", _ms(plain, 0.5), "ms", 5.0, "lower", _about(plain)),
        BenchRow("WebSocket: commit to client, p99, 100 clients", _ms(plain, 0.99), "ms", 20.0, "lower", _about(plain)),
        BenchRow(
            "WebSocket: commit to client, p50, 5 years stored",
            _ms(years, 0.5) / _ms(plain, 0.5),
            "×",
            1.5,
            "lower",
            f"nothing stored: {_ms(plain, 0.5):.2f} ms, five years {_ms(years, 0.5):.2f} ms",
        ),
    ]


def _thousand(market: Market, server: Server) -> BenchRow:
    committed: dict[int, float] = {}
    with _clients([server.url], market.say(), clients=1000, frames=_ROUNDS) as clients:
        begun = time.monotonic()
        for number in range(_ROUNDS):
            time.sleep(max(0.0, begun + number * 0.1 - time.monotonic()))
            seq = market.commit(1)
            committed[seq] = time.monotonic()
        [told] = clients.result()
    delays = _delays(committed, told)
    return BenchRow(
        "WebSocket: 1,000 clients × 10 messages/s, p99", _ms(delays, 0.99), "ms", 100.0, "lower", _about(delays)
    )


def _fan_out(market: Market, server: Server, folder: Path) -> BenchRow:
    messages = _BATCHES * _BATCH
    with _clients([server.url], market.say(), clients=100, frames=messages, count_only=True) as clients:
        begun = time.monotonic()
        for _ in range(_BATCHES):
            market.commit(_BATCH)
        [told] = clients.result()
    ours = 100 * messages / (told["last"] - begun)
    with (
        _peer(folder / "peer.log", messages) as peer,
        _clients([peer.url], {"type": "go"}, clients=100, frames=messages, count_only=True) as clients,
    ):
        begun = time.monotonic()
        httpx.get(peer.url.replace("ws", "http", 1).removesuffix("/ws") + "/go", timeout=60)
        [told] = clients.result()
    bare = 100 * messages / (told["last"] - begun)
    return BenchRow(
        "WebSocket: fan-out to 100 clients, committed rows",
        ours,
        "messages/s",
        50_000.0,
        "higher",
        f"bare uvicorn loop sending the same text: {bare:,.0f}/s",
    )


def _idle(market: Market, server: Server) -> BenchRow:
    before = server.memory()
    with _clients([server.url], market.say(), clients=5000, frames=0) as clients:
        after = server.memory()
        clients.end()
    return BenchRow(
        "WebSocket: API process with 5,000 idle clients",
        after / 1e6,
        "MB",
        400.0,
        "lower",
        f"{before / 1e6:,.0f} MB before them, {(after - before) / 5000 / 1e3:.1f} kB each",
    )


def _delays(committed: dict[int, float], told: dict[str, Any]) -> list[float]:
    assert told["lost"] == 0, "clients were disconnected"
    found = [moment - committed[int(seq)] for seq, moments in told["moments"].items() for moment in moments]
    return sorted(found)


def _ms(delays: Sequence[float], share: float) -> float:
    return delays[min(len(delays) - 1, int(len(delays) * share))] * 1e3


def _about(delays: Sequence[float]) -> str:
    return f"p50 {_ms(delays, 0.5):.2f} ms, p99 {_ms(delays, 0.99):.2f} ms of {len(delays):,} messages"


class Market:
    """One starlisting, and its writer."""

    def __init__(self, url: str) -> None:
        self._warehouse = create_warehouse(url)
        with self._warehouse.begin() as conn:
            sync_reference(conn, parse_starlistings(_CONFIG))
            self.starlisting_id = load_pair(conn, "binance", "BTCUSDT").starlistings["1m"]
        self._url = url
        self._minutes = 0
        self._seq = 0

    def fill(self) -> None:
        """Five years of minutes."""
        span = {"id": self.starlisting_id, "first": _YEARS, "last": _NOW}
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SET timezone = 'UTC'")
            connection.execute(_HISTORY, span)
            connection.execute(_DAYS, span)
            connection.execute("VACUUM ANALYZE candles, candle_days")

    def say(self) -> dict[str, Any]:
        """What clients ask for."""
        return {"action": "subscribe", "starlisting_ids": [self.starlisting_id]}

    def commit(self, count: int) -> int:
        """Commit the next candles as the streamer does; returns the number of the last."""
        days: dict[date, list[datetime]] = {}
        for _ in range(count):
            at = _NOW + timedelta(minutes=self._minutes)
            days.setdefault(at.date(), []).append(at)
            self._minutes += 1
        writes = [
            CandleWrite(self.starlisting_id, day, _frame(times), None, CandleRank.EXCHANGE, replace=False)
            for day, times in days.items()
        ]
        with self._warehouse.begin() as conn:
            write_candle_days(conn, writes, run_id="bench", code_version="1")
        self._seq += count
        return self._seq

    def close(self) -> None:
        """Close connections."""
        self._warehouse.close()


class Server:
    """A running server: where its WebSocket is, and its process."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self._process = psutil.Process(process.pid)

    def memory(self) -> int:
        """Resident bytes of the process."""
        return int(self._process.memory_info().rss)


class Clients:
    """The process of all clients."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def result(self) -> list[dict[str, Any]]:
        """What it saw, of each URL."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the clients ended early"
        found: list[dict[str, Any]] = json.loads(line)
        return found

    def end(self) -> None:
        """Let idle clients go."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()


@contextmanager
def _market(url: str) -> Iterator[Market]:
    market = Market(url)
    try:
        yield market
    finally:
        market.close()


@contextmanager
def _clients(
    urls: Sequence[str], say: dict[str, Any], *, clients: int, frames: int, count_only: bool = False
) -> Iterator[Clients]:
    options = {"urls": list(urls), "say": say, "clients": clients, "frames": frames, "count_only": count_only}
    process = subprocess.Popen(
        [sys.executable, "-m", "market_platform_tests.bench.ws_clients", json.dumps(options)],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n", "the clients did not connect"
        yield Clients(process)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def _api(log: Path, database_url: str) -> Iterator[Server]:
    port = free_port()
    environment = {
        "DATABASE_URL": database_url,
        "API_PORT": str(port),
        "WS_MAX_OUTBOX_BYTES": str(64 * 2**20),
        "LOG_FORMAT": "json",
    }
    with _started(log, ["-m", "api_service"], environment, port, "/health", b'"healthy"') as process:
        yield Server(f"ws://127.0.0.1:{port}/ws", process)


@contextmanager
def _peer(log: Path, messages: int) -> Iterator[Server]:
    port = free_port()
    command = ["-m", "uvicorn", "--factory", "market_platform_tests.bench.api_peers:broadcast", "--port", str(port)]
    quiet = ["--log-level", "warning", "--ws-per-message-deflate", "false", "--ws", "websockets-sansio"]
    environment = {"BENCH_MESSAGES": str(messages)}
    with _started(log, [*command, *quiet], environment, port, "/", b"") as process:
        yield Server(f"ws://127.0.0.1:{port}/ws", process)


@contextmanager
def _started(
    log: Path, command: Sequence[str], environment: dict[str, str], port: int, path: str, wanted: bytes
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=PROJECT_ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 30
        while not _answers(f"http://127.0.0.1:{port}{path}", wanted):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(15)


def _answers(url: str, wanted: bytes) -> bool:
    try:
        return wanted in httpx.get(url, timeout=5).content
    except httpx.TransportError:
        return False


def _frame(times: Sequence[datetime]) -> pl.DataFrame:
    count = len(times)
    return pl.DataFrame(
        {
            "time": list(times),
            **{name: [Decimal("60000.5")] * count for name in ("open", "high", "low", "close")},
            "volume": [Decimal("12.5")] * count,
            "num_trades": [100] * count,
        },
        schema=dict(CANDLE_SCHEMA),
    )
