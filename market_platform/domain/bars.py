"""Bars from trades as they come, exact: a base interval and every longer one, in memory.

Belongs here: arithmetic of bars and knowing which of them saw every trade. Does not: candles of stored ticks (candles.py), ids
(ids.py), where bars go. Pure; prices and volumes are Decimal, times ms since the epoch. Days are UTC's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from market_platform.domain.events import Candle
from market_platform.domain.intervals import Interval, bucket_end, bucket_start, parse_interval


@dataclass(slots=True)
class _Bar:
    """`first` and `last` are the (time, id) of its first and last trade; `whole` is False when it missed something."""

    start: int
    end: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    num_trades: int
    first: tuple[int, int]
    last: tuple[int, int]
    whole: bool = True

    def add(self, later: _Bar) -> None:
        """Take the bar that follows into this one."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close, self.last = later.close, later.last
        self.volume += later.volume
        self.num_trades += later.num_trades
        self.whole = self.whole and later.whole


@dataclass(slots=True)
class Bars:
    """Bars that are final, and buckets [start, end) of an interval that ended without being known whole."""

    closed: list[Candle] = field(default_factory=list)
    incomplete: list[tuple[Interval, int, int]] = field(default_factory=list)


class BarBuilder:
    """Builds the bars of one market. A bucket without a trade has no bar.

    A bar counts only when the stream was there from its first moment to its last: `resumed` says since when it is. A trade
    touches the shortest interval only; a bar of it that ends goes into the longer ones.
    """

    def __init__(self, symbol: str, intervals: Sequence[Interval]) -> None:
        self._symbol = symbol
        self._wanted = frozenset(intervals)
        shortest = min(intervals)
        self._base = shortest if shortest.is_intraday else parse_interval("1d")
        self._longer = sorted(each for each in self._wanted if each > self._base)
        self._bar: _Bar | None = None
        self._bars: dict[Interval, _Bar] = {}
        self._closed_until = 0
        self._since: int | None = None

    def resumed(self, since_ms: int) -> None:
        """After an interruption (and at first): every trade from that moment on will be told."""
        if self._since is None:
            self._since = since_ms

    def interrupted(self) -> None:
        """Trades are missed from now on: nothing that is open will be whole."""
        self._since = None

    def add(self, trade_id: int, time_ms: int, price: Decimal, volume: Decimal, trades: int = 1) -> Bars | None:
        """A trade that is new, or so many of one price that the exchange aggregates; what it ended, None for nothing.

        One of a bucket that is closed already makes every bucket that holds it incomplete.
        """
        bar = self._bar
        if bar is not None and bar.start <= time_ms < bar.end:
            bar.high = max(bar.high, price)
            bar.low = min(bar.low, price)
            bar.volume += volume
            bar.num_trades += trades
            key = (time_ms, trade_id)
            if key > bar.last:
                bar.last, bar.close = key, price
            elif key < bar.first:
                bar.first, bar.open = key, price
            return None
        if time_ms < self._closed_until or (bar is not None and time_ms < bar.start):
            return self._late(time_ms)
        bars = Bars()
        if bar is not None:
            self._close_base(bar, bars)
        start, key = bucket_start(time_ms, self._base), (time_ms, trade_id)
        self._close_longer(start, bars)
        end = bucket_end(start, self._base)
        self._bar = _Bar(start, end, price, price, price, price, volume, trades, key, key)
        return bars

    def due(self, now_ms: int, grace_ms: int) -> Bars:
        """Bars whose end passed `grace_ms` ago."""
        bars = Bars()
        if self._bar is not None and now_ms >= self._bar.end + grace_ms:
            self._close_base(self._bar, bars)
        self._close_longer(now_ms - grace_ms if self._bar is None else self._bar.start, bars)
        return bars

    def forming(self) -> list[Candle]:
        """The bars that are not over, as they stand; those that missed something too."""
        found = [] if self._bar is None else [(self._base, self._bar)]
        for interval in self._longer:
            known, base = self._bars.get(interval), self._bar
            if known is not None and base is not None:
                known = replace(known)
                known.add(base)
            elif known is None and base is not None:
                known = base
            if known is not None:
                start = bucket_start(known.start, interval)
                found.append((interval, replace(known, start=start, end=bucket_end(start, interval))))
        return [self._candle(interval, bar, closed=False) for interval, bar in found if interval in self._wanted]

    def _close_base(self, bar: _Bar, bars: Bars) -> None:
        self._bar = None
        self._closed_until = bar.end
        bar.whole = self._since is not None and bar.start >= self._since
        self._give(self._base, bar, bars)
        for interval in self._longer:
            known = self._bars.get(interval)
            if known is not None and bar.start >= known.end:
                self._give(interval, self._bars.pop(interval), bars)
                known = None
            if known is not None:
                known.add(bar)
            else:
                start = bucket_start(bar.start, interval)
                end = bucket_end(start, interval)
                whole = bar.whole and self._since is not None and start >= self._since
                self._bars[interval] = replace(bar, start=start, end=end, whole=whole)

    def _close_longer(self, now_ms: int, bars: Bars) -> None:
        for interval, bar in list(self._bars.items()):
            if now_ms >= bar.end:
                self._give(interval, self._bars.pop(interval), bars)

    def _give(self, interval: Interval, bar: _Bar, bars: Bars) -> None:
        if interval not in self._wanted:
            return
        if bar.whole and self._since is not None and bar.start >= self._since:
            bars.closed.append(self._candle(interval, bar, closed=True))
        else:
            bars.incomplete.append((interval, bar.start, bar.end))

    def _late(self, time_ms: int) -> Bars:
        bars = Bars()
        for interval in sorted(self._wanted):
            start = bucket_start(time_ms, interval)
            known = self._bars.get(interval)
            if known is not None and known.start == start:
                known.whole = False
            else:
                bars.incomplete.append((interval, start, bucket_end(start, interval)))
        return bars

    def _candle(self, interval: Interval, bar: _Bar, *, closed: bool) -> Candle:
        return Candle(
            symbol=self._symbol,
            interval=interval.name,
            open_ms=bar.start,
            end_ms=bar.end,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
            num_trades=bar.num_trades,
            closed=closed,
            event_ms=bar.last[0],
        )
