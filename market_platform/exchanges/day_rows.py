"""Rows of an answer to days of history: frames, what is missing of a day, and pages that must fit together. Pure.

Belongs here: what every exchange's history has in common. Does not: asking, and which hours an exchange is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Generic, TypeVar

import polars as pl

from market_platform.domain.candles import CANDLE_SCHEMA, PRICE_COLUMNS
from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, MarketPlatformError
from market_platform.domain.events import Candle
from market_platform.domain.history import HistoryDay, RawInput
from market_platform.domain.intervals import DAY_MS, Interval

HOUR_MS = 3_600_000
_MOST_SPACING_MS = 8 * HOUR_MS
_MAX_DIGITS = 38
_MAX_SCALE = 18

Row = TypeVar("Row")


@dataclass(slots=True)
class PagesRead(Generic[Row]):
    """What pages brought of a block of days: rows, answers with the span each was asked for, and what ended it early."""

    until_ms: int
    rows: list[Row] = field(default_factory=list)
    answers: list[tuple[int, int, RawInput]] = field(default_factory=list)
    error: MarketPlatformError | None = None

    def inputs(self, start_ms: int, end_ms: int) -> tuple[RawInput, ...]:
        """The answers that [start, end) was in."""
        return tuple(raw for first, last, raw in self.answers if first < end_ms and start_ms < last)


def blocks_of(days: Sequence[date], most: int) -> list[list[date]]:
    """Sorted days as runs of neighbours, none longer than `most`: what is asked for at once."""
    blocks: list[list[date]] = []
    for day in days:
        if blocks and len(blocks[-1]) < most and day == blocks[-1][-1] + timedelta(days=1):
            blocks[-1].append(day)
        else:
            blocks.append([day])
    return blocks


def span_of(days: Sequence[date]) -> tuple[int, int]:
    """Start of the first day and end of the last, ms."""
    return day_start_ms(days[0]), day_start_ms(days[-1]) + DAY_MS


def page_within(opens: Sequence[int], start_ms: int, end_ms: int, what: str) -> None:
    """Check that a page's times rise, and that it is an answer to the question for [start, end).

    A row beside the window is let pass (exchanges add the candle that the window touches) and is for the caller to drop.

    Raises:
        BadPayloadError: rows are out of order or twice, or there are rows and none is inside.
    """
    for before, after in pairwise(opens):
        if after <= before:
            how = "twice" if after == before else "out of order"
            raise BadPayloadError(f"{what}: the row of {told(after)} comes {how}; ask again later")
    if opens and not any(start_ms <= each < end_ms for each in opens):
        raise BadPayloadError(
            f"{what}: asked for {told(start_ms)} to {told(end_ms)}, answered {told(opens[0])} to {told(opens[-1])}: "
            "a page of other times; ask again later"
        )


def absent_times(times: Sequence[int], step_ms: int, start_ms: int, end_ms: int) -> list[int]:
    """When a row should be and is none.

    With a step that is simple. Without one (funding is paid every hour, four or eight, and an exchange changes that), a
    distance that is longer than eight hours, or than both the one before and the one after it, has a hole.
    """
    if step_ms:
        there = set(times)
        return [each for each in range(start_ms, end_ms, step_ms) if each not in there]
    if not times:
        return []
    distances = [after - before for before, after in pairwise(times)]
    holes: list[int] = []
    for place, distance in enumerate(distances):
        around = distances[max(0, place - 1) : place] + distances[place + 1 : place + 2]
        usual = min(max(around, default=distance), _MOST_SPACING_MS)
        if distance > usual > 0:
            holes += range(times[place] + usual, times[place + 1], usual)
    step = min(min(distances, default=_MOST_SPACING_MS), _MOST_SPACING_MS)
    before = range(times[0] - step, start_ms - 1, -step)
    after = range(times[-1] + step, end_ms, step)
    return sorted([*before, *holes, *after])


def candle_frame(candles: Sequence[Candle]) -> pl.DataFrame:
    """Closed candles in order as a frame of `CANDLE_SCHEMA`, exact.

    Raises:
        BadPayloadError: a number has more digits than the warehouse holds.
    """
    columns: dict[str, list[Decimal]] = {
        name: [getattr(each, name) for each in candles] for name in (*PRICE_COLUMNS, "volume")
    }
    for name, values in columns.items():
        for candle, value in zip(candles, values, strict=True):
            _check_digits(value, f"{candle.symbol} {candle.interval} {told(candle.open_ms)}: {name}")
    return pl.DataFrame(
        {
            "time": pl.Series([each.open_ms for each in candles], dtype=pl.Int64).cast(CANDLE_SCHEMA["time"]),
            **{name: pl.Series(values, dtype=CANDLE_SCHEMA[name]) for name, values in columns.items()},
            "num_trades": pl.Series([each.num_trades for each in candles], dtype=pl.Int64),
        },
        schema=CANDLE_SCHEMA,
    )


def buckets_of(day: date, interval: Interval) -> range:
    """Open times of a UTC day's candles."""
    start = day_start_ms(day)
    return range(start, start + DAY_MS, interval.ms)


def candle_day(
    day: date,
    candles: Sequence[Candle],
    expected: Iterable[int],
    inputs: Sequence[RawInput],
    *,
    reason: str,
    flags: Sequence[str] = (),
) -> HistoryDay[pl.DataFrame]:
    """A day that is over: available when every expected candle is there, else degraded or missing, and why.

    Raises:
        BadPayloadError: see `candle_frame`.
    """
    there = {each.open_ms for each in candles}
    missing = tuple(each for each in expected if each not in there)
    return HistoryDay(
        day,
        candle_frame(candles),
        len(candles),
        condition_of(len(candles), len(missing)),
        missing,
        reason if missing else "",
        tuple(inputs),
        tuple(flags),
    )


def condition_of(rows: int, missing: int) -> Condition:
    """Of a day on which the market was open and which is over."""
    if not missing and rows:
        return Condition.AVAILABLE
    return Condition.DEGRADED if rows else Condition.MISSING


def empty_candle_day(
    day: date, condition: Condition, reason: str, missing: Iterable[int] = ()
) -> HistoryDay[pl.DataFrame]:
    """A day of which there is nothing, and why."""
    return HistoryDay(day, pl.DataFrame(schema=CANDLE_SCHEMA), 0, condition, tuple(missing), reason)


def told(ms: int) -> str:
    """A moment in a message: `2026-11-21 13:09 UTC`."""
    return f"{from_ms(ms):%Y-%m-%d %H:%M} UTC"


def _check_digits(value: Decimal, what: str) -> None:
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise BadPayloadError(f"{what} is {value}, which is no number")
    if -exponent > _MAX_SCALE and any(digits[_MAX_SCALE + exponent :]):
        raise BadPayloadError(f"{what} {value} has more than {_MAX_SCALE} decimals")
    if len(digits) + exponent > _MAX_DIGITS - _MAX_SCALE:
        raise BadPayloadError(f"{what} {value} is too large to be stored")
