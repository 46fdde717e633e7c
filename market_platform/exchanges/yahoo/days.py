"""A chart cut into days: which bars belong to a day, which of them count, and what the day lacks.

Belongs here: the rules, pure. Does not: asking (history.py), what is probably wrong (suspects.py).

An intraday bar belongs to the UTC day in which it opens. Yahoo's hours are counted from the exchange's opening (13:30 UTC in
New York's summer), and so is `time`. A daily bar belongs to the exchange's own day, and its `time` is that day's midnight in
UTC, so that a day's partition is the exchange's day.

A bar outside a session is refused and said so. A row of nulls is Yahoo's word that it has no bar there: the bar is listed in
`missing` and takes nothing from the day's condition. A bar that is not even listed makes the day degraded, and so does one
whose prices contradict each other, which is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

import polars as pl

from market_platform.domain.candles import CANDLE_SCHEMA, roll_up
from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.history import HistoryDay, RawInput
from market_platform.domain.intervals import Interval
from market_platform.exchanges.yahoo.plans import HALF_HOUR, ONE_DAY, DayPlan, exchange_day
from market_platform.exchanges.yahoo.prices import decimal_price
from market_platform.exchanges.yahoo.wire import Bar, Chart


@dataclass(slots=True)
class DayBars:
    """The bars of one day, judged. `rows` have prices as sent; `nulls`, `wrong` and `forming` are open times.

    `sent` are the times that Yahoo gave its bars, `notes` what else is to be said of the day.
    """

    plan: DayPlan
    rows: list[Bar] = field(default_factory=list)
    nulls: set[int] = field(default_factory=set)
    wrong: dict[int, str] = field(default_factory=dict)
    outside: list[int] = field(default_factory=list)
    forming: set[int] = field(default_factory=set)
    sent: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    @property
    def omitted(self) -> list[int]:
        """Open times of which Yahoo lists nothing usable, and which are over."""
        there = {bar.time_ms for bar in self.rows}
        return [time for time in self.plan.expected if time not in there | self.nulls | self.forming]


def split_days(chart: Chart, plans: Sequence[DayPlan], now_ms: int) -> dict[date, DayBars]:
    """The bars of a chart by day, for the days planned; others are left out.

    Of a day that is not final, only bars that ended before Yahoo's last price are taken. The last row of a chart is often the
    price of this moment, which lies on no grid and never counts.

    Raises:
        BadPayloadError: a day has two daily bars.
    """
    days = {plan.day: DayBars(plan) for plan in plans}
    of_time = {time: plan.day for plan in plans for time in plan.expected}
    until_ms = now_ms if chart.quoted_ms is None else min(now_ms, chart.quoted_ms)
    for held in days.values():
        if now_ms < held.plan.final_ms:
            held.forming = {time for time in held.plan.expected if held.plan.end_of(time) > until_ms}
    for bar in _on_exchange_days(chart, days) if plans and plans[0].interval == ONE_DAY else chart.bars:
        day = of_time.get(bar.time_ms)
        if day is not None:
            days[day].sent.add(bar.time_ms)
            _hold(days[day], bar)
        elif bar.is_null:
            continue  # filler between a range's end and the price of the moment
        elif (near := from_ms(bar.time_ms).date()) in days and not _is_live(bar, chart, days[near].plan):
            days[near].outside.append(bar.time_ms)
    return days


def _hold(held: DayBars, bar: Bar) -> None:
    if bar.time_ms in held.forming:
        return
    if bar.is_null:
        held.nulls.add(bar.time_ms)
    elif told := _contradiction(bar):
        held.wrong[bar.time_ms] = told
    else:
        held.rows.append(bar)


def _is_live(bar: Bar, chart: Chart, plan: DayPlan) -> bool:
    """Whether a row on no grid is the price of the moment at the end of a chart."""
    return bar == chart.bars[-1] and chart.quoted_ms is not None and bar.time_ms >= chart.quoted_ms - plan.interval.ms


def _on_exchange_days(chart: Chart, days: Mapping[date, DayBars]) -> list[Bar]:
    """Daily bars with the time at which their day's session opens; one of a day without a session at midnight.

    The last day of a chart may come twice, the second time with the time of its last price; that one has the volume that
    Yahoo shows, and counts.
    """
    placed: dict[int, Bar] = {}
    for bar in chart.bars:
        day = exchange_day(bar.time_ms, chart.timezone)
        held = days.get(day)
        if held is None:
            continue
        time = held.plan.expected[0] if held.plan.expected else day_start_ms(day)
        if time in placed:
            if bar != chart.bars[-1]:
                raise BadPayloadError(f"yahoo {chart.symbol} 1d: two bars of {day}")
            held.notes.append("the day came twice, and the later bar counts")
        placed[time] = replace(bar, time_ms=time)
        held.sent.add(bar.time_ms)
    return list(placed.values())


def _contradiction(bar: Bar) -> str:
    """What is impossible about a bar without nulls; empty when nothing is."""
    opened, high, low, close = bar.open, bar.high, bar.low, bar.close
    assert opened is not None
    assert high is not None
    assert low is not None
    assert close is not None
    if min(opened, high, low, close) <= 0:
        return "a price that is not above zero"
    if high < max(opened, low, close) or low > min(opened, close):
        return f"open {opened} high {high} low {low} close {close}"
    return ""


def candle_frame(bars: Sequence[Bar], hint: int, times: Mapping[int, int]) -> tuple[pl.DataFrame, int]:
    """Bars as a frame of `CANDLE_SCHEMA`, and how many have a price that is kept as sent; `times` replace their own."""
    columns: dict[str, list[Decimal]] = {"open": [], "high": [], "low": [], "close": []}
    inexact = 0
    for bar in bars:
        prices = []
        for name, column in columns.items():
            price = decimal_price(getattr(bar, name), hint)
            column.append(price.value)
            prices.append(price)
        inexact += not all(price.exact for price in prices)
    frame = pl.DataFrame(
        {
            "time": pl.Series([times.get(bar.time_ms, bar.time_ms) for bar in bars], dtype=pl.Int64).cast(
                pl.Datetime("ms", "UTC")
            ),
            **{name: pl.Series(values, dtype=CANDLE_SCHEMA[name]) for name, values in columns.items()},
            "volume": pl.Series([Decimal(bar.volume or 0) for bar in bars], dtype=CANDLE_SCHEMA["volume"]),
            "num_trades": pl.Series([None] * len(bars), dtype=pl.Int64),
        },
        schema=CANDLE_SCHEMA,
    )
    return frame, inexact


def finish_day(
    held: DayBars, interval: Interval, hint: int, ticker: str, now_ms: int, flags: Sequence[str] = ()
) -> HistoryDay[pl.DataFrame]:
    """The day as a history has it; `flags` are of suspects, and degrade it."""
    plan = held.plan
    midnight = day_start_ms(plan.day)
    times = dict.fromkeys(plan.expected, midnight) if interval == ONE_DAY else {}
    frame, inexact = candle_frame(held.rows, hint, times)
    missing = sorted({*held.nulls, *held.omitted})
    if interval == HALF_HOUR:
        frame, missing = _half_hours(held, frame)
    elif interval == ONE_DAY:
        missing = [midnight for _ in missing]
    noted = list(held.notes)
    if held.outside:
        noted.append(
            f"{len(held.outside)} bars outside the sessions were refused, the first at {_clock(held.outside[0])}"
        )
    noted += [f"the bar of {_clock(time)} was left out: {told}" for time, told in sorted(held.wrong.items())]
    if inexact:
        noted.append(
            f"{inexact} bars have a price with more digits than a price of this stock has (after a split, "
            "or too large for Yahoo's 32-bit numbers), kept as sent"
        )
    condition, reason = _condition(held, frame.height, now_ms, flags)
    return HistoryDay(
        day=plan.day,
        rows=frame,
        count=frame.height,
        condition=condition,
        missing=tuple(missing),
        reason=reason,
        inputs=_inputs(held, ticker),
        flags=(*flags, *noted),
    )


def without_bars(day: date, condition: Condition, reason: str) -> HistoryDay[pl.DataFrame]:
    """A day of which Yahoo was asked nothing, or has nothing."""
    return HistoryDay(day, pl.DataFrame(schema=CANDLE_SCHEMA), 0, condition, reason=reason)


def _condition(held: DayBars, rows: int, now_ms: int, flags: Sequence[str]) -> tuple[Condition, str]:
    if not held.plan.expected:
        return Condition.CLOSED, "the exchange has no session on this day"
    if now_ms < held.plan.final_ms:
        return Condition.PENDING, f"Yahoo may correct it until {_clock(held.plan.final_ms)} UTC"
    if not rows:
        return Condition.MISSING, "Yahoo has no bar of this session"
    reasons = []
    if held.omitted:
        reasons.append(f"{len(held.omitted)} of the {len(held.plan.expected)} bars of the session are not there")
    reasons += flags
    if reasons:
        return Condition.DEGRADED, "; ".join(reasons)
    told = f"Yahoo says itself that it has no bar at {len(held.nulls)} times" if held.nulls else ""
    return Condition.AVAILABLE, told


def _half_hours(held: DayBars, quarters: pl.DataFrame) -> tuple[pl.DataFrame, list[int]]:
    """Half hours of quarters, without those of which a quarter is unknown or to come."""
    unknown = {_half(time) for time in {*held.omitted, *held.forming}}
    frame = roll_up(quarters, HALF_HOUR).filter(~pl.col("time").dt.epoch("ms").is_in(sorted(unknown)))
    there = set(frame["time"].dt.epoch("ms").to_list())
    coming = {_half(time) for time in held.forming}
    return frame, sorted({_half(time) for time in held.plan.expected} - there - coming)


def _half(time_ms: int) -> int:
    return time_ms - time_ms % HALF_HOUR.ms


def _inputs(held: DayBars, ticker: str) -> tuple[RawInput, ...]:
    """The day's own rows as sent: an answer as a whole has the price of the moment in it and never comes twice alike."""
    if not held.rows and not held.nulls:
        return ()
    text = "\n".join([bar.text for bar in held.rows] + [f"{time},null" for time in sorted(held.nulls)]).encode()
    name = f"/v8/finance/chart/{ticker}?interval={held.plan.interval} {held.plan.day}"
    return (RawInput(name, hashlib.sha256(text).hexdigest(), len(text), len(held.rows)),)


def _clock(ms: int) -> str:
    return f"{from_ms(ms):%Y-%m-%d %H:%M}"
