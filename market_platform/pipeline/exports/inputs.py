"""The version of every day that an export read, so that it can be said later what changed.

Belongs here: days of each input, their versions and conditions. Does not: rows (reading.py), comparing (reproduce.py).

A day of candles has its version in `candle_days`; it is of the whole day, also where the span takes a part. Funding, open
interest and features have none that every writer keeps, so their version is a hash of the day's values as they were read: of
the joined rows in a merged set, of doubles in a float64 export.

Every day has a condition, which is of the whole day, too. No clock decides it, so that the same data says the same tomorrow.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sqlalchemy import Connection

from market_platform.domain.clock import days_between, from_ms, to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import DAY_MS, Interval, bucket_end, bucket_start
from market_platform.warehouse.candle_days import load_candle_days
from market_platform.warehouse.export_queries import ContextTable, find_days_with_rows
from market_platform.warehouse.history_days import load_history_days

UNKNOWN = "unknown"
"""The condition of a day that nobody ever wrote."""
_HASHED = "sha256 of the day's values as read"


class DayState(NamedTuple):
    """A day's condition, and why it is not available where somebody said why."""

    condition: str
    reason: str = ""


_STREAMED = DayState(Condition.PENDING.value, "streamed; no history of the day was fetched")


@dataclass(frozen=True, slots=True)
class InputDays:
    """What an export read of one series: ISO day → version of each day with rows, and ISO day → state of every day."""

    series: str
    version_of: str
    days: Mapping[str, str]
    states: Mapping[str, DayState]

    @property
    def conditions(self) -> dict[str, int]:
        """How many days are in which condition."""
        return dict(Counter(state.condition for _, state in sorted(self.states.items())))

    def as_json(self) -> dict[str, Any]:
        """For the JSON beside a file: of days that are available only their number and version."""
        return {
            "series": self.series,
            "version_of": self.version_of,
            "conditions": self.conditions,
            "days": dict(self.days),
            "not_available": {
                day: {name: told for name, told in state._asdict().items() if told}
                for day, state in sorted(self.states.items())
                if state.condition != Condition.AVAILABLE
            },
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
    return InputDays(
        f"candles_{interval.name}",
        "candle_days.data_version",
        {day.isoformat(): stored[day].data_version for day in days if day in stored and stored[day].rows},
        {day.isoformat(): DayState(stored[day].condition.value if day in stored else UNKNOWN) for day in days},
    )


def context_input(
    conn: Connection, trading_pair_id: int, series: ContextTable, start: datetime, end: datetime, hashes: DayHashes
) -> InputDays:
    """The days of a pair's funding or open interest. One that has rows of a stream and was never fetched is pending."""
    days = days_between(start.date(), (end - timedelta(milliseconds=1)).date())
    stored = load_history_days(conn, trading_pair_id, series, days[0], days[-1])
    streamed = find_days_with_rows(conn, series, trading_pair_id, [day for day in days if day not in stored])
    states = {}
    for day in days:
        if day in stored:
            states[day.isoformat()] = DayState(stored[day].condition.value, stored[day].reason)
        else:
            states[day.isoformat()] = _STREAMED if day in streamed else DayState(UNKNOWN)
    return InputDays(series, _HASHED, hashes.versions(), states)


def feature_input(candles: InputDays, hashes: DayHashes) -> InputDays:
    """The days of features, each in the condition of the candles that they are of; one without features is unknown."""
    versions = hashes.versions()
    states = {
        day: _as_candles(state) if day in versions else DayState(UNKNOWN) for day, state in candles.states.items()
    }
    return InputDays("features", _HASHED, versions, states)


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


def _as_candles(state: DayState) -> DayState:
    return state if state.condition == Condition.AVAILABLE else DayState(state.condition, "as its candles")


def _bytes_of(column: pl.Series) -> tuple[Any, Any]:
    """A column's values, a row each of as many bytes as a value has, and which of them are NULL."""
    filled = column.fill_null(0) if column.null_count() else column
    array = filled.rechunk().to_arrow()
    width = array.type.bit_width // 8
    values = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * width :][: len(array) * width]
    return values.reshape(len(array), width), column.is_null().to_numpy().astype(np.uint8)
