"""The lake in numbers, a row a symbol: ticks, days, bytes, and which expected days are not there.

The lake holds no file for a day without ticks, and it doesn't know an exchange's holidays: which days are expected is the
caller's to say. Without it, Mondays to Fridays between a symbol's first and last day count, which calls every holiday a
gap; `expected` says which rule was used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from market_platform.domain.clock import days_between
from market_platform.lake.survey import Survey, SurveyedDay

ExpectedDays = Callable[[str, str, date, date], Iterable[date]]
"""Days of (exchange, symbol, first, last) that should have ticks, both ends included."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Expected days without a file, from `first` to `last`; `days` counts them (unexpected days between do not end a gap)."""

    first: date
    last: date
    days: int


@dataclass(frozen=True, slots=True)
class SymbolStatistics:
    """One exchange's symbol. `bytes` counts the current files; times are ms, UTC; `conditions` counts days.

    `superseded_bytes` is what older files of its days still take.
    """

    exchange: str
    symbol: str
    days: int
    ticks: int
    bytes: int
    superseded_bytes: int
    first_day: date
    last_day: date
    first_ms: int
    last_ms: int
    conditions: dict[str, int]
    gaps: tuple[Gap, ...]
    expected: str

    @property
    def bytes_per_tick(self) -> float:
        """Mean size of a tick, descriptions included."""
        return self.bytes / self.ticks if self.ticks else 0.0

    @property
    def days_missing(self) -> int:
        """Expected days without a file."""
        return sum(gap.days for gap in self.gaps)


def symbol_statistics(found: Survey, expected_days: ExpectedDays | None = None) -> list[SymbolStatistics]:
    """Statistics of every exchange's symbol in a survey, sorted by exchange and symbol."""
    by_symbol: dict[tuple[str, str], list[SurveyedDay]] = defaultdict(list)
    for file in found.current:
        by_symbol[file.exchange, file.symbol].append(file)
    superseded: dict[tuple[str, str], int] = defaultdict(int)
    for file in found.superseded:
        superseded[file.exchange, file.symbol] += file.bytes
    rows = []
    for (exchange, symbol), files in sorted(by_symbol.items()):
        days = [file.day for file in files]
        first, last = min(days), max(days)
        expected = expected_days(exchange, symbol, first, last) if expected_days else weekdays(first, last)
        conditions: dict[str, int] = defaultdict(int)
        for file in files:
            conditions[file.condition.value] += 1
        rows.append(
            SymbolStatistics(
                exchange=exchange,
                symbol=symbol,
                days=len(files),
                ticks=sum(file.rows for file in files),
                bytes=sum(file.bytes for file in files),
                superseded_bytes=superseded[exchange, symbol],
                first_day=first,
                last_day=last,
                first_ms=min(file.first_ms for file in files),
                last_ms=max(file.last_ms for file in files),
                conditions=dict(sorted(conditions.items())),
                gaps=find_gaps(days, expected),
                expected="calendar" if expected_days else "weekdays",
            )
        )
    return rows


def weekdays(first: date, last: date) -> list[date]:
    """Mondays to Fridays, both ends included."""
    return [day for day in days_between(first, last) if day.weekday() < 5]


def find_gaps(present: Iterable[date], expected: Iterable[date]) -> tuple[Gap, ...]:
    """Runs of expected days that are not present, in order."""
    there = set(present)
    gaps: list[Gap] = []
    open_run: list[date] = []
    for day in sorted(expected):
        if day not in there:
            open_run.append(day)
        elif open_run:
            gaps.append(Gap(open_run[0], open_run[-1], len(open_run)))
            open_run = []
    if open_run:
        gaps.append(Gap(open_run[0], open_run[-1], len(open_run)))
    return tuple(gaps)
