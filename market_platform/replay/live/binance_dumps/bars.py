"""Candles of whole days as columns; the same as those of REST, made for files of many.

Belongs here: sums of trades, and of shorter bars. Does not: text. A bar without trades stands at the last price before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market_platform.replay.live.candles import sums_of
from market_platform.replay.live.noise import Ints
from market_platform.replay.live.tape import MINUTE_MS, Tape

_DAY = 1440
_MINUTES_AT_ONCE = 360
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Columns of equal length in whole units, as in `Bar`; `first_ids` has one more, the id after the last bar's last trade."""

    open_ms: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    lots: Ints
    quote: Ints
    buy_lots: Ints
    buy_quote: Ints
    first_ids: Ints

    @property
    def counts(self) -> Ints:
        """How many aggregate trades each bar has."""
        return np.diff(self.first_ids)

    @property
    def nbytes(self) -> int:
        """Memory of the columns."""
        return 10 * self.open_ms.nbytes


def minutes_of_day(tape: Tape, start_ms: int) -> Bars:
    """The 1440 minutes of the day that begins there."""
    first = start_ms // MINUTE_MS
    ids = np.array([tape.first_id(first + minute) for minute in range(_DAY + 1)], np.int64)
    columns = np.zeros((8, _DAY), np.int64)
    for begin in range(0, _DAY, _MINUTES_AT_ONCE):
        rows = tape.trades(first + begin, first + begin + _MINUTES_AT_ONCE)
        edges = ids[begin : begin + _MINUTES_AT_ONCE + 1] - ids[begin]
        busy = np.flatnonzero(np.diff(edges))
        starts, lasts = edges[busy], edges[busy + 1] - 1
        for at, column in enumerate(sums_of(rows, starts, lasts)):
            columns[at, begin + busy] = column
    still = np.diff(ids) == 0
    if still.any():
        last = np.maximum.accumulate(np.where(still, -1, np.arange(_DAY)))
        columns[:4, still] = columns[3, last[still]]
        columns[:4, last < 0] = tape.price_of(int(ids[0]) - 1)
    opening, high, low, close, lots, quote, buy_lots, buy_quote = columns
    opens = start_ms + np.arange(_DAY) * MINUTE_MS
    return Bars(opens, opening, high, low, close, lots, quote, buy_lots, buy_quote, ids)


def longer(bars: Bars, minutes: int) -> Bars:
    """Bars of so many minutes, of a day's minutes."""
    if minutes == 1:
        return bars
    starts = np.arange(0, _DAY, minutes)
    busy = bars.counts > 0
    opening = np.minimum.reduceat(np.where(busy, np.arange(_DAY), _FAR), starts)
    still = opening == _FAR
    opening[still] = starts[still]
    ends = starts + minutes - 1
    high = np.maximum.reduceat(np.where(busy, bars.high, 0), starts)
    low = np.minimum.reduceat(np.where(busy, bars.low, _FAR), starts)
    lots, quote, buy_lots, buy_quote = (
        np.add.reduceat(column, starts) for column in (bars.lots, bars.quote, bars.buy_lots, bars.buy_quote)
    )
    return Bars(
        bars.open_ms[starts],
        bars.open[opening],
        np.where(still, bars.close[ends], high),
        np.where(still, bars.close[ends], low),
        bars.close[ends],
        lots,
        quote,
        buy_lots,
        buy_quote,
        bars.first_ids[np.append(starts, _DAY)],
    )
