"""Exact candles of a tape: finished ones, and those that still form.

Belongs here: sums and extremes of trades. Does not: wire formats. A candle without trades stands at the last price before
it, as Binance sends it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market_platform.replay.cache import BoundedCache
from market_platform.replay.live.noise import Ints
from market_platform.replay.live.tape import MINUTE_MS, Tape, Trades

HOUR_MS = 60 * MINUTE_MS


@dataclass(slots=True)
class Bar:
    """A candle in whole units: prices in the market's price units, `lots` in its lot units, `quote` in price x lot units.

    `buy_lots` and `buy_quote` are the part in which the buyer took. `first_id` is the id of the first aggregate trade at or
    after its opening, `count` how many aggregates it has; with none, all prices are the last one before.
    """

    open_ms: int
    end_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    quote: int
    buy_lots: int
    buy_quote: int
    first_id: int
    count: int

    def add(self, price: int, lots: int, taker_buys: int) -> None:
        """One more trade."""
        if self.count == 0:
            self.open = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.lots += lots
        self.quote += lots * price
        if taker_buys:
            self.buy_lots += lots
            self.buy_quote += lots * price
        self.count += 1

    def extend(self, later: Bar) -> None:
        """The trades of the bar that follows."""
        if later.count == 0:
            return
        if self.count == 0:
            self.open, self.high, self.low = later.open, later.high, later.low
        else:
            self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.quote += later.quote
        self.buy_lots += later.buy_lots
        self.buy_quote += later.buy_quote
        self.count += later.count


def flat_bar(open_ms: int, end_ms: int, price: int, first_id: int) -> Bar:
    """The candle of a bucket in which nothing has happened yet, at the last price before it."""
    return Bar(open_ms, end_ms, price, price, price, price, 0, 0, 0, 0, first_id, 0)


class CandleBook:
    """The candles of one tape. May be used by several threads."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._hours: BoundedCache[int, list[Bar]] = BoundedCache(36, lambda _: 1)
        self._sums: BoundedCache[int, Bar] = BoundedCache(4_096, lambda _: 1)

    def until(self, open_ms: int, end_ms: int, until_ms: int) -> Bar:
        """The candle of a bucket with the trades that are earlier than `until_ms`."""
        if end_ms - open_ms == MINUTE_MS and until_ms >= end_ms:
            return self._hour(open_ms // HOUR_MS)[open_ms % HOUR_MS // MINUTE_MS]
        bar = self._blank(open_ms, end_ms)
        at = open_ms
        stop = until_ms - until_ms % MINUTE_MS
        while at < stop:
            if at % HOUR_MS == 0 and at + HOUR_MS <= stop:
                bar.extend(self._sum(at // HOUR_MS))
                at += HOUR_MS
            else:
                bar.extend(self._hour(at // HOUR_MS)[at % HOUR_MS // MINUTE_MS])
                at += MINUTE_MS
        if at < until_ms:
            rows = self.tape.minute(at // MINUTE_MS)
            for time, price, lots, buys in zip(rows.times, rows.prices, rows.lots, rows.taker_buys, strict=True):
                if time >= until_ms:
                    break
                bar.add(price, lots, buys)
        if bar.count == 0:
            bar.open = bar.high = bar.low = bar.close = self.tape.price_of(bar.first_id - 1)
        return bar

    def _blank(self, open_ms: int, end_ms: int) -> Bar:
        return flat_bar(open_ms, end_ms, 0, self.tape.first_id(open_ms // MINUTE_MS))

    def _sum(self, hour: int) -> Bar:
        return self._sums.get(hour, lambda: self._make_sum(hour))

    def _make_sum(self, hour: int) -> Bar:
        minutes = self._make_hour(hour)
        total = self._blank(hour * HOUR_MS, (hour + 1) * HOUR_MS)
        for bar in minutes:
            total.extend(bar)
        return total

    def _hour(self, hour: int) -> list[Bar]:
        return self._hours.get(hour, lambda: self._make_hour(hour))

    def _make_hour(self, hour: int) -> list[Bar]:
        """The hour's sixty minutes, summed as arrays."""
        first = hour * 60
        rows = self.tape.trades(first, first + 60)
        firsts = np.array([self.tape.first_id(first + minute) for minute in range(61)])
        counts = np.diff(firsts)
        busy = np.flatnonzero(counts)
        made: list[Bar] = []
        summed = iter(_busy_bars(rows, firsts[busy] - firsts[0], firsts[busy + 1] - firsts[0] - 1))
        for minute, (first_id, count) in enumerate(zip(firsts.tolist(), counts.tolist(), strict=False)):
            open_ms = (first + minute) * MINUTE_MS
            bar = flat_bar(open_ms, open_ms + MINUTE_MS, 0, first_id)
            if count:
                bar.open, bar.high, bar.low, bar.close, bar.lots, bar.quote, bar.buy_lots, bar.buy_quote = next(summed)
                bar.count = count
            else:
                last = made[-1].close if made else self.tape.price_of(first_id - 1)
                bar.open = bar.high = bar.low = bar.close = last
            made.append(bar)
        return made


def _busy_bars(rows: Trades, starts: Ints, lasts: Ints) -> list[list[int]]:
    """Open, high, low, close, lots, quote, taker's lots and quote of each group of trades."""
    if not len(starts):
        return []
    made: list[list[int]] = np.column_stack(sums_of(rows, starts, lasts)).tolist()
    return made


def sums_of(rows: Trades, starts: Ints, lasts: Ints) -> tuple[Ints, ...]:
    """Open, high, low, close, lots, quote, taker's lots and quote as columns, a row of each group; every trade is in one."""
    quote = rows.price * rows.lots
    return (
        rows.price[starts],
        np.maximum.reduceat(rows.price, starts),
        np.minimum.reduceat(rows.price, starts),
        rows.price[lasts],
        np.add.reduceat(rows.lots, starts),
        np.add.reduceat(quote, starts),
        np.add.reduceat(rows.lots * rows.taker_buys, starts),
        np.add.reduceat(quote * rows.taker_buys, starts),
    )
