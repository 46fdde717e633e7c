"""Binance's recent past: candles by time and trades by id, page by page, whole or not at all.

Belongs here: pages, and that they fit together. Does not: HTTP and limits (transport), the sanity of one row (convert).

What is asked, below a market's root (`/api/v3` of spot, `/fapi/v1` of USD-M): `/klines`, `/aggTrades`, `/time`,
`/exchangeInfo`, and `/openInterest` of USD-M.

A candle counts as closed when it ended before Binance's own clock, which is asked first (`/time`, weight 1): what had
ended by then cannot change in an answer that comes later, and neither our clock nor that of a cache between us is
believed. A candle is allowed to be missing, for Binance has none where it did not trade; two at a time, one outside the
question or one out of order is a wrong answer, and so is a hole in the ids of trades.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar

from market_platform.domain.errors import BadPayloadError, ExchangeUnavailableError, HistoryGoneError
from market_platform.domain.events import Candle, Funding, OpenInterest, Trade
from market_platform.domain.intervals import DAY_MS, Interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.binance.config import MARKETS, Market
from market_platform.exchanges.binance.markets import BothMarkets
from market_platform.exchanges.binance.pages import (
    agg_trades_of,
    candles_of,
    open_interest_of,
    server_time_of,
    symbols_of,
)
from market_platform.exchanges.binance.transport import Question

Value = TypeVar("Value")

KLINES_A_PAGE: dict[Market, int] = {"spot": 1000, "usdm": 1500}
TRADES_A_PAGE = 1000
TRADES_WEIGHT: dict[Market, int] = {"spot": 4, "usdm": 20}
_INFO_WEIGHT: dict[Market, int] = {"spot": 20, "usdm": 1}


class BinanceRest(BothMarkets):
    """See `LiveRest`; use as an async context manager."""

    async def candles(self, pair: LivePair, interval: Interval, start_ms: int, end_ms: int) -> list[Candle]:
        """See `LiveRest.candles`; Binance serves them since the market began."""
        market, deadline = MARKETS[pair.market_type], self._deadline()
        what = f"{pair.name} {interval} candles"
        now = await self._ask(market, Question(f"{what}: time", "/time", 1), server_time_of, deadline)
        end_ms = min(end_ms, now)
        found: list[Candle] = []
        cursor = start_ms
        while cursor < end_ms:
            limit = min(KLINES_A_PAGE[market], (end_ms - cursor) // min(interval.ms, 28 * DAY_MS) + 1)
            params: dict[str, str | int] = {
                "symbol": pair.wire,
                "interval": interval.name,
                "startTime": cursor,
                "endTime": end_ms - 1,
                "limit": limit,
            }
            asked = f"{what} from {cursor}"
            question = Question(asked, "/klines", klines_weight(market, limit), params)
            rows = await self._ask(market, question, partial(candles_of, pair.wire, interval), deadline)
            if len(rows) > limit:
                _wrong(asked, f"{len(rows)} rows where {limit} were asked for")
            for candle in rows:
                if not cursor <= candle.open_ms < end_ms:
                    _wrong(asked, f"a candle that opens at {candle.open_ms} is outside, repeated or out of order")
                cursor = candle.end_ms
                if candle.end_ms <= now:
                    found.append(candle)
            if not rows:
                break
        return found

    async def trades(self, pair: LivePair, first_id: int, last_id: int) -> list[Trade]:
        """See `LiveRest.trades`; ids are those of `aggTrade`."""
        deadline = self._deadline()
        found: list[Trade] = []
        cursor = first_id
        while cursor <= last_id:
            limit = min(TRADES_A_PAGE, last_id - cursor + 1)
            asked = f"{pair.name} trades from {cursor}"
            rows = await self._trade_rows(pair, {"fromId": cursor, "limit": limit}, asked, deadline)
            if not rows:
                raise ExchangeUnavailableError(
                    f"{asked}: Binance has none yet, though the stream had up to {last_id}; ask again later"
                )
            if len(rows) > limit:
                _wrong(asked, f"{len(rows)} rows where {limit} were asked for")
            if not found and rows[0].trade_id > cursor:
                raise HistoryGoneError(
                    f"{asked}: the earliest that Binance still has is {rows[0].trade_id}", earliest_ms=rows[0].time_ms
                )
            for trade in rows:
                if trade.trade_id != cursor:
                    _wrong(asked, f"trade {trade.trade_id} comes where {cursor} was due")
                cursor += 1
            found += rows
        return found

    async def last_trade_id(self, pair: LivePair) -> int | None:
        """See `LiveRest.last_trade_id`; None for a market that has not traded yet."""
        rows = await self._trade_rows(pair, {"limit": 1}, f"{pair.name} newest trade", self._deadline())
        return rows[-1].trade_id if rows else None

    async def context(self, pair: LivePair) -> list[Funding | OpenInterest]:
        """Open interest of a USD-M contract, which no stream sends; nothing for spot."""
        market = MARKETS[pair.market_type]
        if market != "usdm":
            return []
        what = f"{pair.name} open interest"
        question = Question(what, "/openInterest", 1, {"symbol": pair.wire})
        found = await self._ask(market, question, open_interest_of, self._deadline())
        if found.symbol != pair.wire:
            _wrong(what, f"it is of {found.symbol}")
        return [found]

    async def known_symbols(self, market_type: str) -> frozenset[str]:
        """Every symbol of the market, trading or not."""
        market = MARKETS[market_type]
        question = Question(f"binance {market_type} symbols", "/exchangeInfo", _INFO_WEIGHT[market])
        return await self._ask(market, question, symbols_of, self._deadline())

    async def _trade_rows(self, pair: LivePair, params: dict[str, int], what: str, deadline: float) -> list[Trade]:
        market = MARKETS[pair.market_type]
        question = Question(what, "/aggTrades", TRADES_WEIGHT[market], {"symbol": pair.wire, **params})
        return await self._ask(market, question, partial(agg_trades_of, pair.wire), deadline)

    async def _ask(self, market: Market, question: Question, read: Callable[[bytes], Value], deadline: float) -> Value:
        return await self._transport(market).ask(question, read, deadline)

    def _deadline(self) -> float:
        """When a call that begins now must be over, in the running loop's time."""
        return asyncio.get_running_loop().time() + self._config.call_budget_s


def klines_weight(market: Market, limit: int) -> int:
    """What a page of candles costs: on USD-M by how many are asked for."""
    if market == "spot":
        return 2
    return next(weight for most, weight in ((99, 1), (499, 2), (1000, 5), (1500, 10)) if limit <= most)


def _wrong(what: str, reason: str) -> NoReturn:
    raise BadPayloadError(f"{what}: {reason}; ask again later, or report it to Binance")
