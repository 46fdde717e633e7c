"""What is suspect about an answer's days, in words. Belongs here: telling of it. Does not: finding it (suspects.py)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from market_platform.domain.clock import from_ms
from market_platform.exchanges.yahoo.actions import declared_of
from market_platform.exchanges.yahoo.days import DayBars
from market_platform.exchanges.yahoo.plans import ONE_DAY
from market_platform.exchanges.yahoo.suspects import PriceBar, find_suspects
from market_platform.exchanges.yahoo.wire import Bar, Chart

_MOST_TOLD = 3


def flags_of(chart: Chart, days: Mapping[date, DayBars], *, hundredths: bool) -> dict[date, tuple[str, ...]]:
    """What is suspect about each day, in a few lines a day."""
    bars = [_price_bar(bar) for bar in chart.bars if not bar.is_null]
    positive = [bar for bar in bars if min(bar.open, bar.high, bar.low, bar.close) > 0]
    suspects = find_suspects(positive, declared_of(chart), hundredths=hundredths)
    if not suspects:
        return {}
    by_time = {time: day for day, held in days.items() for time in held.sent}
    lines: dict[date, list[str]] = {}
    for suspect in suspects:
        if (day := by_time.get(suspect.time_ms)) is not None:
            when = "" if days[day].plan.interval == ONE_DAY else f"{from_ms(suspect.time_ms):%H:%M} "
            lines.setdefault(day, []).append(f"{when}{suspect.reason}")
    return {
        day: (*told[:_MOST_TOLD], *([f"and {len(told) - _MOST_TOLD} more bars"] if len(told) > _MOST_TOLD else []))
        for day, told in lines.items()
    }


def _price_bar(bar: Bar) -> PriceBar:
    assert bar.open is not None
    assert bar.high is not None
    assert bar.low is not None
    assert bar.close is not None
    return PriceBar(bar.time_ms, bar.open, bar.high, bar.low, bar.close, bar.adj_close)
