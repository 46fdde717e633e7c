"""The version of every day that an export read, so that it can be said later what changed.

Belongs here: days of each input, their versions and conditions. Does not: rows (reading.py), comparing (reproduce.py).

A day of candles has its version in `candle_days`; it is of the whole day, also where the span takes a part. Funding, open
interest and features have none that every writer keeps, so their version is a hash of the day's values as they were read: of
the joined rows in a merged set, of doubles in a float64 export.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, cast

import numpy as np
import polars as pl
from sqlalchemy import Connection

from market_platform.domain.clock import days_between, from_ms, to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import DAY_MS, Interval, bucket_end, bucket_start
from market_platform.warehouse.candle_days import load_candle_days
from market_platform.warehouse.history_days import DaySeries, load_history_days

UNKNOWN = "unknown"
"""The condition of a day that nobody ever wrote."""


@dataclass(frozen=True, slots=True)
class InputDays:
    """What an export read of one series: ISO day → version, and ISO day → what is to be said of a day that is not available."""

    series: str
    version_of: str
    days: Mapping[str, str]
    not_available: Mapping[str, Mapping[str, str]]
    conditions: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the JSON beside a file."""
        return {
            "series": self.series,
            "version_of": self.version_of,
            "conditions": dict(self.conditions),
            "days": dict(self.days),
            "not_available": {day: dict(told) for day, told in self.not_available.items()},
        }


class DayHashes:
    """Versions of days by their values, as frames come by."""

    def __init__(self, columns: Sequence[str], present: str) -> None:
        self._columns = columns
        self._present = present
        self._hashes: dict[int, Any] = {}

    def add(self, frame: pl.DataFrame) -> None:
        """Take in the frame's rows that have `present`; `time` is in ms, sorted."""
        rows = frame if not frame[self._present].null_count() else frame.drop_nulls(self._present)
        if not rows.height:
            return
        days = rows["time"].to_numpy() // DAY_MS
        starts = np.flatnonzero(np.concatenate(([True], days[1:] != days[:-1])))
        ends = np.append(starts[1:], rows.height)
        parts = [part for name in ("time", *self._columns) for part in _bytes_of(rows[name])]
        for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
            digest = self._hashes.setdefault(int(days[first]), hashlib.sha256())
            for part in parts:
                digest.update(part[first:last])

    def versions(self) -> dict[str, str]:
        """ISO day → hash."""
        return {from_ms(day * DAY_MS).date().isoformat(): each.hexdigest()[:32] for day, each in self._hashes.items()}


def candle_input(
    conn: Connection, starlisting_id: int, interval: Interval, start: datetime, end: datetime
) -> InputDays:
    """The days of candles that open in [start, end)."""
    days = candle_days_of(interval, start, end)
    stored = load_candle_days(conn, starlisting_id, days[0], days[-1]) if days else {}
    conditions = {day: stored[day].condition.value if day in stored else UNKNOWN for day in days}
    return InputDays(
        f"candles_{interval.name}",
        "candle_days.data_version",
        {day.isoformat(): stored[day].data_version for day in days if day in stored and stored[day].rows},
        _not_available(conditions, {}),
        Counter(conditions.values()),
    )


def hashed_input(series: str, hashes: DayHashes, conditions: Mapping[date, tuple[str, str]]) -> InputDays:
    """Days whose versions are hashes of their values; `conditions` says condition and reason of the days known to have one."""
    return InputDays(
        series,
        "sha256 of the day's values as read",
        hashes.versions(),
        _not_available(
            {day: condition for day, (condition, _) in conditions.items()},
            {day: reason for day, (_, reason) in conditions.items()},
        ),
        Counter(condition for condition, _ in conditions.values()),
    )


def pair_conditions(
    conn: Connection, trading_pair_id: int, series: str, start: datetime, end: datetime, filled: Mapping[str, str]
) -> dict[date, tuple[str, str]]:
    """Condition and reason of each day of a pair's series; a streamed day with rows has none, one without any is unknown."""
    days = days_between(start.date(), (end - timedelta(milliseconds=1)).date())
    stored = load_history_days(conn, trading_pair_id, cast(DaySeries, series), days[0], days[-1])
    told: dict[date, tuple[str, str]] = {}
    for day in days:
        if day in stored:
            told[day] = (stored[day].condition.value, stored[day].reason)
        elif day.isoformat() not in filled:
            told[day] = (UNKNOWN, "")
    return told


def candle_days_of(interval: Interval, start: datetime, end: datetime) -> list[date]:
    """The days by which `candle_days` keeps candles that open in [start, end): for weeks and months their first."""
    if interval.is_intraday:
        return days_between(start.date(), (end - timedelta(milliseconds=1)).date())
    opened = bucket_start(to_ms(start), interval)
    days = []
    while opened < to_ms(end):
        if opened >= to_ms(start):
            days.append(from_ms(opened).date())
        opened = bucket_end(opened, interval)
    return days


def _not_available(conditions: Mapping[date, str], reasons: Mapping[date, str]) -> dict[str, dict[str, str]]:
    told = {}
    for day, condition in sorted(conditions.items()):
        if condition != Condition.AVAILABLE:
            reason = reasons.get(day)
            told[day.isoformat()] = {"condition": condition, "reason": reason} if reason else {"condition": condition}
    return told


def _bytes_of(column: pl.Series) -> tuple[Any, Any]:
    """A column's values, a row each of as many bytes as a value has, and which of them are NULL."""
    filled = column.fill_null(0) if column.null_count() else column
    array = filled.rechunk().to_arrow()
    width = array.type.bit_width // 8
    values = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * width :][: len(array) * width]
    return values.reshape(len(array), width), column.is_null().to_numpy().astype(np.uint8)
