"""The exchange's own candles, built from its own ticks.

Belongs here: bid and ask candles as Dukascopy makes them, and the flat rows its files have where nothing happened. Does
not: the platform's candles; this is another program on purpose, so that comparing the two proves something.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from market_platform.domain.ticks import Ints, Ticks
from market_platform.replay.addresses import Side

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CandleRows:
    """Candles as a body carries them: open time (ms), prices in units, volume in millions (0 in a flat row)."""

    time: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    millions: Floats

    def __len__(self) -> int:
        return len(self.time)

    def without_flats(self) -> CandleRows:
        """Only the rows in which something happened."""
        kept = self.millions > 0
        return CandleRows(*(getattr(self, each.name)[kept] for each in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class BuiltCandles:
    """Candles of periods that had ticks.

    `volume` is the sum of the ticks' volumes as JSON ticks state them, in units of `10**-volume_scale`; `whole_volume` the
    sum of them as bi5 ticks state them, each rounded to whole units.
    """

    time: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    whole_volume: Ints
    volume_scale: int

    def __len__(self) -> int:
        return len(self.time)

    @property
    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints, Ints]:
        """All of them in the order they are declared."""
        return (self.time, self.open, self.high, self.low, self.close, self.volume, self.whole_volume)

    def rows(self, *, whole: bool) -> CandleRows:
        """As a body carries them, with volumes of bi5 ticks (`whole`) or of JSON ticks."""
        millions = self.whole_volume / 1e6 if whole else self.volume / 10.0 ** (6 + self.volume_scale)
        return CandleRows(self.time, self.open, self.high, self.low, self.close, millions)


def whole_units(volume: Ints, volume_scale: int) -> Ints:
    """Volumes as bi5 ticks have them: whole units, halves to even (1.5 is 2, 6.5 is 6)."""
    return volume if volume_scale == 0 else np.rint(volume / 10**volume_scale).astype(np.int64)


def build(ticks: Ticks, side: Side, step_ms: int) -> BuiltCandles:
    """Candles of one side of sorted ticks; none for a period without ticks."""
    price, volume = (ticks.bid, ticks.bid_volume) if side == "BID" else (ticks.ask, ticks.ask_volume)
    whole = whole_units(volume, ticks.volume_scale)
    return _fold(ticks.time, price, price, price, price, volume, whole, ticks.volume_scale, step_ms)


def fold(candles: BuiltCandles, step_ms: int) -> BuiltCandles:
    """Longer candles from shorter ones."""
    return _fold(*candles.columns, candles.volume_scale, step_ms)


def concatenated(parts: list[BuiltCandles], volume_scale: int) -> BuiltCandles:
    """One after the other; they are in order."""
    parts = [part for part in parts if len(part)]
    none = np.empty(0, np.int64)
    if not parts:
        return BuiltCandles(none, none, none, none, none, none, none, volume_scale)
    time, opens, highs, lows, closes, volume, whole = (
        np.concatenate(each) for each in zip(*(p.columns for p in parts), strict=True)
    )
    return BuiltCandles(time, opens, highs, lows, closes, volume, whole, volume_scale)


def with_flats(rows: CandleRows, start_ms: int, end_ms: int, step_ms: int, previous_close: int) -> CandleRows:
    """Every period of the range, as bi5 candle files have them: one without ticks repeats the close before it, volume 0."""
    grid = np.arange(start_ms, end_ms, step_ms, dtype=np.int64)
    at = (rows.time - start_ms) // step_ms
    latest = np.full(len(grid), -1, np.int64)
    latest[at] = np.arange(len(rows))
    latest = np.maximum.accumulate(latest)
    if len(rows):
        close = np.where(latest >= 0, rows.close[latest], previous_close)
    else:
        close = np.full(len(grid), previous_close, np.int64)
    columns = {name: close.copy() for name in ("open", "high", "low", "close")}
    for name, column in columns.items():
        column[at] = getattr(rows, name)
    millions = np.zeros(len(grid))
    millions[at] = rows.millions
    return CandleRows(grid, columns["open"], columns["high"], columns["low"], columns["close"], millions)


def _fold(
    time: Ints, opens: Ints, highs: Ints, lows: Ints, closes: Ints, volume: Ints, whole: Ints, scale: int, step_ms: int
) -> BuiltCandles:
    none = np.empty(0, np.int64)
    if not len(time):
        return BuiltCandles(none, none, none, none, none, none, none, scale)
    bucket = time - time % step_ms
    first = np.concatenate(([0], np.flatnonzero(bucket[1:] != bucket[:-1]) + 1))
    last = np.concatenate((first[1:], [len(time)])) - 1
    return BuiltCandles(
        bucket[first],
        opens[first],
        np.maximum.reduceat(highs, first),
        np.minimum.reduceat(lows, first),
        closes[last],
        np.add.reduceat(volume, first),
        np.add.reduceat(whole, first),
        scale,
    )
