"""Both of Binance's markets over REST: the requests to each, from when a client is opened until it is closed.

Belongs here: opening and closing them. Does not: one market's limits (transport), what is asked (rest, history_rest).
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from market_platform.domain.clock import Clock, utc_now
from market_platform.exchanges.binance.config import MARKETS, BinanceConfig, Market
from market_platform.exchanges.binance.transport import BinanceTransport


class BothMarkets:
    """What a client of Binance's REST side begins with; use as an async context manager."""

    def __init__(self, config: BinanceConfig, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._transports: dict[Market, BinanceTransport] = {}

    async def __aenter__(self) -> Self:
        self._transports = {market: BinanceTransport(market, self._config, self._clock) for market in MARKETS.values()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._transports.values():
            await transport.aclose()
        self._transports = {}

    def _transport(self, market: Market) -> BinanceTransport:
        if not self._transports:
            raise RuntimeError(f"{type(self).__name__} is used as `async with`")
        return self._transports[market]
