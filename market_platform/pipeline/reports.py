"""What pipeline functions report, one record a partition; orchestrators turn them into metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Self

import polars as pl

from market_platform.domain.conditions import Condition
from market_platform.domain.days import HourState
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.quality import TickAnomalies
from market_platform.warehouse.candle_days import CandleDay


@dataclass(frozen=True, slots=True)
class TickDayReport:
    """A day of ticks as committed. `data_version` is the content's hash; empty when the day has no ticks.

    `changed` is False when the day was already committed with the same content and condition. `kept` says why an
    earlier, better day was left in place, if it was. `outline` is a small candle frame (15m, mid) for the day's chart.
    """

    pair: str
    day: date
    condition: Condition
    rows: int
    bytes: int
    first_time: datetime | None
    last_time: datetime | None
    object_key: str | None
    data_version: str
    changed: bool
    duplicates: int = 0
    hours: Mapping[int, HourState] = field(default_factory=dict)
    anomalies: TickAnomalies = field(default_factory=TickAnomalies)
    kept: str | None = None
    outline: pl.DataFrame | None = None

    @property
    def incomplete_hours(self) -> list[int]:
        """Hours of the day (0–23) that are not yet published or absent."""
        return sorted(hour for hour, state in self.hours.items() if state in (HourState.UNPUBLISHED, HourState.ABSENT))

    @property
    def before_history(self) -> bool:
        """Whether there is nothing of the day because the pair's history begins after it."""
        return not self.rows and HourState.BEFORE_HISTORY in self.hours.values()


@dataclass(frozen=True, slots=True)
class CandleDayReport:
    """One interval's candles of one partition (`day` is the period's first day for 1w and 1M).

    `input_version` is of what it was built from (the ticks' hash, or that of a period's days); `ohlc_errors` and `uncovered_hours` (0–23) come from
    the checks every write runs; `outline` is the frame itself for the day's chart, None for intervals below 5m.
    """

    pair: str
    interval: str
    day: date
    condition: Condition
    rows: int
    changed_rows: int
    first_time: datetime | None
    last_time: datetime | None
    data_version: str
    revision: int
    input_version: str
    ohlc_errors: tuple[str, ...] = ()
    uncovered_hours: tuple[int, ...] = ()
    reason: str | None = None
    outline: pl.DataFrame | None = None

    @classmethod
    def of(
        cls, pair: TradingPair, interval: Interval, day: date, committed: CandleDay, ohlc_errors: tuple[str, ...]
    ) -> Self:
        """What a transaction committed, and what the checks of its candles found; the caller adds what else it knows."""
        return cls(
            pair=pair.name,
            interval=interval.name,
            day=day,
            condition=committed.condition,
            rows=committed.rows,
            changed_rows=committed.changed_rows,
            first_time=committed.first_time,
            last_time=committed.last_time,
            data_version=committed.data_version,
            revision=committed.revision,
            input_version=committed.input_version,
            ohlc_errors=ohlc_errors,
        )


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """A streamed day's ticks as one file. `kind` is `trades` or `ticks`; `content_hash` is empty when the day has none.

    `parts` counts the parts merged in this run, `duplicates` the ticks that were in several of them (or in the file there was),
    `gaps` the gaps of the day that are open or can't be repaired. `changed` is False when the day was committed already with
    the same content.
    """

    pair: str
    day: date
    kind: str
    condition: Condition
    rows: int
    bytes: int
    parts: int
    duplicates: int
    first_time: datetime | None
    last_time: datetime | None
    object_key: str | None
    content_hash: str
    changed: bool
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class MinuteDifference:
    """One value in which our candle and the exchange's own differ."""

    time: datetime
    side: str
    field: str
    ours: Decimal | None
    theirs: Decimal | None


@dataclass(frozen=True, slots=True)
class ExchangeComparison:
    """A day's minute candles at bid and ask, built from our ticks, against the exchange's own."""

    pair: str
    day: date
    compared: int
    differences: tuple[MinuteDifference, ...]

    @property
    def equal(self) -> bool:
        """Whether not one value differs."""
        return not self.differences
