"""From pages to days: rows by their time, holes asked for again, each day with its own pages and failures.

Belongs here: what candles, funding and open interest share. Does not: what is asked, and what a series expects.

A page may be short although more follows, and may lack rows in its middle, by a fault of a server or because there are none.
So what is missing is asked for again, as long as that brings rows; only what Binance has twice answered without is missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Generic, TypeVar

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeError,
    ExchangeUnavailableError,
    MarketPlatformError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryDay, HistoryDays, RawInput
from market_platform.domain.intervals import DAY_MS
from market_platform.exchanges.binance.history_pages import Window

Row = TypeVar("Row")
Rows = TypeVar("Rows")
Pages = list[tuple[dict[int, Row], RawInput]]
"""Rows by their time, and the answer they came in."""

_MOST_ROUNDS = 20
_HOPELESS_AFTER = 3
"""Spans that fail one after the other before the rest of a range is not asked for any more."""


@dataclass(slots=True)
class Gathered(Generic[Row]):
    """Rows by their time, and the answers they came in with the times of each."""

    rows: dict[int, Row] = field(default_factory=dict)
    answers: list[tuple[RawInput, frozenset[int]]] = field(default_factory=list)

    def add(self, pages: Pages[Row]) -> int:
        """Take pages in; returns how many of their rows are new.

        Raises:
            BadPayloadError: a row differs from what an earlier page had at its time.
        """
        before = len(self.rows)
        for rows, answer in pages:
            for time, row in rows.items():
                if self.rows.setdefault(time, row) != row:
                    raise BadPayloadError(
                        f"two pages differ at {from_ms(time):%Y-%m-%d %H:%M} UTC; the second one is {answer.name}"
                    )
            self.answers.append((answer, frozenset(rows)))
        return len(self.rows) - before

    def inputs_of(self, day: date) -> tuple[RawInput, ...]:
        """The answers that the day's rows came in, with how many of its rows each had; all of them for a day without rows."""
        start = day_start_ms(day)
        of_day = [(answer, sum(start <= each < start + DAY_MS for each in times)) for answer, times in self.answers]
        used = [replace(answer, rows=count) for answer, count in of_day if count]
        return tuple(used or [answer for answer, _ in of_day])


async def gather(
    windows: Sequence[Window],
    ask: Callable[[Window], Awaitable[Pages[Row]]],
    holes: Callable[[Iterable[int]], list[int]],
    longest_ms: int,
) -> Gathered[Row]:
    """The rows of adjoining windows, complete as far as Binance has them.

    `holes` says at which times rows are due that are not among those given; a window of no more than `longest_ms` around
    them is asked for again.

    Raises:
        ExchangeError: whatever `ask` raises.
        BadPayloadError: pages contradict each other, or keep leaving out rows that the next one has.
    """
    found: Gathered[Row] = Gathered()
    for window in windows:
        found.add(await ask(window))
    limit = max(each.limit for each in windows)
    for _ in range(_MOST_ROUNDS):
        missing = holes(found.rows)
        if not missing:
            return found
        start = max((each + 1 for each in found.rows if each < missing[0]), default=windows[0].start_ms)
        end = min((each for each in found.rows if each > missing[-1]), default=windows[-1].end_ms)
        start = max(start, windows[0].start_ms)
        fresh = 0
        for at in range(start, end, longest_ms):
            fresh += found.add(await ask(Window(at, min(at + longest_ms, end), limit)))
        if not fresh:
            return found
    raise BadPayloadError(f"after {_MOST_ROUNDS} pages there are still rows that the page before left out")


async def by_span(
    spans: Sequence[Sequence[date]], fetch: Callable[[Sequence[date]], Awaitable[list[HistoryDay[Rows]]]]
) -> HistoryDays[Rows]:
    """The days of all spans. A span that has something wrong in it is asked for day by day, so that one day fails alone.

    Raises:
        UnknownSymbolError: Binance does not know the symbol, so no day of it.
    """
    days: list[HistoryDay[Rows]] = []
    failures: dict[date, MarketPlatformError] = {}
    hopeless, last = 0, ""
    for span in spans:
        if hopeless >= _HOPELESS_AFTER:
            skipped = ExchangeUnavailableError(
                f"not asked for after {hopeless} failures in a row, the last being: {last}"
            )
            failures |= dict.fromkeys(span, skipped)
            continue
        try:
            days += await fetch(span)
            hopeless = 0
        except UnknownSymbolError:
            raise
        except BadPayloadError as error:
            hopeless = 0
            if len(span) == 1:
                failures[span[0]] = error
                continue
            alone = await by_span([[day] for day in span], fetch)
            days += alone.days
            failures |= alone.failures
        except ExchangeError as error:
            hopeless, last = hopeless + 1, str(error)
            failures |= dict.fromkeys(span, error)
    return HistoryDays(tuple(sorted(days, key=lambda each: each.day)), failures)


def over_and_pending(days: Sequence[date], now_ms: int) -> tuple[list[date], list[date]]:
    """The days that are over by that clock, and those that are not."""
    over = [day for day in sorted(set(days)) if day_start_ms(day) + DAY_MS <= now_ms]
    return over, sorted(set(days) - set(over))


def pending_days(days: Sequence[date], nothing: Rows) -> list[HistoryDay[Rows]]:
    """Days that Binance has not ended yet; there are none but around midnight."""
    reason = "the day is not over by Binance's clock"
    return [HistoryDay(day, nothing, 0, Condition.PENDING, reason=reason) for day in days]


def told_times(times: Sequence[int]) -> str:
    """Times of a day in words, the first few of them."""
    shown = ", ".join(f"{from_ms(each):%H:%M}" for each in times[:5])
    return f"{shown} and {len(times) - 5} more" if len(times) > 5 else shown
