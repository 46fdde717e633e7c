"""Binance's past: from its archive where that has a day, over REST for the rest.

Belongs here: which of the two a day is taken from. Does not: either of them (dumps/, history_candles, history_context,
history_trades).

A day that the archive has not published comes over REST. One whose file is unsound (its checksum, what is in it), or does not
come, does so too, and says so in its flags: it should be looked at. When REST has not got the whole of such a day either, the
archive's error is the day's, so that it is asked for again and nothing stands in for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from types import TracebackType
from typing import Protocol, Self, TypeVar

import polars as pl

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import ExchangeError, MarketPlatformError, NotPublishedError, UnknownSymbolError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import Interval
from market_platform.domain.trades import Trades
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.history_candles import candle_days
from market_platform.exchanges.binance.history_context import funding_days, open_interest_days
from market_platform.exchanges.binance.history_rest import HistoryRest
from market_platform.exchanges.binance.history_trades import trade_days
from market_platform.exchanges.history import NoHistory

Rows = TypeVar("Rows")


class BinanceArchive(Protocol):
    """The fast path, open already: the same series, days that it has no file of failing with `NotPublishedError`."""

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource.candles`."""
        ...

    async def funding(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[Funding, ...]]:
        """See `HistorySource.funding`."""
        ...

    async def open_interest(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[OpenInterest, ...]]:
        """See `HistorySource.open_interest`."""
        ...

    async def trades(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[Trades]:
        """See `HistorySource.trades`."""
        ...


class BinanceHistory(NoHistory):
    """See `HistorySource`; use as an async context manager. `archive` is asked first, where there is one."""

    def __init__(self, config: BinanceConfig, clock: Clock = utc_now, archive: BinanceArchive | None = None) -> None:
        self._rest = HistoryRest(config, clock)
        self._archive = archive

    async def __aenter__(self) -> Self:
        await self._rest.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._rest.__aexit__(kind, error, trace)

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource.candles`."""
        archive = self._archive
        return await _from_both(
            days,
            None if archive is None else lambda asked: archive.candles(pair, interval, asked),
            lambda asked: candle_days(self._rest, pair, interval, asked),
        )

    async def funding(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[Funding, ...]]:
        """See `HistorySource.funding`. Over REST with the mark price at which it was charged, where Binance says it."""
        archive = self._archive
        return await _from_both(
            days,
            None if archive is None else lambda asked: archive.funding(pair, asked),
            lambda asked: funding_days(self._rest, pair, asked),
        )

    async def open_interest(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[OpenInterest, ...]]:
        """See `HistorySource.open_interest`: every five minutes, over REST of the latest month only."""
        archive = self._archive
        return await _from_both(
            days,
            None if archive is None else lambda asked: archive.open_interest(pair, asked),
            lambda asked: open_interest_days(self._rest, pair, asked),
        )

    async def trades(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[Trades]:
        """See `HistorySource.trades`: aggregates, as the stream numbers them."""
        archive = self._archive
        return await _from_both(
            days,
            None if archive is None else lambda asked: archive.trades(pair, asked),
            lambda asked: trade_days(self._rest, pair, asked),
        )


async def _from_both(
    days: Sequence[date],
    ask_archive: Callable[[Sequence[date]], Awaitable[HistoryDays[Rows]]] | None,
    ask_rest: Callable[[Sequence[date]], Awaitable[HistoryDays[Rows]]],
) -> HistoryDays[Rows]:
    """The archive's days that are whole, and REST's word on all others."""
    if ask_archive is None or not days:
        return await _answered(days, ask_rest)
    archived = await _archived(days, ask_archive)
    whole = [each for each in archived.days if each.condition is Condition.AVAILABLE]
    partial = {each.day: each for each in archived.days if each.condition is not Condition.AVAILABLE}
    left = sorted({*partial, *archived.failures})
    if not left:
        return archived
    asked = await _answered(left, ask_rest, is_known=bool(archived.days))
    found, failures = list(whole), dict(asked.failures)
    for day in asked.days:
        judged = _judged(day, partial.get(day.day), archived.failures.get(day.day))
        if isinstance(judged, HistoryDay):
            found.append(judged)
        else:
            failures[day.day] = judged
    for at, error in asked.failures.items():
        if at in partial and not error.retryable:
            kept = partial[at]
            found.append(replace(kept, flags=(*kept.flags, f"REST could not be asked for the rest of it: {error}")))
            del failures[at]
    return HistoryDays(tuple(sorted(found, key=lambda each: each.day)), failures)


async def _archived(
    days: Sequence[date], ask_archive: Callable[[Sequence[date]], Awaitable[HistoryDays[Rows]]]
) -> HistoryDays[Rows]:
    """What the archive says; when it refuses the question, it has none of the days."""
    try:
        return await ask_archive(days)
    except UnknownSymbolError as error:
        return HistoryDays((), dict.fromkeys(days, NotPublishedError(str(error))))
    except ExchangeError as error:
        return HistoryDays((), dict.fromkeys(days, error))


async def _answered(
    days: Sequence[date],
    ask_rest: Callable[[Sequence[date]], Awaitable[HistoryDays[Rows]]],
    *,
    is_known: bool = False,
) -> HistoryDays[Rows]:
    """What REST says; when it does not answer at all, every day fails.

    A contract that has ended is unknown to REST and has its days in the archive: `is_known` says that it has some.

    Raises:
        UnknownSymbolError: neither knows the symbol.
    """
    try:
        return await ask_rest(days)
    except UnknownSymbolError as error:
        if not is_known:
            raise
        return HistoryDays((), dict.fromkeys(days, error))
    except ExchangeError as error:
        return HistoryDays((), dict.fromkeys(days, error))


def _judged(
    day: HistoryDay[Rows], partial: HistoryDay[Rows] | None, error: MarketPlatformError | None
) -> HistoryDay[Rows] | MarketPlatformError:
    """REST's day beside what the archive has of it, or the error that the archive had."""
    if partial is not None:
        if day.condition is not Condition.AVAILABLE and day.count <= partial.count:
            return partial
        told = f"the archive has {partial.count} rows of the day ({partial.condition}); these are REST's {day.count}"
        return replace(day, flags=(*day.flags, told))
    if error is None or isinstance(error, NotPublishedError):
        return day
    if day.condition is not Condition.AVAILABLE:
        return error
    return replace(day, flags=(*day.flags, f"the archive failed, these are REST's: {error}"))
