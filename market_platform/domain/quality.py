"""Checks on ticks and candles: pure functions that say what is wrong, and never change or drop anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from market_platform.domain.candles import PRICE_COLUMNS
from market_platform.domain.days import EXPECTED_OPEN_MS, HOUR_MS
from market_platform.domain.sessions import Span
from market_platform.domain.ticks import Ints, Ticks

SPIKE_RATIO = 0.01
"""A mid price this far (1 %) from both neighbours, which agree with each other, is a spike."""
ABSURD_SPREAD_RATIO = 0.05
"""A spread above 5 % of the mid price is absurd for anything quoted here."""


@dataclass(frozen=True, slots=True)
class TickAnomalies:
    """Counts of suspicious quotes in a day, and the time (ms) of the first of each kind for a person to look at."""

    crossed: int = 0
    spikes: int = 0
    absurd_spreads: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    first_ms: int | None = None

    @property
    def total(self) -> int:
        """All of them."""
        return self.crossed + self.spikes + self.absurd_spreads + self.out_of_order + self.duplicates

    def describe(self) -> str:
        """`2 crossed, 1 spikes, first at 2019-02-04T10:00:00.123Z`, or `none`."""
        named = [(self.crossed, "crossed"), (self.spikes, "spikes"), (self.absurd_spreads, "absurd spreads")]
        named += [(self.out_of_order, "out of order"), (self.duplicates, "duplicates")]
        parts = [f"{count} {name}" for count, name in named if count]
        if not parts:
            return "none"
        first = "" if self.first_ms is None else f", first at {_iso(self.first_ms)}"
        return ", ".join(parts) + first


def tick_anomalies(ticks: Ticks) -> TickAnomalies:
    """Crossed quotes (ask below bid), one-tick spikes, absurd spreads, disorder and exact duplicates."""
    if not len(ticks):
        return TickAnomalies()
    spread = ticks.ask - ticks.bid
    double_mid = ticks.ask + ticks.bid
    crossed = spread < 0
    absurd = 2 * spread > ABSURD_SPREAD_RATIO * double_mid
    spikes = _spikes(double_mid)
    disorder = np.zeros(len(ticks), np.bool_)
    disorder[1:] = np.diff(ticks.time) < 0
    _, duplicates = ticks.sorted_unique()
    flagged = np.flatnonzero(crossed | absurd | spikes | disorder)
    return TickAnomalies(
        crossed=int(crossed.sum()),
        spikes=int(spikes.sum()),
        absurd_spreads=int(absurd.sum()),
        out_of_order=int(disorder.sum()),
        duplicates=duplicates,
        first_ms=int(ticks.time[flagged[0]]) if len(flagged) else None,
    )


def ohlc_errors(candles: pl.DataFrame, limit: int = 20) -> tuple[str, ...]:
    """What is impossible in a candle frame, one line a candle, at most `limit` lines."""
    bodies = [pl.col(name) for name in ("open", "close")]
    wrong = candles.filter(
        (pl.col("high") < pl.max_horizontal(*bodies, pl.col("low")))
        | (pl.col("low") > pl.min_horizontal(*bodies))
        | pl.any_horizontal([pl.col(name) <= 0 for name in PRICE_COLUMNS])
        | (pl.col("volume") < 0)
        | (pl.col("num_trades").fill_null(1) <= 0)
    )
    lines = [
        f"{row['time']:%Y-%m-%d %H:%M}: open {row['open']:f} high {row['high']:f} low {row['low']:f} close {row['close']:f}"
        f" volume {row['volume']:f} num_trades {row['num_trades']}"
        for row in wrong.head(limit).iter_rows(named=True)
    ]
    repeated = candles.filter(pl.col("time").is_duplicated())["time"].unique().sort()
    lines += [f"{time:%Y-%m-%d %H:%M}: more than one candle" for time in repeated.head(limit)]
    return tuple(lines[:limit])


def uncovered_hours(times_ms: Ints, open_spans: Sequence[Span], day_start: int) -> tuple[int, ...]:
    """Hours of the day (0–23) in which the market was open for half an hour or more and nothing is there."""
    filled = set(((times_ms - day_start) // HOUR_MS).tolist())
    hours: list[int] = []
    for hour in range(24):
        start, end = day_start + hour * HOUR_MS, day_start + (hour + 1) * HOUR_MS
        open_ms = sum(max(0, min(end, close) - max(start, opens)) for opens, close in open_spans)
        if open_ms >= EXPECTED_OPEN_MS and hour not in filled:
            hours.append(hour)
    return tuple(hours)


def _spikes(double_mid: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """True where one quote jumps away and the next is back."""
    spikes = np.zeros(len(double_mid), np.bool_)
    if len(double_mid) < 3:
        return spikes
    before, here, after = double_mid[:-2], double_mid[1:-1], double_mid[2:]
    tolerance = SPIKE_RATIO * before
    spikes[1:-1] = (
        (abs(here - before) > tolerance) & (abs(here - after) > tolerance) & (abs(after - before) < tolerance / 2)
    )
    return spikes


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
