"""Durability: what the journal costs a message, how late a closed candle is committed, how fast a backlog goes.

Belongs here: rows of the streamer's journal and what is behind it. Does not: parsing alone (bench_stream.py).
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection

from market_platform.domain.bars import BarBuilder
from market_platform.domain.clock import utc_now
from market_platform.domain.errors import LakeUnavailableError, WarehouseUnavailableError
from market_platform.domain.events import Trade
from market_platform.domain.intervals import parse_interval
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.exchanges.binance.parse import parse
from market_platform.lake.store import Lake
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.reference import load_pairs, sync_reference
from market_platform_tests.bench.bench_stream import recorded_lines
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.fixtures.live_sink import candle, live_pair, running_sink, trade
from market_platform_tests.fixtures.reference import small_config
from streamer.journal.journal import Journal
from streamer.journal.records import JournalPair, Kind
from streamer.journal_sink import JournalSink

MESSAGES = 200_000
GROUP = 2_000
"""Messages of the peer's transactions: what comes in 20 ms at the bound."""
INTERVALS = ("1m", "5m", "15m", "1h")
PAIRS = 25
CLOSES = 30
BACKLOG_TRADES = 250_000
RATE_BOUND, LATENCY_BOUND_MS, CANDLES_BOUND_S, TRADES_BOUND = 100_000, 250.0, 30.0, 50_000


def measure(database_url: str, folder: Path) -> list[BenchRow]:
    """Every row of the journal; `folder` is empty, `database_url` a migrated database.

    Raises:
        Skipped: the recordings are not here.
    """
    lines = [line for each in recorded_lines().values() for line in each if b"@trade" in line[:60]]
    warehouse = create_warehouse(database_url)
    try:
        pairs = _pairs(warehouse)
        latency = asyncio.run(_latency_row(folder / "latency", warehouse, pairs))
        backlog = asyncio.run(_backlog_rows(folder / "backlog", warehouse, pairs))
    finally:
        warehouse.close()
    return [_throughput_row(lines, folder), latency, *backlog]


def _throughput_row(lines: Sequence[bytes], folder: Path) -> BenchRow:
    """Recorded trades from bytes to bars and a commit on disk; time is that of the processor, all threads together.

    The recording is played again and again, each time to new builders of bars: to old ones every trade would be late.
    """
    times = -(-MESSAGES // len(lines))
    seconds = min(_processor_s(lambda: _parse_bars_journal(lines, times, folder / "ours")) for _ in range(2))
    peer = min(_processor_s(lambda: _bare_sqlite(list(lines) * times, folder / "peer")) for _ in range(2))
    count = len(lines) * times
    told = f"bare sqlite3 executemany of the same bytes, parsing nothing: {count / peer:,.0f}/s; {count:,} trades"
    return BenchRow("parse, bars and journal, on one core", count / seconds, "messages/s", RATE_BOUND, "higher", told)


def _parse_bars_journal(lines: Sequence[bytes], times: int, folder: Path) -> None:
    intervals = [parse_interval(name) for name in INTERVALS]
    pairs: dict[str, JournalPair] = {}
    journal = Journal(folder, min_free_mb=0, clock=utc_now, on_change=lambda: None)
    journal.open()
    for _ in range(times):
        builders: dict[str, BarBuilder] = {}
        for line in lines:
            for event in parse(line):
                if not isinstance(event, Trade):
                    continue
                bars = builders.get(event.symbol)
                if bars is None:
                    bars = builders[event.symbol] = BarBuilder(event.symbol, intervals)
                    pairs.setdefault(event.symbol, JournalPair(len(pairs) + 1, "binance", event.symbol))
                bars.add(event.trade_id, event.time_ms, event.price, event.quantity)
                journal.add(pairs[event.symbol], Kind.TRADES, (event,))
    journal.close()
    shutil.rmtree(folder)


def _bare_sqlite(lines: Sequence[bytes], folder: Path) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "peer.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE lines (seq INTEGER PRIMARY KEY, content BLOB)")
        for start in range(0, len(lines), GROUP):
            connection.execute("BEGIN")
            rows = ((line,) for line in lines[start : start + GROUP])
            connection.executemany("INSERT INTO lines (content) VALUES (?)", rows)
            connection.execute("COMMIT")
    shutil.rmtree(folder)


async def _latency_row(folder: Path, warehouse: Warehouse, pairs: Sequence[LivePair]) -> BenchRow:
    """All starlistings close at the same moment, again and again, while trades come in: the worst minute of a day."""
    lake = Lake.open((folder / "lake").as_uri())
    waits: list[float] = []
    async with running_sink(folder / "journal", lake, warehouse) as sink:
        for close in range(CLOSES):
            for number, pair in enumerate(pairs):
                sink.trades(pair, [trade(close * 100 + each) for each in range(20 + number)])
            began = time.perf_counter()
            for pair in pairs:
                for interval in INTERVALS:
                    sink.candles(pair, [candle(close, interval=interval)], CandleRank.EXCHANGE)
            await _until_in_postgres(sink)
            waits.append(1000 * (time.perf_counter() - began))
    p99 = statistics.quantiles(waits[1:], n=100)[98]
    told = f"p50 {statistics.median(waits):.0f} ms; {len(pairs) * len(INTERVALS)} starlistings closing at once, {CLOSES} times"
    return BenchRow("closed candle handed in to committed, p99", p99, "ms", LATENCY_BOUND_MS, "lower", told)


async def _backlog_rows(folder: Path, warehouse: Warehouse, pairs: Sequence[LivePair]) -> list[BenchRow]:
    """Postgres and the lake refuse for what would be an hour; then both take everything."""
    lake = Lake.open((folder / "lake").as_uri())
    async with running_sink(folder / "journal", lake, warehouse) as sink:
        with _refusing(lake, warehouse):
            for minute in range(60):
                for pair in pairs:
                    for interval in INTERVALS:
                        sink.candles(pair, [candle(10_000 + minute, interval=interval)], CandleRank.EXCHANGE)
                await sink.committed()
            for start in range(0, BACKLOG_TRADES, 1000):
                first = 1_000_000 + start
                sink.trades(pairs[start // 1000 % len(pairs)], [trade(first + each) for each in range(1000)])
                await sink.committed()
        began = time.perf_counter()
        await _until_in_postgres(sink)
        in_postgres = time.perf_counter() - began
        if not await sink.delivered(120):
            raise LakeUnavailableError("the backlog was not delivered in two minutes")
        in_lake = time.perf_counter() - began
    candles = 60 * len(pairs) * len(INTERVALS)
    return [
        BenchRow(
            "an hour of Postgres away, delivered", in_postgres, "s", CANDLES_BOUND_S, "lower", f"{candles:,} candles"
        ),
        BenchRow(
            "a lake that was away, delivered", BACKLOG_TRADES / in_lake, "trades/s", TRADES_BOUND, "higher",
            f"{BACKLOG_TRADES:,} trades of {len(pairs)} pairs beside the candles",
        ),
    ]  # fmt: skip


@contextmanager
def _refusing(lake: Lake, warehouse: Warehouse) -> Iterator[None]:
    """Neither takes anything."""

    def no_lake(*_: object) -> bool:
        raise LakeUnavailableError("away")

    def no_postgres() -> AbstractContextManager[Connection]:
        raise WarehouseUnavailableError("away")

    lake.put_new = no_lake  # type: ignore[method-assign,assignment]
    warehouse.begin = no_postgres  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del lake.put_new, warehouse.begin


async def _until_in_postgres(sink: JournalSink) -> None:
    """Everything handed in before is committed there; what the lake has is not waited for."""
    journal, waiters = sink._journal, sink._waiters
    number = journal.hurry()
    await waiters.until(lambda: journal.is_committed(number))
    rows = journal.rows_backlog.last_seq
    await waiters.until(lambda: journal.rows_done >= rows)


def _pairs(warehouse: Warehouse) -> list[LivePair]:
    coins = [f"C{number}" for number in range(PAIRS)]
    text = "\n".join(
        [
            f"exchanges:\n  binance: {{name: Binance, licence: public, intervals: [{', '.join(INTERVALS)}]}}",
            "coins: {" + ", ".join(f"{coin}: {coin}" for coin in coins) + "}",
            "quote_currencies: {USDT: Tether}\nmarket_types: {spot: Spot}\nstarlistings:\n  binance:",
            *(f"    {coin}USDT: {{coin: {coin}, quote: USDT}}" for coin in coins),
        ]
    )
    with warehouse.begin() as connection:
        sync_reference(connection, small_config(text))
        return [live_pair(row) for row in load_pairs(connection) if row.exchange == "binance" and row.active]


def _processor_s(function: Callable[[], None]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began
