"""Days of Binance's own candles over REST.

Belongs here: which pages to ask for, and what a day of candles must be like. Does not: one page (history_pages).

Binance has no candle for minutes in which it stood still, and flat ones for minutes without a trade. A candle that it answers
without, twice, is missing, and its day degraded. What is before a market's first candle was never due.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from market_platform.domain.candles import CANDLE_SCHEMA, PRICE_COLUMNS
from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, BadRequestError
from market_platform.domain.events import Candle
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, Interval
from market_platform.exchanges.binance.history_days import (
    Gathered,
    Pages,
    by_span,
    gather,
    over_and_pending,
    pending_days,
    told_times,
)
from market_platform.exchanges.binance.history_pages import Window, candle_page
from market_platform.exchanges.binance.history_rest import HistoryRest, market_of, wire_symbol
from market_platform.exchanges.binance.rest import KLINES_A_PAGE, klines_weight
from market_platform.exchanges.binance.transport import Question
from market_platform.exchanges.day_rows import blocks_of


async def candle_days(
    rest: HistoryRest, pair: HistoryPair, interval: Interval, days: Sequence[date]
) -> HistoryDays[pl.DataFrame]:
    """See `HistorySource.candles`.

    Raises:
        BadRequestError: the interval is longer than a day.
        UnknownSymbolError: Binance does not know the symbol.
    """
    if not interval.is_intraday:
        raise BadRequestError(f"{pair.name}: {interval} candles are not asked for by days", code="invalid_timeframe")
    over, pending = over_and_pending(days, await rest.now_ms(pair))
    series = _Candles(rest, pair, interval)
    a_day = DAY_MS // interval.ms
    found = await by_span(blocks_of(over, max(1, KLINES_A_PAGE[market_of(pair)] // a_day)), series.fetch)
    return HistoryDays((*found.days, *pending_days(pending, _frame([]))), found.failures)


@dataclass(frozen=True, slots=True)
class _Candles:
    """One pair's candles of one interval."""

    rest: HistoryRest
    pair: HistoryPair
    interval: Interval

    async def fetch(self, span: Sequence[date]) -> list[HistoryDay[pl.DataFrame]]:
        """Days that follow each other."""
        start, end = day_start_ms(span[0]), day_start_ms(span[-1]) + DAY_MS
        due = range(start, end, self.interval.ms)
        pages = -(-len(due) // KLINES_A_PAGE[market_of(self.pair)])
        rows = -(-len(due) // pages)
        windows = [
            Window(at, min(at + rows * self.interval.ms, end), rows)
            for at in range(start, end, rows * self.interval.ms)
        ]
        odd: set[int] = set()

        async def ask(window: Window) -> Pages[Candle]:
            return await self._ask(window, odd)

        def holes(there: Iterable[int]) -> list[int]:
            return sorted(set(due).difference(there))

        try:
            found = await gather(windows, ask, holes, rows * self.interval.ms)
        except BadPayloadError as error:
            raise BadPayloadError(self._named(error, span)) from None
        listed = await self.rest.listed_ms(self.pair) if holes(found.rows) else None
        if listed is not None and found.rows and min(found.rows) + self.interval.ms <= listed:
            raise BadPayloadError(
                f"{self.pair.name} {self.interval} candles of {span[0]}: there are some before the market's first one, which "
                f"opens at {listed}"
            )
        return [self._day(day, found, listed or 0, odd) for day in span]

    async def _ask(self, window: Window, odd: set[int]) -> Pages[Candle]:
        market = market_of(self.pair)
        first = -(-window.start_ms // self.interval.ms) * self.interval.ms
        limit = max(1, -(-(window.end_ms - first) // self.interval.ms))
        params: dict[str, str | int] = {
            "symbol": wire_symbol(self.pair),
            "interval": self.interval.name,
            "startTime": first,
            "endTime": window.end_ms - 1,
            "limit": limit,
        }
        what = f"{self.pair.name} {self.interval} candles, page from {from_ms(first):%Y-%m-%d %H:%M}"
        question = Question(what, "/klines", klines_weight(market, limit), params)
        asked = Window(first, window.end_ms, limit)
        page, answer = await self.rest.page(
            market, question, lambda body: candle_page(wire_symbol(self.pair), self.interval, asked, body)
        )
        odd.update(page.odd_ends)
        return [({each.open_ms: each for each in page.candles}, answer)]

    def _day(self, day: date, found: Gathered[Candle], listed_ms: int, odd: set[int]) -> HistoryDay[pl.DataFrame]:
        start = day_start_ms(day)
        opens = range(start, start + DAY_MS, self.interval.ms)
        rows = [found.rows[each] for each in opens if each in found.rows]
        due = [each for each in opens if each + self.interval.ms > listed_ms]
        missing = tuple(each for each in due if each not in found.rows)
        flags = _flags(opens, listed_ms, odd) if rows else ()
        if not due:
            reason = f"before the market's first candle, which opens on {from_ms(listed_ms):%Y-%m-%d %H:%M} UTC"
            condition = Condition.MISSING
        elif not rows:
            reason, condition = "Binance has no candles of the day", Condition.MISSING
        elif missing:
            reason = f"Binance has no candle for {len(missing)} of {len(due)}: {told_times(missing)}"
            condition = Condition.DEGRADED
        else:
            reason, condition = "", Condition.AVAILABLE
        return HistoryDay(
            day, _frame(rows), len(rows), condition, missing, reason, inputs=found.inputs_of(day), flags=flags
        )

    def _named(self, error: BadPayloadError, span: Sequence[date]) -> str:
        """The error with pair and days; those of one page name the page already."""
        told = f"{span[0]}" if len(span) == 1 else f"{span[0]} to {span[-1]}"
        return f"{self.pair.name} {self.interval} candles of {told}: {error}"


def _flags(opens: range, listed_ms: int, odd: set[int]) -> tuple[str, ...]:
    flags: list[str] = []
    if opens.start < listed_ms < opens.stop:
        flags.append(f"the market opened at {from_ms(listed_ms):%H:%M}")
    cut = sorted(odd.intersection(opens))
    if cut:
        flags.append(f"candles whose own end is not that of their bucket: {told_times(cut)}")
    return tuple(flags)


def _frame(candles: Sequence[Candle]) -> pl.DataFrame:
    columns: dict[str, list[object]] = {
        "time": [each.open_ms for each in candles],
        **{name: [getattr(each, name) for each in candles] for name in (*PRICE_COLUMNS, "volume", "num_trades")},
    }
    return pl.DataFrame(columns, schema=CANDLE_SCHEMA)
