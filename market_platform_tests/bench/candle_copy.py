"""The least that brings candles into Postgres: what loads of ours are measured against.

Belongs here: a COPY of rows as text, emptied tables before each round, the clock. Does not: our own way (bench_warehouse,
bench_dumps).
"""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable
from statistics import median

import polars as pl
import psycopg

from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.engine import Warehouse

_VALUES = ("num_trades", "open", "high", "low", "close", "volume")
_COPY = f"COPY candles (starlisting_id, source, time, {', '.join(_VALUES)}) FROM STDIN (FORMAT csv)"


def as_text(starlisting_id: int, candles: pl.DataFrame, rank: CandleRank) -> bytes:
    """The rows as COPY reads them."""
    text = io.BytesIO()
    candles.select(
        pl.lit(starlisting_id),
        pl.lit(int(rank)).alias("source"),
        pl.col("time").dt.strftime("%Y-%m-%d %H:%M:%S+00"),
        *_VALUES,
    ).write_csv(text, include_header=False)
    return text.getvalue()


def plain_copy(warehouse: Warehouse, text: bytes) -> None:
    """The rows into the same table, committed, and nothing else."""
    with warehouse.begin() as conn:
        driver = conn.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(text)


def empty(warehouse: Warehouse) -> None:
    """No candles, nothing known of their days, and nothing left for a checkpoint to write while somebody measures."""
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("TRUNCATE candles, candle_days, history_inputs")
        conn.execute("CHECKPOINT")


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratio(values: list[float], peers: list[float]) -> float:
    """The median of the rounds' ratios: what else the machine did in a round slows both of its sides."""
    return median(value / peer for value, peer in zip(values, peers, strict=True))
