"""A month of Binance's minutes, from its archive into Postgres, against a plain COPY of the same rows into the same table.

The archive's files are made beforehand by the replay exchange and served by a plain file server in a process of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median

import polars as pl

from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.days import TickSource
from market_platform.domain.intervals import DAY_MS, parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.ranks import CandleRank
from market_platform.exchanges.binance.dumps.client import BinanceDumps
from market_platform.exchanges.binance.dumps.config import DumpsConfig
from market_platform.lake.store import Lake
from market_platform.pipeline.history_candles import build_history_candles
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.replay.live.binance_dumps.addresses import address_of
from market_platform.replay.live.binance_dumps.archive import Archive, checksum
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.warehouse.candles import read_candles
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.bench.candle_copy import as_text, empty, plain_copy, ratio, timed
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.fixtures.reference import small_config

STARLISTINGS = """
exchanges: {binance: {name: Binance, licence: public}}
coins: {BTC: Bitcoin}
quote_currencies: {USDT: Tether}
market_types: {spot: Spot}
starlistings: {binance: {BTCUSDT: {coin: BTC, quote: USDT, intervals: [1m]}}}
"""
MINUTE = parse_interval("1m")
DAYS = days_between(date(2026, 10, 1), date(2026, 10, 31))
FILE = "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-10.zip"
NOW = datetime(2026, 11, 18, tzinfo=UTC)
ROUNDS = 5
LIMIT = 3.0
_PORT = re.compile(rb"port (\d+)")


def measure(database_url: str, folder: Path) -> list[BenchRow]:
    """Each round: a plain COPY of the month as text, then the month out of the archive: asked for, verified, parsed, written."""
    _make_files(folder)
    config = small_config(STARLISTINGS)
    [pair] = config.pairs()
    warehouse = create_warehouse(database_url)
    with warehouse.begin() as conn:
        sync_reference(conn, config)
        starlisting_id = load_pair(conn, pair.exchange, pair.symbol).starlistings["1m"]
    with _served(folder) as url:
        platform = Platform(
            Lake.open(folder.as_uri()),
            warehouse,
            _no_ticks,
            lambda: NOW,
            lambda _: BinanceDumps(DumpsConfig(base_url=url), lambda: NOW),
        )
        _build(platform, pair)  # whatever is loaded at first use is
        text = as_text(starlisting_id, _stored(warehouse, starlisting_id), CandleRank.EXCHANGE)
        plain: list[float] = []
        ours: list[float] = []
        for _ in range(ROUNDS):
            empty(warehouse)
            plain.append(timed(lambda: plain_copy(warehouse, text)))
            empty(warehouse)
            ours.append(timed(lambda: _build(platform, pair)))
    empty(warehouse)
    warehouse.close()
    rows = len(DAYS) * 1440
    return [
        BenchRow(
            name="a month of Binance's minutes, archive to committed rows",
            value=ratio(ours, plain),
            unit="x plain COPY",
            bound=LIMIT,
            peer=f"COPY of the text {median(plain) * 1000:.0f} ms, ours {median(ours) * 1000:.0f} ms, {rows:,} rows, "
            f"zip of {(folder / FILE).stat().st_size / 2**20:.1f} MB",
        )
    ]


def _make_files(folder: Path) -> None:
    """The archive's file and its checksum, as the replay exchange makes them."""
    address = address_of(FILE)
    assert address is not None
    packed = Archive(World(7, ExchangeClock(1.0, lambda: NOW))).zip(address)
    path = folder / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(packed)
    path.with_name(f"{path.name}.CHECKSUM").write_bytes(checksum(address, packed))


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The root of a file server that is gone afterwards."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            told = _PORT.search(server.stdout.readline())
            assert told is not None, "the file server did not come up"
            yield f"http://127.0.0.1:{told[1].decode()}"
        finally:
            server.terminate()


def _no_ticks(exchange: str) -> AbstractAsyncContextManager[TickSource]:
    raise AssertionError(f"{exchange}: no ticks are asked for")


def _build(platform: Platform, pair: TradingPair) -> None:
    reports = build_history_candles(platform, pair, DAYS, [MINUTE], Provenance("bench", "bench"), lambda _: None)
    assert sum(each.changed_rows for each in reports) == len(DAYS) * 1440


def _stored(warehouse: Warehouse, starlisting_id: int) -> pl.DataFrame:
    with warehouse.connect() as conn:
        return read_candles(conn, starlisting_id, day_start_ms(DAYS[0]), day_start_ms(DAYS[-1]) + DAY_MS)
