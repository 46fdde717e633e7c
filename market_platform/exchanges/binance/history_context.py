"""Days of funding rates and open interest of USD-M contracts over REST.

Belongs here: which pages to ask for, and what such a day must be like. Does not: one page (history_pages).

Funding: contracts are funded every 8, 4 or 1 hours, and change from one to another, so 00:00, 08:00 and 16:00 UTC are due on
every day since the first funding, and so is what a regular row of rates lacks within. Open interest: every five minutes, of
the latest month only; who wants more takes it from the archive.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import date
from functools import partial
from itertools import pairwise
from typing import TypeVar

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, BadRequestError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, MINUTE_MS
from market_platform.exchanges.binance.history_days import (
    Gathered,
    Pages,
    by_span,
    gather,
    over_and_pending,
    pending_days,
    told_times,
)
from market_platform.exchanges.binance.history_pages import INTEREST_MS, Window, funding_page, open_interest_page
from market_platform.exchanges.binance.history_rest import HistoryRest, market_of, wire_symbol
from market_platform.exchanges.binance.transport import Question
from market_platform.exchanges.day_rows import blocks_of
from market_platform.exchanges.json_rest import Allowance

Row = TypeVar("Row", Funding, OpenInterest)

HOUR_MS = 60 * MINUTE_MS
FUNDING_MS = 8 * HOUR_MS
"""However often a contract is funded, it is at these, too."""
INTEREST_KEPT_MS = 30 * DAY_MS
_FUNDING_ROWS, _FUNDING_DAYS = 1000, 31
"""A page, and days that fit into one even if funded every hour."""
_INTEREST_ROWS = 500
_FUNDING_ALLOWANCE = Allowance(500, 300.0)
_INTEREST_ALLOWANCE = Allowance(1000, 300.0)


async def funding_days(rest: HistoryRest, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[Funding, ...]]:
    """See `HistorySource.funding`.

    Raises:
        BadRequestError: spot has none.
        UnknownSymbolError: Binance does not know the symbol.
    """
    _require_contract(pair, "funding rates")
    over, pending = over_and_pending(days, await rest.now_ms(pair))

    async def fetch(span: Sequence[date]) -> list[HistoryDay[tuple[Funding, ...]]]:
        def holes(there: Iterable[int]) -> list[int]:
            return _funding_holes(span, there)

        async def ask(window: Window) -> Pages[Funding]:
            return await _funding_pages(rest, pair, window)

        return await _days(rest, pair, span, "funding rates", ask, holes)

    found = await by_span(blocks_of(over, _FUNDING_DAYS), fetch)
    return HistoryDays((*found.days, *pending_days(pending, ())), found.failures)


async def open_interest_days(
    rest: HistoryRest, pair: HistoryPair, days: Sequence[date]
) -> HistoryDays[tuple[OpenInterest, ...]]:
    """See `HistorySource.open_interest`.

    Raises:
        BadRequestError: spot has none.
        UnknownSymbolError: Binance does not know the symbol.
    """
    _require_contract(pair, "open interest")
    now = await rest.now_ms(pair)
    over, pending = over_and_pending(days, now)
    kept_from = now - INTEREST_KEPT_MS
    kept = [day for day in over if day_start_ms(day) > kept_from]
    reason = f"Binance keeps open interest for a month over REST: from {from_ms(kept_from):%Y-%m-%d %H:%M} UTC on"
    gone: list[HistoryDay[tuple[OpenInterest, ...]]] = [
        HistoryDay(day, (), 0, Condition.MISSING, reason=reason) for day in over if day not in kept
    ]

    async def fetch(span: Sequence[date]) -> list[HistoryDay[tuple[OpenInterest, ...]]]:
        start = day_start_ms(span[0])
        due = range(start, start + len(span) * DAY_MS, INTEREST_MS)

        def holes(there: Iterable[int]) -> list[int]:
            return sorted(set(due).difference(there))

        async def ask(window: Window) -> Pages[OpenInterest]:
            return await _interest_pages(rest, pair, window)

        return await _days(rest, pair, span, "open interest", ask, holes)

    found = await by_span([[day] for day in kept], fetch)
    return HistoryDays((*gone, *found.days, *pending_days(pending, ())), found.failures)


async def _funding_pages(rest: HistoryRest, pair: HistoryPair, window: Window) -> Pages[Funding]:
    """The rates of a window, page after page until one is empty: nothing else says that there are no more."""
    pages: Pages[Funding] = []
    cursor = -(-window.start_ms // MINUTE_MS) * MINUTE_MS
    while cursor < window.end_ms:
        asked = Window(cursor, window.end_ms, _FUNDING_ROWS)
        question = Question(
            f"{pair.name} funding rates, page from {from_ms(cursor):%Y-%m-%d %H:%M}",
            "/fundingRate",
            1,
            {"symbol": wire_symbol(pair), "startTime": cursor, "endTime": window.end_ms - 1, "limit": _FUNDING_ROWS},
            allowance=_FUNDING_ALLOWANCE,
        )
        rows, answer = await rest.page(market_of(pair), question, partial(funding_page, wire_symbol(pair), asked))
        pages.append(({each.time_ms: each for each in rows if each.time_ms is not None}, answer))
        if not rows:
            break
        cursor = max(pages[-1][0]) + MINUTE_MS
    return pages


async def _interest_pages(rest: HistoryRest, pair: HistoryPair, window: Window) -> Pages[OpenInterest]:
    """The readings of a window of no more than a day."""
    first = -(-window.start_ms // INTEREST_MS) * INTEREST_MS
    asked = Window(first, window.end_ms, min(_INTEREST_ROWS, max(1, -(-(window.end_ms - first) // INTEREST_MS))))
    question = Question(
        f"{pair.name} open interest, page from {from_ms(first):%Y-%m-%d %H:%M}",
        "/openInterestHist",
        1,
        {
            "symbol": wire_symbol(pair),
            "period": "5m",
            "startTime": first,
            "endTime": window.end_ms - 1,
            "limit": asked.limit,
        },
        api="/futures/data",
        allowance=_INTEREST_ALLOWANCE,
    )
    read = partial(open_interest_page, wire_symbol(pair), asked)
    rows, answer = await rest.page(market_of(pair), question, read)
    return [({each.time_ms: each for each in rows if each.time_ms is not None}, answer)]


def _funding_holes(span: Sequence[date], there: Iterable[int]) -> list[int]:
    """The times of 8 hours, and those that a regular row of rates lacks between two of its like."""
    times = sorted(there)
    start = day_start_ms(span[0])
    due = set(range(start, start + len(span) * DAY_MS, FUNDING_MS))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for index in range(1, len(gaps) - 1):
        before, gap, after = gaps[index - 1 : index + 2]
        if before == after < gap and gap % before == 0:
            due.update(range(times[index] + before, times[index + 1], before))
    return sorted(due.difference(times))


async def _days(
    rest: HistoryRest,
    pair: HistoryPair,
    span: Sequence[date],
    series: str,
    ask: Callable[[Window], Awaitable[Pages[Row]]],
    holes: Callable[[Iterable[int]], list[int]],
) -> list[HistoryDay[tuple[Row, ...]]]:
    """Days that follow each other."""
    start = day_start_ms(span[0])
    end = start + len(span) * DAY_MS
    try:
        found = await gather([Window(start, end, _FUNDING_ROWS)], ask, holes, end - start)
    except BadPayloadError as error:
        told = f"{span[0]}" if len(span) == 1 else f"{span[0]} to {span[-1]}"
        raise BadPayloadError(f"{pair.name} {series} of {told}: {error}") from None
    missing = holes(found.rows)
    listed = (await rest.listed_ms(pair) or 0) if missing else 0
    missing = [each for each in missing if each >= listed]
    return [_day(day, series, found, [each for each in missing if _is_of(day, each)], listed) for day in span]


def _day(
    day: date, series: str, found: Gathered[Row], missing: Sequence[int], listed_ms: int
) -> HistoryDay[tuple[Row, ...]]:
    rows = tuple(found.rows[each] for each in sorted(found.rows) if _is_of(day, each))
    if rows and not missing:
        reason, condition = "", Condition.AVAILABLE
    elif rows:
        reason, condition = f"Binance has no {series} at {told_times(missing)}", Condition.DEGRADED
    elif missing:
        reason, condition = f"Binance has no {series} of the day", Condition.MISSING
    else:
        reason = f"before the market's first candle, which opens on {from_ms(listed_ms):%Y-%m-%d %H:%M} UTC"
        condition = Condition.MISSING
    return HistoryDay(day, rows, len(rows), condition, tuple(missing), reason, inputs=found.inputs_of(day))


def _is_of(day: date, ms: int) -> bool:
    return 0 <= ms - day_start_ms(day) < DAY_MS


def _require_contract(pair: HistoryPair, series: str) -> None:
    if market_of(pair) != "usdm":
        raise BadRequestError(f"{pair.name}: only perpetuals have {series}", code="no_history")
