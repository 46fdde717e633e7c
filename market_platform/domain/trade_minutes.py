"""Minute candles from a day's trades, and where the trades' numbers have holes.

Belongs here: what a day of trades says of its minutes. Does not: what other sides say of them (proof.py), bars of a stream as
it goes on (bars.py). Pure; trades are sorted by time and id, as day files have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
import polars as pl

from market_platform.domain.candles import CandleUnits, to_frame
from market_platform.domain.intervals import MINUTE_MS
from market_platform.domain.ticks import Ints
from market_platform.domain.trades import UNKNOWN_ID, Trades


@dataclass(frozen=True, slots=True)
class IdHole:
    """Numbers that no trade has: `trades` of the exchange's stream, or `single` ones that should be within those.

    What is missing was made between the trades before and after it: from `after_ms` to `before_ms`, both included.
    """

    kind: Literal["trades", "single"]
    first_id: int
    last_id: int
    after_ms: int
    before_ms: int

    @property
    def count(self) -> int:
        """How many are missing."""
        return self.last_id - self.first_id + 1


def minutes_of_trades(trades: Trades) -> pl.DataFrame:
    """Minute candles, a frame of `CANDLE_SCHEMA`, exact. No trade, no candle.

    `num_trades` counts single trades: an aggregated one that says its first and last id is as many as it has within.
    """
    if not len(trades):
        none = np.empty(0, np.int64)
        return to_frame(CandleUnits(none, none, none, none, none, none, none, 0, 0))
    minute = trades.time // MINUTE_MS
    starts = np.flatnonzero(np.concatenate(([True], minute[1:] != minute[:-1])))
    lasts = np.append(starts[1:], len(trades)) - 1
    known = (trades.first_id != UNKNOWN_ID) & (trades.last_id != UNKNOWN_ID)
    singles = np.where(known, np.maximum(trades.last_id - trades.first_id + 1, 1), 1)
    return to_frame(
        CandleUnits(
            minute[starts] * MINUTE_MS,
            trades.price[starts],
            np.maximum.reduceat(trades.price, starts),
            np.minimum.reduceat(trades.price, starts),
            trades.price[lasts],
            np.add.reduceat(trades.quantity, starts),
            np.add.reduceat(singles, starts),
            trades.price_scale,
            trades.quantity_scale,
        )
    )


def id_holes(trades: Trades, before: int | None = None) -> list[IdHole]:
    """Where numbers are skipped, for exchanges that count trades up by one; sorted by time.

    `before` is the id of the last trade before these, where it is known: a hole at the very beginning is seen with it.
    """
    if not len(trades):
        return []
    by_id = np.argsort(trades.trade_id, kind="stable")
    ids, times = trades.trade_id[by_id], trades.time[by_id]
    holes = _holes("trades", ids[:-1], ids[1:], times)
    if before is not None and before + 1 < ids[0]:
        day_ms = int(times[0]) // 86_400_000 * 86_400_000
        holes.append(IdHole("trades", before + 1, int(ids[0]) - 1, day_ms, int(times[0])))
    firsts, lasts = trades.first_id[by_id], trades.last_id[by_id]
    follows = (ids[1:] == ids[:-1] + 1) & (lasts[:-1] != UNKNOWN_ID) & (firsts[1:] != UNKNOWN_ID)
    holes += _holes("single", np.where(follows, lasts[:-1], firsts[1:]), firsts[1:], times)
    return sorted(holes, key=lambda hole: (hole.after_ms, hole.first_id))


def _holes(kind: Literal["trades", "single"], before: Ints, after: Ints, times: Ints) -> list[IdHole]:
    return [
        IdHole(kind, int(before[each]) + 1, int(after[each]) - 1, *sorted((int(times[each]), int(times[each + 1]))))
        for each in np.flatnonzero(after > before + 1)
    ]


def prices_of_one_moment(trades: Trades, minute_ms: int, which: Literal["open", "close"]) -> frozenset[Decimal]:
    """Prices of the trades of a minute's first (or last) millisecond: its open (or close) by one order of them or another."""
    low, high = (int(each) for each in np.searchsorted(trades.time, (minute_ms, minute_ms + MINUTE_MS)))
    if low == high:
        return frozenset()
    moment = trades.time[low] if which == "open" else trades.time[high - 1]
    first, after = (int(np.searchsorted(trades.time, moment, side)) for side in ("left", "right"))
    return frozenset(Decimal(int(units)).scaleb(-trades.price_scale) for units in trades.price[first:after])


def is_near_edge(trades: Trades, edge_ms: int, within_ms: int) -> bool:
    """Whether there is a trade within so many milliseconds of that moment, on either side."""
    low, high = (int(each) for each in np.searchsorted(trades.time, (edge_ms - within_ms, edge_ms + within_ms + 1)))
    return high > low
