"""Binance's REST side as its past is asked for: pages with the hash of their raw bytes, its clock, its first candles.

Belongs here: asking for one page. Does not: which pages, and what of them belongs to which day (history_days and the series).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.errors import BadRequestError
from market_platform.domain.history import HistoryPair, RawInput
from market_platform.exchanges.binance.config import MARKETS, BinanceConfig, Market
from market_platform.exchanges.binance.history_pages import first_open_of
from market_platform.exchanges.binance.markets import BothMarkets
from market_platform.exchanges.binance.pages import server_time_of
from market_platform.exchanges.binance.transport import Question

Value = TypeVar("Value")

_PATIENCE_S = 120.0
"""How long a page waits for a pause to end: nobody is in a hurry, and the limits' minute is over by then."""


def market_of(pair: HistoryPair) -> Market:
    """The market whose API has the pair.

    Raises:
        BadRequestError: it is not a spot pair or a perpetual.
    """
    if pair.market_type not in MARKETS:
        raise BadRequestError(
            f"{pair.name}: Binance has no market of type {pair.market_type}; use one of {', '.join(MARKETS)}",
            code="no_history",
        )
    return MARKETS[pair.market_type]


def wire_symbol(pair: HistoryPair) -> str:
    """`BTCUSDT`, on either market."""
    return f"{pair.coin}{pair.quote}".upper()


class HistoryRest(BothMarkets):
    """Pages of both markets, within their limits; use as an async context manager."""

    def __init__(self, config: BinanceConfig, clock: Clock = utc_now) -> None:
        super().__init__(replace(config, longest_wait_s=max(config.longest_wait_s, _PATIENCE_S)), clock)
        self._listed: dict[tuple[Market, str], int | None] = {}

    async def page(self, market: Market, question: Question, read: Callable[[bytes], Value]) -> tuple[Value, RawInput]:
        """What `read` makes of the answer, and the answer as an input of which no rows are used yet.

        Raises:
            ExchangeUnavailableError, RateLimitedError: no usable answer after finite retries, or not in time.
            UnknownSymbolError: Binance does not know the symbol.
            BadPayloadError: `read` refuses the answers, or Binance the question.
        """
        transport, name = self._transport(market), self.named(market, question)

        def both(body: bytes) -> tuple[Value, RawInput]:
            return read(body), RawInput(name, hashlib.sha256(body).hexdigest(), len(body), 0)

        deadline = asyncio.get_running_loop().time() + self._config.call_budget_s
        return await transport.ask(question, both, deadline)

    def named(self, market: Market, question: Question) -> str:
        """The request without its host."""
        return self._transport(market).named(question)

    async def now_ms(self, pair: HistoryPair) -> int:
        """Binance's own clock: what is over by it cannot change in an answer that comes later."""
        found, _ = await self.page(market_of(pair), Question(f"{pair.name}: time", "/time", 1), server_time_of)
        return found

    async def listed_ms(self, pair: HistoryPair) -> int | None:
        """When the market's first candle of a minute opens; None when it has none. Asked once."""
        key = market_of(pair), wire_symbol(pair)
        if key not in self._listed:
            params: dict[str, str | int] = {"symbol": key[1], "interval": "1m", "startTime": 0, "limit": 1}
            question = Question(f"{pair.name}: first candle", "/klines", 2 if key[0] == "spot" else 1, params)
            self._listed[key], _ = await self.page(key[0], question, first_open_of)
        return self._listed[key]
