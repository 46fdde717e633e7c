"""The lake's speed and size: bi5 bytes to committed Parquet against LZMA alone, bytes a tick, Parquet to candles against peers.

Recorded days when they are on this machine, else days of the replay exchange's generator; `peer` says which.
"""

from __future__ import annotations

import lzma
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from market_platform.domain.candles import roll_up_units, to_frame
from market_platform.domain.clock import day_start_ms, days_between, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.days import HOUR_MS
from market_platform.domain.intervals import DAY_MS, parse_interval
from market_platform.domain.ticks import Ticks, concat_ticks
from market_platform.exchanges.dukascopy.bi5 import decode_ticks as decode_bi5
from market_platform.lake.day_files import DayFile
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.tick_file import TICK_FILE
from market_platform.lake.tick_scan import scan_candles
from market_platform.pipeline.ticks import DAYS_IN_FLIGHT
from market_platform.replay.addresses import bi5_address
from market_platform.replay.generator.source import GeneratorSource
from market_platform.settings import PROJECT_ROOT
from market_platform.starlistings import load_starlistings
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.recordings import recordings_dir

MONTH_TICKS = 1_300_000
REPEATS = 9
HOURS_IN_FLIGHT = 5
"""Hours decoded at the same time, as the exchange's client does by default, while fetched days are written one by one,
`DAYS_IN_FLIGHT` of them at most on their way."""
MINUTE, FIVE_MINUTES = parse_interval("1m"), parse_interval("5m")


@dataclass(frozen=True, slots=True)
class RawDay:
    """A pair's day as the exchange sends it: bi5 bodies by hour."""

    symbol: str
    price_scale: int
    day: date
    hours: Mapping[int, bytes]

    def decode(self, hour: int) -> Ticks:
        """An hour decoded, as the exchange's client does it."""
        start = day_start_ms(self.day) + hour * HOUR_MS
        return decode_bi5(self.hours[hour], start, self.price_scale, f"dukascopy/{self.symbol} {self.day} {hour}h")

    def ticks(self) -> Ticks:
        """The whole day decoded."""
        return whole_day([self.decode(hour) for hour in self.hours])

    def on(self, day: date) -> RawDay:
        """The same bodies as another day's: a bi5 file counts from its hour's start."""
        return RawDay(self.symbol, self.price_scale, day, self.hours)


def measure(database_url: str, folder: Path) -> list[BenchRow]:
    """Every row of the lake; `folder` is empty, `database_url` a migrated database."""
    days, origin = raw_days()
    ticks = [day.ticks() for day in days]
    warehouse = create_warehouse(database_url)
    try:
        with warehouse.begin() as connection:
            sync_reference(connection, load_starlistings(PROJECT_ROOT / "config" / "starlistings.yaml"))
        month = _month(days, sum(map(len, ticks)))
        rows = [
            _write_row("bi5 to committed Parquet, a month", month, 1.5, origin, warehouse, folder),
            _write_row("bi5 to committed Parquet, a day", days[:1], 2.0, origin, warehouse, folder),
            _size_row(days, ticks, origin, folder),
        ]
    finally:
        warehouse.close()
    return [*rows, _candle_row(ticks[0], origin, folder)]


def raw_days() -> tuple[list[RawDay], str]:
    """Recorded days of EURUSD and GBPJPY, or generated ones, and which they are."""
    root = recordings_dir() / "dukascopy"
    recorded = [("EURUSD", 5, date(2019, 2, 4)), ("GBPJPY", 3, date(2012, 12, 3))]
    if all((root / symbol).is_dir() for symbol, _, _ in recorded):
        days = []
        for symbol, scale, day in recorded:
            files = [(hour, root / _bi5_path(symbol, day, hour)) for hour in range(24)]
            days.append(RawDay(symbol, scale, day, {hour: file.read_bytes() for hour, file in files if file.is_file()}))
        return days, "recorded days"
    source = GeneratorSource(seed=7, clock=lambda: datetime(2024, 3, 12, tzinfo=UTC))
    days = []
    for symbol, scale, day in (("EURUSD", 5, date(2024, 3, 5)), ("GBPJPY", 3, date(2024, 3, 5))):
        bodies = {hour: source.bi5_body(_address(symbol, day, hour)) or b"" for hour in range(24)}
        days.append(RawDay(symbol, scale, day, bodies))
    return days, "generated days"


def _write_row(
    name: str, days: Sequence[RawDay], bound: float, origin: str, warehouse: Warehouse, folder: Path
) -> BenchRow:
    """Decode, hash, encode, put durably and commit each day, against LZMA decompression of the same bytes."""
    bodies = [body for day in days for body in day.hours.values() if body]

    with warehouse.connect() as connection:
        pairs = {symbol: load_pair(connection, "dukascopy", symbol).id for symbol in {day.symbol for day in days}}

    def decompress() -> int:
        return sum(len(lzma.decompress(body)) for body in bodies)

    def write(repeat: int) -> list[DayFile]:
        lake = Lake.open((folder / f"lake-{len(days)}-{repeat}").as_uri())
        return commit_days(lake, warehouse, pairs, days)

    floor, ours = interleaved([lambda _: decompress(), write])
    for repeat in range(REPEATS):
        shutil.rmtree(folder / f"lake-{len(days)}-{repeat}")
    count = decompress() // 20
    told = f"LZMA alone {floor * 1000:.0f} ms, ours {ours * 1000:.0f} ms, {count:,} ticks, {origin}"
    return BenchRow(name, ours / floor, "x", bound, "lower", told)


def commit_days(lake: Lake, warehouse: Warehouse, pairs: Mapping[str, int], days: Sequence[RawDay]) -> list[DayFile]:
    """The write path of a backfill, from an exchange's bytes to the manifest row; `pairs` are ids by symbol."""
    files = []
    with ThreadPoolExecutor(HOURS_IN_FLIGHT) as pool:
        decoding = deque(_submit(pool, raw) for raw in days[:DAYS_IN_FLIGHT])
        for index, raw in enumerate(days):
            ticks = whole_day([hour.result() for hour in decoding.popleft()])
            decoding.extend(_submit(pool, later) for later in days[index + DAYS_IN_FLIGHT :][:1])
            description = {"condition": "available", "code_version": "bench"}
            file = TICK_DAYS.write(lake, "dukascopy", raw.symbol, raw.day, ticks, description)
            manifest = LakeDay(
                trading_pair_id=pairs[raw.symbol],
                day=raw.day,
                object_key=file.object_key,
                content_hash=file.content_hash,
                rows=file.rows,
                bytes=file.bytes,
                first_time=from_ms(int(ticks.time[0])),
                last_time=from_ms(int(ticks.time[-1])),
                condition=Condition.AVAILABLE,
                run_id="bench",
                code_version="bench",
                raw_inputs=[{"repeat": lake.url}],  # another each time, so that the row is really written
            )
            with warehouse.begin() as connection:
                commit_lake_day(connection, manifest)
            files.append(file)
    return files


def _submit(pool: ThreadPoolExecutor, raw: RawDay) -> list[Future[Ticks]]:
    return [pool.submit(raw.decode, hour) for hour in raw.hours]


def whole_day(hours: Sequence[Ticks]) -> Ticks:
    """Hours put together as the exchange's client does it."""
    return concat_ticks(hours).sorted_unique()[0]


def _size_row(days: Sequence[RawDay], ticks: Sequence[Ticks], origin: str, folder: Path) -> BenchRow:
    lake = Lake.open((folder / "lake-size").as_uri())
    files = [
        TICK_DAYS.write(lake, "dukascopy", raw.symbol, raw.day, each, {}) for raw, each in zip(days, ticks, strict=True)
    ]
    sizes = [f"{raw.symbol} {file.bytes / file.rows:.2f}" for raw, file in zip(days, files, strict=True)]
    count = sum(map(len, ticks))
    compressed = sum(len(body) for raw in days for body in raw.hours.values()) / count
    bound = 4.5 if origin == "recorded days" else None  # random quotes say nothing of real ones
    value = sum(file.bytes for file in files) / count
    return BenchRow(
        "lake, bytes a tick", value, "bytes", bound, "lower", f"bi5 {compressed:.2f}; {', '.join(sizes)}; {origin}"
    )


def _candle_row(day: Ticks, origin: str, folder: Path) -> BenchRow:
    """Ticks in one Parquet file to 1m and 5m candles: ours exact decimals, the peers' floats."""
    copies = -(-MONTH_TICKS // len(day))
    month = day.with_columns(
        np.concatenate([column + copy * DAY_MS if index == 0 else column for copy in range(copies)])
        for index, column in enumerate(day.columns)
    )
    lake = Lake.open((folder / "lake-candles").as_uri())
    lake.put_new("month.parquet", TICK_FILE.encode(month, {}))
    path = str(folder / "lake-candles" / "month.parquet")
    scale = 10.0**-month.price_scale

    def ours(_: int) -> int:
        minutes = scan_candles(lake.get("month.parquet"), MINUTE)
        return to_frame(minutes).height + to_frame(roll_up_units(minutes, FIVE_MINUTES)).height

    peers: dict[str, Callable[[], int]] = {
        "polars": lambda: _polars(path, scale, "in-memory"),
        "polars streaming": lambda: _polars(path, scale, "streaming"),
        "DuckDB": lambda: _duckdb(path, scale),
        "pandas": lambda: _pandas(path, scale),
    }
    counts = {name: peer() for name, peer in peers.items()} | {"ours": ours(0)}
    if len(set(counts.values())) != 1:
        raise AssertionError(f"the programs do not build the same number of candles: {counts}")
    mine, *theirs = interleaved([ours, *(_ignoring_repeat(peer) for peer in peers.values())], 2 * REPEATS)
    fastest = min(theirs)
    told = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in zip(peers, theirs, strict=True))
    return BenchRow(
        "Parquet to 1m and 5m candles",
        mine / fastest,
        "x",
        1.0,
        "lower",
        f"fastest of {told}; ours {mine * 1000:.0f} ms, exact; {len(month):,} ticks, {origin}",
    )


def _polars(path: str, scale: float, engine: Any) -> int:
    quotes = pl.scan_parquet(path).select(
        pl.col("time").set_sorted(),
        mid=(pl.col("bid") + pl.col("spread") * 0.5) * scale,
        volume=(pl.col("bid_volume") + pl.col("ask_volume")).cast(pl.Float64),
    )
    mid = pl.col("mid")
    minutes = (
        quotes.group_by(pl.col("time").dt.truncate("1m"), maintain_order=engine != "streaming")
        .agg(
            mid.first().alias("open"),
            mid.max().alias("high"),
            mid.min().alias("low"),
            mid.last().alias("close"),
            pl.col("volume").sum(),
            pl.len().alias("num_trades"),
        )
        .collect(engine=engine)
        .sort("time")
    )
    fives = minutes.group_by_dynamic("time", every="5m").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.col("num_trades").sum(),
    )
    return minutes.height + fives.height


def _duckdb(path: str, scale: float) -> int:
    """`first` and `last` follow the file's order here, which is the fastest way and right for a sorted file."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            CREATE TEMP TABLE minutes AS
            SELECT time_bucket(INTERVAL 1 minute, time) AS time, first(mid) AS open, max(mid) AS high, min(mid) AS low,
                last(mid) AS close, sum(volume) AS volume, count(*) AS num_trades
            FROM (SELECT time, (bid + spread * 0.5) * {scale} AS mid, (bid_volume + ask_volume)::DOUBLE AS volume
                  FROM read_parquet('{path}'))
            GROUP BY 1 ORDER BY 1
            """
        )
        minutes = connection.execute("FROM minutes").fetchnumpy()
        fives = connection.execute(
            """
            SELECT time_bucket(INTERVAL 5 minute, time) AS at, first(open ORDER BY time), max(high), min(low),
                last(close ORDER BY time), sum(volume), sum(num_trades)
            FROM minutes GROUP BY 1 ORDER BY 1
            """
        ).fetchnumpy()
        return len(minutes["time"]) + len(fives["at"])


def _pandas(path: str, scale: float) -> int:
    frame = pd.read_parquet(path)
    mid = ((frame["bid"] + frame["spread"] * 0.5) * scale).set_axis(frame["time"])
    volume = (frame["bid_volume"] + frame["ask_volume"]).astype(float).set_axis(frame["time"])
    by_minute = mid.resample("1min")
    minutes = by_minute.ohlc()
    minutes["volume"], minutes["num_trades"] = volume.resample("1min").sum(), by_minute.size()
    minutes = minutes[minutes["num_trades"] > 0]
    fives = minutes.resample("5min").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "num_trades": "sum"}
    )
    return len(minutes) + int((fives["num_trades"] > 0).sum())


def interleaved(functions: Sequence[Callable[[int], object]], repeats: int = REPEATS) -> list[float]:
    """Best wall time, in seconds, of each function, called in turns so that noise meets all of them alike."""
    best = [float("inf")] * len(functions)
    for repeat in range(repeats):
        for index, function in enumerate(functions):
            began = time.perf_counter()
            function(repeat)
            best[index] = min(best[index], time.perf_counter() - began)
    return best


def _ignoring_repeat(function: Callable[[], object]) -> Callable[[int], object]:
    return lambda _: function()


def _month(days: Sequence[RawDay], ticks: int) -> list[RawDay]:
    """The days over and over, each time as other days, until there are as many ticks as in a month."""
    rounds = -(-MONTH_TICKS // ticks)
    return [raw.on(day) for day in days_between(days[0].day, days[0].day + timedelta(days=rounds - 1)) for raw in days]


def _bi5_path(symbol: str, day: date, hour: int) -> str:
    return f"{symbol}/{day.year}/{day.month - 1:02d}/{day.day:02d}/{hour:02d}h_ticks.bi5"


def _address(symbol: str, day: date, hour: int) -> Any:
    return bi5_address(_bi5_path(symbol, day, hour))
