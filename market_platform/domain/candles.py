"""Candles: exact, from ticks or from smaller candles.

A candle frame is a polars DataFrame with the columns of `CANDLE_SCHEMA`, sorted by `time`, one row a bucket that had
ticks. Prices and volumes are decimals, never floats. Only closed candles are ever put into one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa

from market_platform.domain.intervals import Alignment, Interval, bucket_end, bucket_start
from market_platform.domain.ticks import Ints, Ticks

CandlePrice = Literal["mid", "bid", "ask"]

PRICE_COLUMNS = ("open", "high", "low", "close")
CANDLE_COLUMNS = ("time", *PRICE_COLUMNS, "volume", "num_trades")
PRICE_TYPE = pl.Decimal(38, 18)
VOLUME_TYPE = pl.Decimal(38, 18)
CANDLE_SCHEMA = pl.Schema(
    {
        "time": pl.Datetime("ms", "UTC"),
        "open": PRICE_TYPE,
        "high": PRICE_TYPE,
        "low": PRICE_TYPE,
        "close": PRICE_TYPE,
        "volume": VOLUME_TYPE,
        "num_trades": pl.Int64(),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class CandleUnits:
    """Candles as integer columns: the form they are built in. Price is `units / 10**price_scale`, volume likewise."""

    time: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    num_trades: Ints
    price_scale: int
    volume_scale: int

    def __len__(self) -> int:
        return len(self.time)


def candle_units(
    ticks: Ticks, interval: Interval, price: CandlePrice = "mid", alignment: Alignment = Alignment.UTC
) -> CandleUnits:
    """Candles of sorted ticks. No ticks, no candle.

    `mid` is (bid + ask) / 2, exact, one digit finer than the quotes; `volume` is bid + ask volume (only that side's for
    `bid` and `ask`); `num_trades` counts ticks.
    """
    if price == "mid":  # (bid + ask) / 2 a digit finer is (bid + ask) * 5, and only candles need be multiplied
        units, factor, scale = ticks.bid + ticks.ask, 5, ticks.price_scale + 1
    else:
        units, factor, scale = ticks.bid if price == "bid" else ticks.ask, 1, ticks.price_scale
    starts, times = _bucket_edges(ticks.time, interval, alignment)
    if not len(starts):
        none = np.empty(0, np.int64)
        return CandleUnits(none, none, none, none, none, none, none, scale, ticks.volume_scale)
    ends = np.append(starts[1:], len(ticks)) - 1
    volume = np.add.reduceat(ticks.ask_volume if price == "ask" else ticks.bid_volume, starts)
    if price == "mid":
        volume += np.add.reduceat(ticks.ask_volume, starts)
    return CandleUnits(
        times,
        units[starts] * factor,
        np.maximum.reduceat(units, starts) * factor,
        np.minimum.reduceat(units, starts) * factor,
        units[ends] * factor,
        volume,
        ends - starts + 1,
        scale,
        ticks.volume_scale,
    )


def roll_up_units(candles: CandleUnits, interval: Interval, alignment: Alignment = Alignment.UTC) -> CandleUnits:
    """Candles of a longer interval from sorted shorter ones; equals building them from the ticks."""
    starts, times = _bucket_edges(candles.time, interval, alignment)
    if not len(starts):
        return candles
    ends = np.append(starts[1:], len(candles)) - 1
    return CandleUnits(
        times,
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends],
        np.add.reduceat(candles.volume, starts),
        np.add.reduceat(candles.num_trades, starts),
        candles.price_scale,
        candles.volume_scale,
    )


def to_frame(candles: CandleUnits) -> pl.DataFrame:
    """The same candles as a frame of `CANDLE_SCHEMA`, exact."""
    columns = {name: _decimal(getattr(candles, name), candles.price_scale) for name in PRICE_COLUMNS}
    columns["volume"] = _decimal(candles.volume, candles.volume_scale)
    table = pa.table(
        {
            "time": pa.Array.from_buffers(
                pa.timestamp("ms", "UTC"), len(candles), [None, pa.py_buffer(np.ascontiguousarray(candles.time))]
            ),
            **columns,
            "num_trades": pa.Array.from_buffers(
                pa.int64(), len(candles), [None, pa.py_buffer(np.ascontiguousarray(candles.num_trades))]
            ),
        }
    )
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.cast(CANDLE_SCHEMA)


def candles_from_ticks(
    ticks: Ticks, interval: Interval, price: CandlePrice = "mid", alignment: Alignment = Alignment.UTC
) -> pl.DataFrame:
    """A candle frame of sorted ticks; see `candle_units` for what each column is."""
    return to_frame(candle_units(ticks, interval, price, alignment))


def roll_up(candles: pl.DataFrame, interval: Interval, alignment: Alignment = Alignment.UTC) -> pl.DataFrame:
    """A candle frame of a longer interval from a sorted one of a shorter interval.

    `num_trades` is NULL where any part's is NULL: a sum that leaves something out would be a wrong number.
    """
    if candles.is_empty():
        return candles.cast(CANDLE_SCHEMA)
    opens = candles["time"].dt.epoch("ms").to_numpy()
    starts, times = _bucket_edges(opens, interval, alignment)
    lengths = np.diff(np.append(starts, candles.height))
    bucket = pl.Series("bucket", np.repeat(times, lengths)).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    return (
        candles.with_columns(bucket)
        .group_by("bucket", maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
            pl.when(pl.col("num_trades").is_null().any())
            .then(None)
            .otherwise(pl.col("num_trades").sum())
            .alias("num_trades"),
        )
        .rename({"bucket": "time"})
        .cast(CANDLE_SCHEMA)
    )


def content_hash(candles: pl.DataFrame) -> str:
    """SHA-256, hex, of a candle frame's exact content; the same candles, the same hash, whoever built them."""
    text = candles.select(CANDLE_COLUMNS).cast(CANDLE_SCHEMA).with_columns(pl.col("time").dt.epoch("ms"))
    return hashlib.sha256(text.write_csv(include_header=False).encode()).hexdigest()


def _bucket_edges(times: Ints, interval: Interval, alignment: Alignment) -> tuple[Ints, Ints]:
    """Index of each bucket's first row, and each bucket's open time; `times` are sorted ms."""
    if not len(times):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if interval.is_intraday and (alignment is Alignment.UTC or interval.seconds < 14_400):
        earliest, latest = int(times[0]) // interval.ms, int(times[-1]) // interval.ms
        if latest - earliest < len(times):  # dense: looking the buckets up is quicker than dividing every time
            opens = np.arange(earliest, latest + 1, dtype=np.int64) * interval.ms
            first = np.searchsorted(times, opens)
            filled = np.append(first[1:], len(times)) > first
            return first[filled], opens[filled]
        buckets = times // interval.ms
        starts = np.flatnonzero(np.concatenate(([True], buckets[1:] != buckets[:-1])))
        return starts, buckets[starts] * interval.ms
    edges: list[int] = [bucket_start(int(times[0]), interval, alignment)]
    while (after := bucket_end(edges[-1], interval, alignment)) <= int(times[-1]):
        edges.append(after)
    first = np.searchsorted(times, np.array(edges, np.int64))
    filled = np.append(first[1:], len(times)) > first
    return first[filled], np.array(edges, np.int64)[filled]


def _decimal(units: Ints, scale: int) -> pa.Array:
    """Integers as a decimal column of that scale, sharing no rounding step: the 64 bits are widened to 128."""
    wide = np.empty((len(units), 2), np.int64)
    wide[:, 0] = units
    wide[:, 1] = units >> 63
    return pa.Array.from_buffers(pa.decimal128(38, scale), len(units), [None, pa.py_buffer(wide)])
