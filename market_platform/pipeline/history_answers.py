"""Asking an exchange's past in parts, and judging what it said of each day: what every series' pipeline shares.

Belongs here: parts of a range, the next question while an answer is kept, failures by day. Does not: how the rows of a series
are kept (history_candles.py, history_context.py, history_trades.py).

A range is asked for month by month, because monthly files and pages hold many days; an answer is memory, so no more than
one is held beside the one that is being written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import TypeVar

from market_platform.domain.errors import BadPayloadError, DayFailedError, MarketPlatformError
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair, SeriesKind
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.history import HistorySource
from market_platform.pipeline.day_failures import raise_failed, write_apart
from market_platform.pipeline.platform import Platform

DAYS_IN_TRANSACTION = 31

Question = TypeVar("Question", bound=Interval | SeriesKind)
Rows = TypeVar("Rows")
Report = TypeVar("Report")
Answers = AsyncIterator[tuple[Question, HistoryDays[Rows]]]


def asked_pair(pair: TradingPair) -> HistoryPair:
    """The pair as a history is asked for it."""
    return HistoryPair(pair.exchange, pair.symbol, pair.coin, pair.quote, pair.market_type)


def by_month(days: Sequence[date]) -> list[list[date]]:
    """The days, sorted and each once, in parts of one month each."""
    parts: list[list[date]] = []
    for day in sorted(set(days)):
        if parts and (parts[-1][-1].year, parts[-1][-1].month) == (day.year, day.month):
            parts[-1].append(day)
        else:
            parts.append([day])
    return parts


async def kept_answers(
    platform: Platform,
    pair: TradingPair,
    questions: Sequence[tuple[Question, Sequence[date]]],
    ask: Callable[[HistorySource, Question, Sequence[date]], Awaitable[HistoryDays[Rows]]],
    keep: Callable[[Question, Sequence[HistoryDay[Rows]]], list[Report]],
    on_report: Callable[[Report], None],
    *,
    what: str,
    days_together: int = DAYS_IN_TRANSACTION,
) -> list[Report]:
    """Ask each question of the pair's exchange, and `keep` what comes in a thread, so many days in one transaction.

    A question (an interval, or a series) names the layer that its failures are of. `on_report` hears of each report that `keep`
    made once it is committed.

    Raises:
        DayFailedError: after everything was tried, naming the days that could not be fetched or kept, and `what` they are of.
        ConfigError: the exchange can't be asked.
    """
    reports: list[Report] = []
    failures = Failures()
    async with platform.open_history(pair) as source:
        async for question, answer in answers(questions, partial(ask, source)):
            fail = partial(failures.add, str(question))
            fail(answer.failures)
            for first in range(0, len(answer.days), days_together):
                batch = answer.days[first : first + days_together]
                for report in await asyncio.to_thread(write_apart, batch, partial(keep, question), fail):
                    reports.append(report)
                    on_report(report)
    failures.raise_for(what, len({day for _, part in questions for day in part}))
    return reports


async def answers(
    questions: Sequence[tuple[Question, Sequence[date]]],
    ask: Callable[[Question, Sequence[date]], Awaitable[HistoryDays[Rows]]],
) -> Answers[Question, Rows]:
    """The answer to each question in turn; the next is on its way while the caller works on the one before.

    What a source raises is the failure of all days it was asked for; a day of which it said nothing fails, too.
    """
    upcoming: asyncio.Task[HistoryDays[Rows]] | None = None
    try:
        for index, (question, days) in enumerate(questions):
            current = upcoming or asyncio.ensure_future(_asked(question, days, ask))
            upcoming = None
            answer = await current
            if index + 1 < len(questions):
                upcoming = asyncio.ensure_future(_asked(*questions[index + 1], ask))
            yield question, answer
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.wait([upcoming])


async def _asked(
    question: Question,
    days: Sequence[date],
    ask: Callable[[Question, Sequence[date]], Awaitable[HistoryDays[Rows]]],
) -> HistoryDays[Rows]:
    try:
        answer = await ask(question, days)
    except MarketPlatformError as error:
        return HistoryDays((), dict.fromkeys(days, error))
    told = {each.day: each for each in answer.days}
    unknown = [each for each in (*told, *answer.failures) if each not in days]
    if unknown or len(told) != len(answer.days):
        wrong = BadPayloadError(
            f"the source answered for {min(unknown, default=days[0])}, which was not asked or twice"
        )
        return HistoryDays((), dict.fromkeys(days, wrong))
    silent = {day: BadPayloadError("the source said nothing of the day") for day in days if day not in told}
    ordered: list[HistoryDay[Rows]] = [told[day] for day in sorted(told) if day not in answer.failures]
    return HistoryDays(tuple(ordered), {**silent, **answer.failures})


class Failures:
    """What failed of which day, one entry a layer (an interval, or the series), so that one bad layer hides no other."""

    def __init__(self) -> None:
        self._found: dict[date, dict[str, Exception]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, layer: str, failures: Mapping[date, Exception]) -> None:
        """Note failed days of a layer; the first error of a day is the one that counts."""
        for day, error in failures.items():
            self._found.setdefault(day, {}).setdefault(layer, error)

    def raise_for(self, what: str, days: int) -> None:
        """Nothing when every day came.

        Raises:
            DayFailedError: naming the days that failed; a retry helps when it helps every one of them.
        """
        raise_failed(what, {day: _together(by_layer) for day, by_layer in self._found.items()}, days)


def _together(by_layer: Mapping[str, Exception]) -> Exception:
    """The errors of a day as one that names the layers; the same error of several layers is said once."""
    layers: dict[str, list[str]] = {}
    for layer, error in by_layer.items():
        layers.setdefault(str(error), []).append(layer)
    if len(layers) == 1 and len(by_layer) == 1:
        return next(iter(by_layer.values()))
    message = "; ".join(f"{', '.join(names)}: {text}" for text, names in layers.items())
    return DayFailedError(message, failures=dict(by_layer))
