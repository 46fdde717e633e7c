"""Any other exchange's past through CCXT, day by day.

Belongs here: pages, and what is missing of a day. Does not: CCXT itself (client.py). The pages are ours and never CCXT's
`paginate`, which passes over holes: each must rise, begin where it was asked to or say so by its rows, and hold nothing
twice. What no page had is `missing`.

A candle counts as closed when it ended by the exchange's own clock, where CCXT can ask for it, else by ours less a minute.
CCXT does not tell a minute without trades from one that is lost; such a day is `degraded` all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import date
from functools import partial
from types import TracebackType
from typing import Any, Self

import polars as pl

from market_platform.domain.clock import Clock, day_start_ms, to_ms, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, BadRequestError, ExchangeError, MarketPlatformError
from market_platform.domain.events import Candle, Funding, OpenInterest
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, Interval
from market_platform.exchanges.ccxt.amounts import Amounts
from market_platform.exchanges.ccxt.client import CcxtClient
from market_platform.exchanges.ccxt.config import CcxtConfig
from market_platform.exchanges.ccxt.pages import Read, Row, Series, checked_page, next_due
from market_platform.exchanges.ccxt.rows import MarketNumbers, candle_of, funding_of, numbers_of, open_interest_of
from market_platform.exchanges.ccxt.symbols import resolve
from market_platform.exchanges.day_rows import (
    absent_times,
    blocks_of,
    buckets_of,
    candle_day,
    condition_of,
    empty_candle_day,
    span_of,
    told,
)
from market_platform.exchanges.history import NoHistory
from market_platform.exchanges.raw_inputs import hashed_rows

INTEREST_MS = 5 * MINUTE_MS
_FUNDING_DAYS = 30
_MOST_FUNDINGS_A_DAY = 24


class CcxtHistory(NoHistory):
    """A `HistorySource`; use as an async context manager. `num_trades` of its candles is NULL.

    Raises:
        ConfigError: on first use, when CCXT has no such exchange.
    """

    def __init__(self, config: CcxtConfig, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._stack = AsyncExitStack()
        self._clients: dict[str, CcxtClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clients = {}
        await self._stack.aclose()

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource.candles`.

        Raises:
            ConfigError: CCXT has no such exchange.
            UnknownSymbolError: the exchange has no such market.
            BadRequestError: it has no such interval, or no candles of its own at all.
            ExchangeError: its markets or its clock can't be had.
        """
        client, numbers, now = await self._begin(pair, "fetchOHLCV", "candles")
        if interval.name not in (client.exchange.timeframes or {}):
            names = ", ".join(client.exchange.timeframes or {})
            raise BadRequestError(
                f"{pair.name}: {self._config.ccxt_id} has no {interval} candles; it has {names}", code="no_history"
            )
        limit = client.page_limit(numbers.symbol, "fetchOHLCV", 500)
        series = Series(
            f"{pair.symbol} {interval} candles",
            "fetch_ohlcv",
            (interval.name,),
            lambda row, amounts: candle_of(row, numbers, interval, amounts),
            lambda row: row.open_ms,
            interval.ms,
            limit,
        )
        made = [
            empty_candle_day(day, Condition.PENDING, self._not_over(now)) for day in days if span_of([day])[1] > now
        ]
        failures: dict[date, MarketPlatformError] = {}
        served_ms = 0
        for block in blocks_of(
            [day for day in days if span_of([day])[1] <= now], max(1, limit * interval.ms // DAY_MS)
        ):
            if span_of(block)[1] <= served_ms:
                gone = self._gone(served_ms)
                made += [empty_candle_day(day, Condition.MISSING, gone, buckets_of(day, interval)) for day in block]
                continue
            read: Read[Candle] = await self._read(client, numbers, series, *span_of(block))
            served_ms = max(served_ms, read.served_ms or 0)
            for day in block:
                if span_of([day])[1] > read.until_ms and read.error is not None:
                    failures[day] = read.error
                    continue
                start, end = span_of([day])
                rows = [each for each in read.rows if start <= each.open_ms < end]
                flags = (*numbers.flags, *read.amounts.flags(self._config.ccxt_id))
                reason = self._why(day, rows, read.rows[0].open_ms if read.rows else read.served_ms, "candle")
                expected, inputs = buckets_of(day, interval), read.inputs(start, end)
                try:
                    made.append(candle_day(day, rows, expected, inputs, reason=reason, flags=flags if rows else ()))
                except BadPayloadError as error:
                    failures[day] = error
        return HistoryDays(tuple(sorted(made, key=lambda each: each.day)), failures)

    async def funding(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[Funding, ...]]:
        """See `HistorySource.funding`: rates alone. How often they come is judged by the rates themselves.

        Raises:
            As `candles`.
        """
        client, numbers, now = await self._begin(pair, "fetchFundingRateHistory", "funding rates")
        limit = client.page_limit(numbers.symbol, "fetchFundingRateHistory", 100)
        series = Series(
            f"{pair.symbol} funding",
            "fetch_funding_rate_history",
            (),
            lambda row, amounts: funding_of(row, numbers, amounts),
            lambda row: row.time_ms or 0,
            0,
            limit,
        )
        block_days = max(1, min(limit // _MOST_FUNDINGS_A_DAY, _FUNDING_DAYS))
        return await self._event_days(client, numbers, series, days, now, block_days, "funding rate")

    async def open_interest(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[OpenInterest, ...]]:
        """See `HistorySource.open_interest`: a reading every five minutes.

        Raises:
            As `candles`.
        """
        client, numbers, now = await self._begin(pair, "fetchOpenInterestHistory", "open interest")
        limit = client.page_limit(numbers.symbol, "fetchOpenInterestHistory", 100)
        series = Series(
            f"{pair.symbol} open interest",
            "fetch_open_interest_history",
            ("5m",),
            lambda row, amounts: open_interest_of(row, numbers, amounts),
            lambda row: row.time_ms or 0,
            INTEREST_MS,
            limit,
        )
        return await self._event_days(
            client, numbers, series, days, now, max(1, limit * INTEREST_MS // DAY_MS), "reading of open interest"
        )

    async def _begin(self, pair: HistoryPair, method: str, what: str) -> tuple[CcxtClient, MarketNumbers, int]:
        """The client, the pair's market, and what ended before when is over."""
        client = self._clients.get(pair.market_type)
        if client is None:
            client = await self._stack.enter_async_context(CcxtClient(self._config, pair.market_type))
            self._clients[pair.market_type] = client
        if client.exchange.has.get(method) is not True:  # "emulated" is made of trades, without saying how complete
            raise BadRequestError(
                f"{pair.name}: {self._config.ccxt_id} has no history of {what} in CCXT", code="no_history"
            )
        markets = await client.markets()
        market = markets[resolve(pair, self._config.ccxt_id, markets)]
        if client.exchange.has.get("fetchTime") is True:
            now, _ = await client.ask("clock", "fetch_time", _clock_of)
        else:
            now = to_ms(self._clock()) - MINUTE_MS
        return client, numbers_of(market, client.exchange.precisionMode), now

    async def _event_days(
        self,
        client: CcxtClient,
        numbers: MarketNumbers,
        series: Series[Row],
        days: Sequence[date],
        now: int,
        block_days: int,
        noun: str,
    ) -> HistoryDays[tuple[Row, ...]]:
        made: list[HistoryDay[tuple[Row, ...]]] = []
        failures: dict[date, MarketPlatformError] = {}
        over = [day for day in days if span_of([day])[1] <= now]
        made += [
            HistoryDay(day, (), 0, Condition.PENDING, reason=self._not_over(now)) for day in days if day not in over
        ]
        for block in blocks_of(over, block_days):
            read: Read[Row] = await self._read(client, numbers, series, *span_of(block))
            times = [series.time(row) for row in read.rows]
            absent = absent_times(times, series.step_ms, *span_of(block))
            for day in block:
                start, end = span_of([day])
                if end > read.until_ms and read.error is not None:
                    failures[day] = read.error
                    continue
                rows = tuple(row for row in read.rows if start <= series.time(row) < end)
                missing = tuple(each for each in absent if start <= each < end)
                condition = condition_of(len(rows), len(missing))
                flags = (*numbers.flags, *read.amounts.flags(self._config.ccxt_id)) if rows else ()
                reason = (
                    ""
                    if condition is Condition.AVAILABLE
                    else self._why(day, rows, times[0] if times else read.served_ms, noun)
                )
                made.append(
                    HistoryDay(day, rows, len(rows), condition, missing, reason, read.inputs(start, end), flags)
                )
        return HistoryDays(tuple(sorted(made, key=lambda each: each.day)), failures)

    async def _read(
        self, client: CcxtClient, numbers: MarketNumbers, series: Series[Row], start_ms: int, end_ms: int
    ) -> Read[Row]:
        """Page after page until the span is asked for altogether."""
        read: Read[Row] = Read(until_ms=start_ms)
        named = f"{self._config.ccxt_id} {series.what}"
        while read.until_ms < end_ms:
            cursor = read.until_ms
            last_ms, limit = end_ms, series.limit
            if series.step_ms:  # a window that holds more than a page makes some exchanges answer with its end
                last_ms = min(end_ms, cursor + limit * series.step_ms)
                limit = -(-(last_ms - cursor) // series.step_ms)
            amounts = Amounts()
            page = partial(checked_page, series, cursor, end_ms, f"{named} from {told(cursor)}", amounts)
            until = client.until(series.method, last_ms)
            arguments = (numbers.symbol, *series.before, cursor, limit, until)
            try:
                (rows, served_ms), raw = await client.ask(
                    f"{series.what} from {told(cursor)}", series.method, page, *arguments
                )
            except ExchangeError as error:
                read.error = error
                break
            read.rows += rows
            read.amounts.floats += amounts.floats
            read.amounts.off_grid += amounts.off_grid
            if rows:
                read.until_ms = next_due([series.time(row) for row in rows], series.step_ms)
            elif served_ms is not None:
                read.served_ms, read.until_ms = None if read.rows else served_ms, end_ms
            else:
                read.until_ms = last_ms
            read.answers.append((cursor, read.until_ms, raw if until else hashed_rows(raw.name, rows)))
        return read

    def _why(self, day: date, rows: Sequence[object], first_ms: int | None, noun: str) -> str:
        """Why a day is not whole; `first_ms` is the first row that came of the days asked for with it, or after them."""
        if first_ms is not None and day_start_ms(day) < first_ms:
            return self._gone(first_ms)
        whole = "for some of it" if rows else "of the day"
        return f"{self._config.ccxt_id} has no {noun} {whole}: nothing traded, it serves nothing so old, or it lost it"

    def _gone(self, served_ms: int) -> str:
        return f"{self._config.ccxt_id} answers with rows from {told(served_ms)} on: it serves none so old, or had none"

    def _not_over(self, now: int) -> str:
        return f"not over yet by {self._config.ccxt_id}'s clock, which says {told(now)}"


def _clock_of(answer: Any) -> int:
    """The exchange's time, which some hand over as text.

    Raises:
        BadPayloadError: it is none.
    """
    try:
        return int(answer)
    except (TypeError, ValueError):
        raise BadPayloadError(f"the exchange's clock says {str(answer)[:40]!r}") from None
