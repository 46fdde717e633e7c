"""A time range reads only what it needs; scanning row groups on threads equals reading all at once."""

from __future__ import annotations

from dataclasses import astuple
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from market_platform.domain.candles import candle_units
from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.ticks import Ticks
from market_platform.lake.parquet_file import ROW_GROUP_ROWS
from market_platform.lake.store import Lake
from market_platform.lake.tick_file import TICK_FILE
from market_platform.lake.tick_scan import read_ticks, scan_candles, scan_ticks
from market_platform_tests.fixtures.made_ticks import made_ticks

DAY = date(2019, 2, 4)
START = day_start_ms(DAY)
HOUR = 3_600_000


class CountingLake(Lake):
    """A lake that counts the bytes it was asked for."""

    asked = 0

    def get(self, key: str) -> bytes:
        raise AssertionError("a range must not read the whole object")

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        tail, size = super().get_tail(key, length)
        self.asked += len(tail)
        return tail, size

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.asked += length
        return super().get_range(key, start, length)


@pytest.fixture
def ticks() -> Ticks:
    return made_ticks(DAY, 5 * ROW_GROUP_ROWS + 17)


@pytest.fixture
def lake(tmp_path: Path, ticks: Ticks) -> CountingLake:
    lake = CountingLake.open((tmp_path / "lake").as_uri())
    assert isinstance(lake, CountingLake)
    lake.put_new("day", TICK_FILE.encode(ticks, {}))
    return lake


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 24), (0, 1), (23, 24), (10, 10), (11, 13), (30, 40), (-5, 0)],
)
def test_a_range_holds_exactly_its_ticks(lake: CountingLake, ticks: Ticks, first: int, last: int) -> None:
    start, end = START + first * HOUR, START + last * HOUR

    assert read_ticks(lake, "day", start, end).content_hash() == ticks.between(start, end).content_hash()


def test_an_open_end_reads_to_the_end(lake: CountingLake, ticks: Ticks) -> None:
    noon = START + 12 * HOUR

    assert read_ticks(lake, "day").content_hash() == ticks.content_hash()
    assert len(read_ticks(lake, "day", noon)) + len(read_ticks(lake, "day", None, noon)) == len(ticks)


def test_edges_of_row_groups_lose_and_double_nothing(lake: CountingLake, ticks: Ticks) -> None:
    for edge in range(ROW_GROUP_ROWS, len(ticks), ROW_GROUP_ROWS):
        start, end = int(ticks.time[edge - 1]), int(ticks.time[edge]) + 1

        assert read_ticks(lake, "day", start, end).content_hash() == ticks.between(start, end).content_hash()


def test_an_hour_fetches_its_row_groups_only(lake: CountingLake) -> None:
    size = lake.info("day").size

    read_ticks(lake, "day", START + 10 * HOUR, START + 11 * HOUR)

    assert lake.asked < 65_536 + size * 2 / 5


def test_a_description_longer_than_the_tail_is_fetched_again(tmp_path: Path) -> None:
    lake = Lake.open((tmp_path / "lake").as_uri())
    ticks = made_ticks(DAY, 100)
    lake.put_new("day", TICK_FILE.encode(ticks, {"raw_inputs": "x" * 200_000}))

    assert read_ticks(lake, "day").content_hash() == ticks.content_hash()


def test_a_damaged_object_is_named(tmp_path: Path) -> None:
    lake = Lake.open((tmp_path / "lake").as_uri())
    lake.put_new("day", b"PAR1 nonsense PAR1")

    with pytest.raises(CorruptObjectError, match="lake object day is not a readable Parquet file"):
        read_ticks(lake, "day", 0, 1)


@pytest.mark.parametrize("threads", [1, 2, 5, 64])
def test_scanning_keeps_the_order_of_the_file(ticks: Ticks, threads: int) -> None:
    parts = scan_ticks(TICK_FILE.encode(ticks, {}), lambda part: part.time, threads=threads)

    assert [len(part) for part in parts] == [ROW_GROUP_ROWS] * 5 + [17]
    assert (np.concatenate(parts) == ticks.time).all()


@pytest.mark.parametrize("price", ["mid", "bid", "ask"])
@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d", "1w"])
def test_candles_of_a_scan_equal_candles_of_all_ticks(ticks: Ticks, interval: str, price: str) -> None:
    step = parse_interval(interval)

    scanned = scan_candles(TICK_FILE.encode(ticks, {}), step, price)  # type: ignore[arg-type]

    whole = candle_units(ticks, step, price)  # type: ignore[arg-type]
    for ours, theirs in zip(astuple(scanned), astuple(whole), strict=True):
        assert np.array_equal(ours, theirs)


def test_no_ticks_give_no_candles() -> None:
    assert len(scan_candles(TICK_FILE.encode(Ticks.empty(5), {}), parse_interval("1m"))) == 0
