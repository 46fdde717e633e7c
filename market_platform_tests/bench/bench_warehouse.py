"""Candles into Postgres against a plain COPY of the same rows, and an identical replay against the first load."""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable
from datetime import date, timedelta
from statistics import median

import polars as pl
import psycopg

from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import parse_interval
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.fixtures.candle_frames import candle_frame
from market_platform_tests.fixtures.reference import small_config

ROWS = 100_000
FIRST = date(2018, 1, 1)
ROUNDS = 5
_COLUMNS = "starlisting_id, source, time, num_trades, open, high, low, close, volume"


def measure(database_url: str) -> list[BenchRow]:
    """Each round: a plain COPY of the rows as text, then our first load of them, then the same again."""
    warehouse = create_warehouse(database_url)
    with warehouse.begin() as conn:
        sync_reference(conn, small_config())
        starlisting_id = load_pair(conn, "dukascopy", "EURUSD").starlistings["1m"]
    frame = candle_frame(FIRST, ROWS)
    writes = _writes(starlisting_id, frame)
    text = _as_text(starlisting_id, frame)
    plain: list[float] = []
    first: list[float] = []
    replay: list[float] = []
    replayed_rows = 0
    for _ in range(ROUNDS):
        _empty(warehouse)
        plain.append(_timed(lambda: _plain_copy(warehouse, text)))
        _empty(warehouse)
        first.append(_timed(lambda: _write(warehouse, writes)))
        replay.append(_timed(lambda: _write(warehouse, writes)))
        replayed_rows += _write(warehouse, writes)
    _empty(warehouse)
    warehouse.close()
    return [
        BenchRow(
            name="candles into Postgres, frame to committed rows",
            value=_ratio(first, plain),
            unit="x plain COPY",
            bound=3.0,
            peer=f"COPY of the text {_rate(plain)}, ours {_rate(first)}",
        ),
        BenchRow(
            name="identical replay of candles",
            value=_ratio(replay, first),
            unit="x first load",
            bound=1.0,
            peer=f"first {median(first) * 1000:.0f} ms, again {median(replay) * 1000:.0f} ms",
        ),
        BenchRow(
            name="rows an identical replay changes", value=replayed_rows, unit="rows", bound=0, peer="nothing written"
        ),
    ]


def _writes(starlisting_id: int, frame: pl.DataFrame) -> list[CandleWrite]:
    minutes = 24 * 3600 // parse_interval("1m").seconds
    return [
        CandleWrite(
            starlisting_id,
            FIRST + timedelta(days=position // minutes),
            frame.slice(position, minutes),
            Condition.AVAILABLE,
            CandleRank.COMPLETE_TICKS,
        )
        for position in range(0, frame.height, minutes)
    ]


def _as_text(starlisting_id: int, frame: pl.DataFrame) -> bytes:
    text = io.BytesIO()
    frame.select(
        pl.lit(starlisting_id),
        pl.lit(int(CandleRank.COMPLETE_TICKS)).alias("source"),
        pl.col("time").dt.strftime("%Y-%m-%d %H:%M:%S+00"),
        *("num_trades", "open", "high", "low", "close", "volume"),
    ).write_csv(text, include_header=False)
    return text.getvalue()


def _empty(warehouse: Warehouse) -> None:
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("TRUNCATE candles, candle_days")
        conn.execute("CHECKPOINT")


def _plain_copy(warehouse: Warehouse, text: bytes) -> None:
    with warehouse.begin() as conn:
        driver = conn.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        with driver.cursor() as cursor, cursor.copy(f"COPY candles ({_COLUMNS}) FROM STDIN (FORMAT csv)") as copy:
            copy.write(text)


def _write(warehouse: Warehouse, writes: list[CandleWrite]) -> int:
    with warehouse.begin() as conn:
        written = write_candle_days(conn, writes, run_id="bench", code_version="bench")
    return sum(day.changed_rows for day in written.values())


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _ratio(values: list[float], peers: list[float]) -> float:
    """The median of the rounds' ratios: what else the machine did in a round slows both of its sides."""
    return median(value / peer for value, peer in zip(values, peers, strict=True))


def _rate(seconds: list[float]) -> str:
    return f"{ROWS / median(seconds):,.0f} rows/s"
