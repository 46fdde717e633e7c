"""Candles into Postgres against a plain COPY of the same rows, and an identical replay against the first load."""

from __future__ import annotations

from datetime import date, timedelta
from statistics import median

import polars as pl

from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import parse_interval
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.bench.candle_copy import as_text, empty, plain_copy, ratio, timed
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.fixtures.candle_frames import candle_frame
from market_platform_tests.fixtures.reference import small_config

ROWS = 100_000
FIRST = date(2018, 1, 1)
ROUNDS = 5


def measure(database_url: str) -> list[BenchRow]:
    """Each round: a plain COPY of the rows as text, then our first load of them, then the same again."""
    warehouse = create_warehouse(database_url)
    with warehouse.begin() as conn:
        sync_reference(conn, small_config())
        starlisting_id = load_pair(conn, "dukascopy", "EURUSD").starlistings["1m"]
    frame = candle_frame(FIRST, ROWS)
    writes = _writes(starlisting_id, frame)
    text = as_text(starlisting_id, frame, CandleRank.COMPLETE_TICKS)
    plain: list[float] = []
    first: list[float] = []
    replay: list[float] = []
    replayed_rows = 0
    for _ in range(ROUNDS):
        empty(warehouse)
        plain.append(timed(lambda: plain_copy(warehouse, text)))
        empty(warehouse)
        first.append(timed(lambda: _write(warehouse, writes)))
        replay.append(timed(lambda: _write(warehouse, writes)))
        replayed_rows += _write(warehouse, writes)
    empty(warehouse)
    warehouse.close()
    return [
        BenchRow(
            name="candles into Postgres, frame to committed rows",
            value=ratio(first, plain),
            unit="x plain COPY",
            bound=3.0,
            peer=f"COPY of the text {_rate(plain)}, ours {_rate(first)}",
        ),
        BenchRow(
            name="identical replay of candles",
            value=ratio(replay, first),
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


def _write(warehouse: Warehouse, writes: list[CandleWrite]) -> int:
    with warehouse.begin() as conn:
        written = write_candle_days(conn, writes, run_id="bench", code_version="bench")
    return sum(day.changed_rows for day in written.values())


def _rate(seconds: list[float]) -> str:
    return f"{ROWS / median(seconds):,.0f} rows/s"
