"""Candles written by several at once, read meanwhile, refused, or changed behind our back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import polars as pl
import pytest

from market_platform.domain.candles import CANDLE_SCHEMA, roll_up
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import WarehouseError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candles import (
    CandleWrite,
    write_candle_days,
)
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.candle_frames import candle_frame
from market_platform_tests.fixtures.candle_writes import DAY, FRAME, NEXT, a_write, read, stored_days, write
from market_platform_tests.fixtures.reference import synced_pair


def test_a_write_is_all_or_nothing(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    impossible = FRAME.with_columns(low=(pl.col("high") + 1).cast(CANDLE_SCHEMA["low"]))
    with pytest.raises(WarehouseError, match="candles_high_is_highest"):
        write(warehouse, a_write(minute, candle_frame(NEXT, 1440), NEXT), a_write(minute, impossible))
    assert read(warehouse, minute, days=2).is_empty()
    assert stored_days(warehouse, minute) == {}


def test_candles_that_no_manifest_knew_of_are_taken_in(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, a_write(minute))
    with warehouse.begin() as conn:
        conn.exec_driver_sql("DELETE FROM candle_days")
        conn.exec_driver_sql("DELETE FROM candles WHERE time < '2019-02-04 12:00+00'")
    day = write(warehouse, a_write(minute))[minute, DAY]
    assert (day.rows, day.changed_rows) == (1440, 720)
    assert read(warehouse, minute).equals(FRAME)


def test_candles_that_were_dropped_or_edited_behind_our_back_are_restored(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, a_write(minute))
    with warehouse.begin() as conn:
        conn.exec_driver_sql("DELETE FROM candles WHERE time < '2019-02-04 12:00+00'")
        conn.exec_driver_sql("UPDATE candles SET volume = volume + 1 WHERE time = '2019-02-04 13:00+00'")
    day = write(warehouse, a_write(minute))[minute, DAY]
    assert (day.rows, day.changed_rows) == (1440, 721)
    assert read(warehouse, minute).equals(FRAME)


def test_backfill_and_stream_side_by_side_lose_nothing_and_never_deadlock(warehouse: Warehouse) -> None:
    """A streamer adds candles one by one while two backfills write the same days, each in its own order."""
    pair = synced_pair(warehouse)
    minute, five = pair.starlistings["1m"], pair.starlistings["5m"]
    days = [DAY, NEXT, date(2019, 2, 6)]
    frames = {day: candle_frame(day, 1440, seed=day.day) for day in days}
    whole = [a_write(minute, frames[day], day) for day in days] + [
        a_write(five, roll_up(frames[day], parse_interval("5m")), day) for day in days
    ]
    started = threading.Barrier(4)

    def backfill(writes: Sequence[CandleWrite]) -> None:
        started.wait(10)
        for _ in range(5):
            write(warehouse, *writes, run="backfill")

    def stream(day: date) -> None:
        started.wait(10)
        for position in range(40):
            one = frames[day].slice(position, 1).with_columns(num_trades=pl.lit(None, pl.Int64))
            write(
                warehouse,
                a_write(minute, one, day, None, CandleRank.LIVE_STREAM, replace=False),
                run="stream",
            )

    with ThreadPoolExecutor(4) as threads:
        running = [
            threads.submit(backfill, whole),
            threads.submit(backfill, whole[::-1]),
            threads.submit(stream, DAY),
            threads.submit(stream, NEXT),
        ]
        for each in running:
            each.result(timeout=60)
    for day in days:
        assert read(warehouse, minute, day).equals(frames[day])
        stored = stored_days(warehouse, minute)[day]
        assert (stored.rows, stored.condition) == (1440, Condition.AVAILABLE)


def test_two_first_writes_of_the_same_day_at_once(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    started = threading.Barrier(4)

    def first(_: int) -> int:
        started.wait(10)
        return write(warehouse, a_write(minute))[minute, DAY].changed_rows

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(first, range(4))) == [0, 0, 0, 1440]


def test_a_reader_sees_the_day_before_or_after_never_half(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, a_write(minute))
    other = candle_frame(DAY, 1440, seed=9)
    with warehouse.begin() as conn:
        write_candle_days(conn, [a_write(minute, other)], run_id="r", code_version="1")
        assert read(warehouse, minute).equals(FRAME)
    assert read(warehouse, minute).equals(other)
