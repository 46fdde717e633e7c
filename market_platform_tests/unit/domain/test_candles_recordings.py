"""Rolling up and building from ticks, against candles that exchanges and other programs made of the same data."""

from __future__ import annotations

import gzip
import itertools
import json
import sqlite3
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from market_platform.domain.candles import (
    CANDLE_SCHEMA,
    PRICE_COLUMNS,
    CandlePrice,
    candle_units,
    roll_up,
    roll_up_units,
)
from market_platform.domain.clock import day_start_ms
from market_platform.domain.intervals import INTERVALS, Interval, bucket_end, bucket_start, parse_interval
from market_platform.domain.ticks import Ticks
from market_platform_tests.recordings import recording

OTHERS = (("3m", 180), ("2h", 7_200), ("6h", 21_600), ("8h", 28_800), ("3d", 259_200))
"""Intervals that Binance has and the platform does not offer; rolling up knows no difference."""
BINANCE_INTERVALS = tuple(sorted((*INTERVALS, *(Interval(seconds, name) for name, seconds in OTHERS))))


@pytest.fixture(scope="module")
def binance(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """ETH/BTC as Binance sent it, by interval: the last 500 candles or so of each, the last one still forming."""
    packed = recording("multi_tf/binance_octobot/ETHBTC_15tf_20200517.sqlite.gz")
    file = tmp_path_factory.mktemp("octobot") / "ethbtc.sqlite"
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    frames: dict[str, pl.DataFrame] = {}
    connection = sqlite3.connect(file)
    for interval in BINANCE_INTERVALS:
        found = connection.execute("SELECT candle FROM ohlcv WHERE time_frame = ? ORDER BY timestamp", [interval.name])
        rows = [json.loads(candle, parse_float=Decimal, parse_int=Decimal) for (candle,) in found]
        columns = list(zip(*rows, strict=True))
        frames[interval.name] = (
            pl.DataFrame(
                {
                    "time": [int(value) * 1000 for value in columns[0]],
                    **{
                        name: pl.Series(values, dtype=pl.Decimal(38, 18))
                        for name, values in zip((*PRICE_COLUMNS, "volume"), columns[1:], strict=True)
                    },
                }
            )
            .with_columns(
                pl.col("time").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC"), num_trades=pl.lit(None, pl.Int64)
            )
            .select(CANDLE_SCHEMA.names())
        )
    connection.close()
    return frames


def covered(shorter: pl.DataFrame, step: Interval, longer: Interval) -> list[int]:
    """Opens of the longer buckets that closed candles of the shorter interval fill from first to last."""
    opens = shorter["time"].dt.epoch("ms").to_list()[:-1]  # the last one was still forming
    buckets = itertools.groupby(opens, key=lambda open_ms: bucket_start(open_ms, longer))
    whole = []
    for start, members in ((start, list(group)) for start, group in buckets):
        expected, at = [], start
        while at < bucket_end(start, longer):
            expected.append(at)
            at = bucket_end(at, step)
        if members == expected:
            whole.append(start)
    return whole


PAIRS = [
    (step, longer)
    for step, longer in itertools.combinations(BINANCE_INTERVALS, 2)
    if longer.seconds % step.seconds == 0
    and (longer.seconds <= 250 * step.seconds or (step.name, longer.name) == ("1m", "6h"))
    and not (longer.name == "1M" and step.name in ("3d", "1w"))
]
"""Intervals of which 500 candles fill at least one of the other; neither weeks nor three days make up months."""


@pytest.mark.parametrize(("step", "longer"), PAIRS, ids=lambda interval: interval.name)
def test_binance_candles_rolled_up_equal_binances_own(
    binance: dict[str, pl.DataFrame], step: Interval, longer: Interval
) -> None:
    shorter, theirs = binance[step.name], binance[longer.name]
    whole = set(covered(shorter, step, longer)) & set(theirs["time"].dt.epoch("ms").to_list())
    assert whole
    ours = roll_up(shorter, longer)
    inside = pl.col("time").dt.epoch("ms").is_in(list(whole))
    assert_frame_equal(ours.filter(inside), theirs.filter(inside))


def test_binance_comparison_covers_each_interval(binance: dict[str, pl.DataFrame]) -> None:
    """What the test above compares, so that it can't pass by comparing nothing."""
    counts = {
        longer.name: max(
            len(
                set(covered(binance[step.name], step, longer))
                & set(binance[longer.name]["time"].dt.epoch("ms").to_list())
            )
            for step, other in PAIRS
            if other == longer
        )
        for longer in BINANCE_INTERVALS[1:]
    }
    assert len(counts) == 14
    assert all(count >= 10 for count in counts.values()), counts


def test_binance_comparison_reaches_every_interval_from_its_minutes() -> None:
    """Each pair above is exact where candles are complete, so a chain of them is, too."""
    reached = {"1m"}
    for step, longer in PAIRS:  # sorted by step: whatever makes up an interval is shorter
        if step.name in reached:
            reached.add(longer.name)
    assert reached == {interval.name for interval in BINANCE_INTERVALS}


def test_binance_weeks_start_on_monday_and_months_on_the_first(binance: dict[str, pl.DataFrame]) -> None:
    assert binance["1w"]["time"].dt.weekday().unique().to_list() == [1]
    assert binance["1M"]["time"].dt.day().unique().to_list() == [1]


@pytest.mark.parametrize("interval", BINANCE_INTERVALS, ids=str)
def test_binance_buckets_begin_where_ours_do(binance: dict[str, pl.DataFrame], interval: Interval) -> None:
    opens = binance[interval.name]["time"].dt.epoch("ms").to_list()
    assert [bucket_start(each, interval) for each in opens] == opens
    assert all(bucket_end(each, interval) <= after for each, after in itertools.pairwise(opens))


def lean_rows(path: Path) -> list[list[str]]:
    with zipfile.ZipFile(path) as archive:
        return [line.split(",") for line in archive.read(archive.namelist()[0]).decode().split()]


def lean_ticks(path: Path, day: date, scale: int) -> Ticks:
    """Times have fractions of a millisecond; prices are text of up to `scale` decimals."""
    rows = lean_rows(path)
    time = day_start_ms(day) + np.array([int(Decimal(row[0])) for row in rows], np.int64)
    bid, ask = (np.array([int(Decimal(row[at]).scaleb(scale)) for row in rows], np.int64) for at in (1, 2))
    ones = np.ones(len(rows), np.int64)
    return Ticks(time, bid, ask, ones, ones, scale, 0)


LEAN_DAYS = [("eurusd", date(2014, 5, 1), 5), ("xauusd", date(2014, 5, 1), 5), ("xauusd", date(2014, 5, 2), 5)]


@pytest.mark.parametrize(("symbol", "day", "scale"), LEAN_DAYS)
@pytest.mark.parametrize("side", ["bid", "ask"])
@pytest.mark.parametrize("name", ["second", "minute"])
def test_oanda_ticks_give_the_seconds_and_minutes_of_another_program(
    symbol: str, day: date, scale: int, side: CandlePrice, name: str
) -> None:
    folder, file = recording(f"multi_tf/lean_oanda_{symbol}"), f"{day:%Y%m%d}_quote.zip"
    ticks = lean_ticks(folder / "tick" / file, day, scale)
    second = Interval(1, "1s")
    ours = candle_units(ticks, second, side)
    if name == "minute":
        from_seconds = roll_up_units(ours, parse_interval("1m"))
        ours = candle_units(ticks, parse_interval("1m"), side)
        assert from_seconds.volume.tolist() == ours.volume.tolist()
        assert from_seconds.close.tolist() == ours.close.tolist()
    first = 1 if side == "bid" else 6
    theirs = lean_rows(folder / name / file)
    assert (ours.time - day_start_ms(day)).tolist() == [int(row[0]) for row in theirs]
    for at, column in enumerate(PRICE_COLUMNS):
        expected = [int(Decimal(row[first + at]).scaleb(scale)) for row in theirs]
        assert getattr(ours, column).tolist() == expected, column
