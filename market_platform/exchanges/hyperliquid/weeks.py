"""Weeks from Monday made of Hyperliquid's days, because its own weeks begin on Thursday. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from itertools import groupby

from market_platform.domain.events import Candle
from market_platform.domain.intervals import Interval, bucket_end, bucket_start

_EXACT = Context(prec=200)


def weeks_of_days(days: Sequence[Candle], week: Interval, over_ms: int) -> list[Candle]:
    """The closed weeks of closed days in order; a day without a candle had no trade.

    A week is closed when its last day is there, when a later day is, or when it ended before `over_ms`.
    """
    newest = max((day.end_ms for day in days), default=0)
    return [made for made in _weeks(days, week) if made.end_ms <= max(newest, over_ms)]


def _weeks(days: Sequence[Candle], week: Interval) -> Iterator[Candle]:
    for open_ms, group in groupby(days, key=lambda day: bucket_start(day.open_ms, week)):
        of_week = list(group)
        trades = [day.num_trades for day in of_week]
        volume = Decimal(0)
        for day in of_week:
            volume = _EXACT.add(volume, day.volume)
        yield Candle(
            symbol=of_week[0].symbol,
            interval=week.name,
            open_ms=open_ms,
            end_ms=bucket_end(open_ms, week),
            open=of_week[0].open,
            high=max(day.high for day in of_week),
            low=min(day.low for day in of_week),
            close=of_week[-1].close,
            volume=volume,
            num_trades=sum(each or 0 for each in trades),
            closed=True,
        )
