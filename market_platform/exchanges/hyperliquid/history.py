"""Hyperliquid's past, day by day: candles as far as it serves them, and every hour's funding rate.

Belongs here: pages and what is missing of a day. Does not: the live side (rest.py), bytes (wire.py). It has no history of
trades and none of open interest.

Days are asked for in runs as long as an answer may be, by the days' own bounds, so that the same question can be asked
again and its answer compared. A day counts as over by the exchange's own clock. The newest 5,000 candles of an interval are
served and no older ones; where that edge lies is asked when a day may be beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import polars as pl

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, ExchangeError, MarketPlatformError
from market_platform.domain.events import Candle, Funding
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, Interval
from market_platform.exchanges.day_rows import (
    HOUR_MS,
    PagesRead,
    absent_times,
    blocks_of,
    buckets_of,
    candle_day,
    condition_of,
    empty_candle_day,
    page_within,
    span_of,
    told,
)
from market_platform.exchanges.history import NoHistory
from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
from market_platform.exchanges.hyperliquid.dialect import HyperliquidDialect
from market_platform.exchanges.hyperliquid.exchange import json_rest
from market_platform.exchanges.hyperliquid.rest import (
    BASE_WEIGHT,
    FULL,
    PAGE_CANDLES,
    SURELY_SERVED,
    HyperliquidRest,
    snapshot_request,
)
from market_platform.exchanges.hyperliquid.wire import parse_fundings, parse_snapshot
from market_platform.exchanges.json_rest import RestRequest
from market_platform.exchanges.raw_inputs import recorded

PAGE_FUNDINGS = 500
_FUNDING_DAYS = PAGE_FUNDINGS // 24
_AHEAD_MS = 30 * DAY_MS

Row = TypeVar("Row", Candle, Funding)


@dataclass(frozen=True, slots=True)
class _Edge:
    """The first candle that is served, None without any; `listed` when it is the first there ever was."""

    first_ms: int | None
    listed: bool

    def reason(self, interval: Interval) -> str:
        """Why there is nothing before it."""
        if self.first_ms is None:
            return "Hyperliquid has no candle of it at all"
        if self.listed:
            return f"Hyperliquid's first candle of it is of {told(self.first_ms)}"
        return (
            f"Hyperliquid serves the newest 5,000 candles of {interval}, from {told(self.first_ms)} on, and none before"
        )


class HyperliquidHistory(NoHistory):
    """A `HistorySource`; use as an async context manager. `clock` is asked for nothing that is stored."""

    def __init__(self, config: HyperliquidConfig, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._dialect = HyperliquidDialect(config.stream_url)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._json = json_rest(self._config)
        self._stack.push_async_callback(self._json.aclose)
        self._rest = HyperliquidRest(self._json, self._config, self._clock)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource.candles`.

        Raises:
            ConfigError: the pair is no perpetual against USD.
            UnknownSymbolError: Hyperliquid has no such coin.
            ExchangeUnavailableError, RateLimitedError: not even its clock or its edge could be had.
        """
        coin, settled_ms = await self._begin(pair)
        over = [day for day in days if span_of([day])[1] <= settled_ms]
        made = [_pending(day, settled_ms) for day in days if span_of([day])[1] > settled_ms]
        failures: dict[date, MarketPlatformError] = {}
        edge: _Edge | None = None
        if over and span_of(over)[0] < settled_ms - SURELY_SERVED * interval.ms:
            edge = await self._edge(coin, interval, settled_ms)
        for block in blocks_of(over, max(1, PAGE_CANDLES * interval.ms // DAY_MS)):
            asked = [day for day in block if edge is None or (edge.first_ms or settled_ms) < span_of([day])[1]]
            if edge is not None:
                made += [_gone(day, interval, edge) for day in block if day not in asked]
            if not asked:
                continue
            start, end = span_of(asked)
            if edge is not None:  # so that an answer which the edge has cut is no answer to the whole day's question
                start = max(start, edge.first_ms or start)
            read = await self._candles_of(coin, interval, start, end)
            if edge is None and (not read.rows or read.rows[0].open_ms > start) and read.error is None:
                edge = await self._edge(coin, interval, settled_ms)
            for day in asked:
                _, end = span_of([day])
                if end > read.until_ms and read.error is not None:
                    failures[day] = read.error
                    continue
                try:
                    made.append(_candles_made(day, interval, read, edge))
                except BadPayloadError as error:
                    failures[day] = error
        return HistoryDays(tuple(sorted(made, key=lambda each: each.day)), failures)

    async def funding(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[Funding, ...]]:
        """See `HistorySource.funding`: rate and premium as paid, each hour (every eight in 2023); prices are None.

        Raises:
            ConfigError, UnknownSymbolError, ExchangeUnavailableError, RateLimitedError: as `candles`.
        """
        coin, settled_ms = await self._begin(pair)
        over = [day for day in days if span_of([day])[1] <= settled_ms]
        made: list[HistoryDay[tuple[Funding, ...]]] = [
            HistoryDay(day, (), 0, Condition.PENDING, reason=_not_over(settled_ms)) for day in days if day not in over
        ]
        failures: dict[date, MarketPlatformError] = {}
        for block in blocks_of(over, _FUNDING_DAYS):
            read = await self._fundings_of(coin, *span_of(block))
            absent = absent_times([row.time_ms or 0 for row in read.rows], 0, *span_of(block))
            for day in block:
                if span_of([day])[1] > read.until_ms and read.error is not None:
                    failures[day] = read.error
                else:
                    made.append(_fundings_made(day, read, absent))
        return HistoryDays(tuple(sorted(made, key=lambda each: each.day)), failures)

    async def _begin(self, pair: HistoryPair) -> tuple[str, int]:
        """The coin as Hyperliquid spells it, and what ended before when is over."""
        coin = self._dialect.wire_symbol(pair.coin, pair.quote, pair.market_type)
        deadline = self._json.deadline()
        await self._rest.require(coin, deadline)
        return coin, await self._rest.settled_ms(coin, deadline)

    async def _edge(self, coin: str, interval: Interval, settled_ms: int) -> _Edge:
        request = snapshot_request(coin, interval, 0, settled_ms + _AHEAD_MS)
        parse = partial(parse_snapshot, coin=coin, interval=interval.name)
        rows = await self._json.ask(request, parse, self._json.deadline())
        return _Edge(min((each.open_ms for each in rows), default=None), listed=len(rows) < FULL)

    async def _candles_of(self, coin: str, interval: Interval, start_ms: int, end_ms: int) -> PagesRead[Candle]:
        """The candles that open in [start, end): one page, unless an answer is shorter than it may be."""

        def ask(cursor: int) -> RestRequest:
            return snapshot_request(coin, interval, cursor, end_ms - interval.ms)

        def parse(cursor: int, body: bytes) -> list[Candle]:
            rows = parse_snapshot(body, coin, interval.name)
            page_within([each.open_ms for each in rows], cursor, end_ms, f"hyperliquid {coin} {interval} candles")
            return [each for each in rows if cursor <= each.open_ms < end_ms]

        return await self._pages(ask, parse, lambda row: row.end_ms, start_ms, end_ms)

    async def _fundings_of(self, coin: str, start_ms: int, end_ms: int) -> PagesRead[Funding]:
        """The rates of [start, end)."""

        def ask(cursor: int) -> RestRequest:
            body = {"type": "fundingHistory", "coin": coin, "startTime": cursor, "endTime": end_ms - 1}
            weight = BASE_WEIGHT + (end_ms - cursor) / HOUR_MS / 20
            return RestRequest(f"hyperliquid {coin} funding from {cursor}", "/info", weight, "POST", body=body)

        def parse(cursor: int, body: bytes) -> list[Funding]:
            rows = parse_fundings(body, coin)
            page_within([each.time_ms or 0 for each in rows], cursor, end_ms, f"hyperliquid {coin} funding")
            return [each for each in rows if cursor <= (each.time_ms or 0) < end_ms]

        return await self._pages(ask, parse, lambda row: (row.time_ms or 0) + HOUR_MS, start_ms, end_ms)

    async def _pages(
        self,
        ask: Callable[[int], RestRequest],
        parse: Callable[[int, bytes], list[Row]],
        after: Callable[[Row], int],
        start_ms: int,
        end_ms: int,
    ) -> PagesRead[Row]:
        """Page after page until the span is full, or an answer has nothing more of it."""
        read: PagesRead[Row] = PagesRead(until_ms=start_ms)
        while read.until_ms < end_ms:
            cursor = read.until_ms
            request = ask(cursor)
            try:
                rows, raw = await self._json.ask(
                    request, recorded(request, partial(parse, cursor)), self._json.deadline()
                )
            except ExchangeError as error:
                read.error = error
                break
            read.rows += rows
            read.until_ms = after(rows[-1]) if rows else end_ms
            read.answers.append((cursor, read.until_ms, raw))
        return read


def _candles_made(
    day: date, interval: Interval, read: PagesRead[Candle], edge: _Edge | None
) -> HistoryDay[pl.DataFrame]:
    start, end = span_of([day])
    rows = [each for each in read.rows if start <= each.open_ms < end]
    beyond = edge is not None and (edge.first_ms is None or start < edge.first_ms)
    reason = edge.reason(interval) if edge and beyond else "Hyperliquid's answer has no candle there, nor a word why"
    return candle_day(day, rows, buckets_of(day, interval), read.inputs(start, end), reason=reason)


def _fundings_made(day: date, read: PagesRead[Funding], absent: Sequence[int]) -> HistoryDay[tuple[Funding, ...]]:
    start, end = span_of([day])
    rows = tuple(each for each in read.rows if start <= (each.time_ms or 0) < end)
    missing = tuple(each for each in absent if start <= each < end)
    condition = condition_of(len(rows), len(missing))
    reason = (
        "Hyperliquid's answer has no rate for some hours" if rows else "Hyperliquid has no funding rate of that day"
    )
    return HistoryDay(
        day,
        rows,
        len(rows),
        condition,
        missing,
        "" if condition is Condition.AVAILABLE else reason,
        read.inputs(start, end),
    )


def _gone(day: date, interval: Interval, edge: _Edge) -> HistoryDay[pl.DataFrame]:
    return empty_candle_day(day, Condition.MISSING, edge.reason(interval), buckets_of(day, interval))


def _pending(day: date, settled_ms: int) -> HistoryDay[pl.DataFrame]:
    return empty_candle_day(day, Condition.PENDING, _not_over(settled_ms))


def _not_over(settled_ms: int) -> str:
    return f"not over yet by Hyperliquid's clock, which says {told(settled_ms)}"
