"""Binance as the streamer and the repair of gaps see it. Belongs here: putting dialect and REST side together."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from market_platform.domain.clock import Clock, utc_now
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.dialect import BinanceDialect
from market_platform.exchanges.binance.rest import BinanceRest
from market_platform.exchanges.live import LiveRest, StreamDialect, TradeHistory


class BinanceExchange:
    """See `LiveExchange`. Candles have a closed flag; trades that were missed can be asked for by their ids."""

    trade_history: TradeHistory = "by_id"
    polls_candles = False
    confirms_candles = False

    def __init__(self, config: BinanceConfig | None = None, clock: Clock = utc_now) -> None:
        self._config = config or BinanceConfig()
        self._clock = clock
        self.dialect: StreamDialect = BinanceDialect(self._config)

    def rest(self) -> AbstractAsyncContextManager[LiveRest]:
        """Its REST side; all of a process share Binance's limits."""
        return BinanceRest(self._config, clock=self._clock)
