"""The lake in numbers, a row a symbol and kind: ticks, days, bytes, and which expected days are not there.

The lake holds no file for a day without ticks, and it doesn't know an exchange's holidays: which days are expected is the
caller's to say. Without it, days between a symbol's first and last count: of quotes Mondays to Fridays, which calls every
holiday a gap, and of trades all, as only exchanges that never close have them; `expected` says which rule was used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias, TypeVar

from market_platform.domain.clock import days_between
from market_platform.lake.survey import Survey, SurveyedDay, SurveyedPart
from market_platform.lake.trade_days import TRADE_DAYS

ExpectedDays = Callable[[str, str, date, date], Iterable[date]]
"""Days of (exchange, symbol, first, last) that should have ticks, both ends included."""
_Of: TypeAlias = tuple[str, str, str]
_F = TypeVar("_F", SurveyedDay, SurveyedPart)


@dataclass(frozen=True, slots=True)
class Gap:
    """Expected days without a file, from `first` to `last`; `days` counts them (unexpected days between do not end a gap)."""

    first: date
    last: date
    days: int


@dataclass(frozen=True, slots=True)
class SymbolStatistics:
    """One exchange's symbol. `ticks` are quotes or trades, by the `kind`; times are ms, UTC; `conditions` counts days.

    `bytes` counts the current files, `superseded_bytes` is what older files of its days still take.
    """

    exchange: str
    symbol: str
    kind: str
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


@dataclass(frozen=True, slots=True)
class WaitingParts:
    """A symbol's parts that no compaction has taken in yet: how many, of which days, and their bytes."""

    exchange: str
    symbol: str
    kind: str
    parts: int
    bytes: int
    first_day: date
    last_day: date


def symbol_statistics(found: Survey, expected_days: ExpectedDays | None = None) -> list[SymbolStatistics]:
    """Statistics of every exchange's symbol in a survey, sorted by exchange, symbol and kind."""
    superseded: dict[_Of, int] = defaultdict(int)
    for file in found.superseded:
        superseded[_of(file)] += file.bytes
    rows = []
    for (exchange, symbol, kind), files in _by_symbol(found.current):
        days = [file.day for file in files]
        first, last = min(days), max(days)
        if expected_days:
            rule, expected = "calendar", expected_days(exchange, symbol, first, last)
        elif kind == TRADE_DAYS.root:
            rule, expected = "every day", days_between(first, last)
        else:
            rule, expected = "weekdays", weekdays(first, last)
        rows.append(
            SymbolStatistics(
                exchange=exchange,
                symbol=symbol,
                kind=kind,
                days=len(files),
                ticks=sum(file.rows for file in files),
                bytes=sum(file.bytes for file in files),
                superseded_bytes=superseded[exchange, symbol, kind],
                first_day=first,
                last_day=last,
                first_ms=min(file.first_ms for file in files),
                last_ms=max(file.last_ms for file in files),
                conditions=dict(sorted(Counter(file.condition.value for file in files).items())),
                gaps=find_gaps(days, expected),
                expected=rule,
            )
        )
    return rows


def waiting_parts(found: Survey) -> list[WaitingParts]:
    """What waits for its compaction, sorted by exchange, symbol and kind."""
    rows = []
    for of, parts in _by_symbol(found.parts):
        days = [part.day for part in parts]
        rows.append(WaitingParts(*of, len(parts), sum(part.bytes for part in parts), min(days), max(days)))
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


def _by_symbol(files: Iterable[_F]) -> list[tuple[_Of, list[_F]]]:
    found: dict[_Of, list[_F]] = defaultdict(list)
    for file in files:
        found[_of(file)].append(file)
    return sorted(found.items(), key=lambda item: item[0])


def _of(file: SurveyedDay | SurveyedPart) -> _Of:
    """Exchange, symbol and kind."""
    return file.exchange, file.symbol, file.kind
