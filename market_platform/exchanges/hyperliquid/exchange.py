"""Hyperliquid as a `LiveExchange`: its dialect, and its REST side within one allowance of weight."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from market_platform.domain.clock import Clock, utc_now
from market_platform.exchanges.hyperliquid.config import HyperliquidConfig
from market_platform.exchanges.hyperliquid.dialect import HyperliquidDialect
from market_platform.exchanges.hyperliquid.rest import HyperliquidRest, refusal
from market_platform.exchanges.json_rest import JsonRest
from market_platform.exchanges.live import TradeHistory

WEIGHT_A_MINUTE = 1200.0
"""What an address may ask for; 5,000 candles weigh 104."""


class HyperliquidExchange:
    """A `LiveExchange`. `clock` should tell the exchange's time: by it a candle counts as over that no other follows."""

    trade_history: TradeHistory = "none"
    polls_candles = False
    confirms_candles = True

    def __init__(self, config: HyperliquidConfig, clock: Clock = utc_now) -> None:
        self.dialect = HyperliquidDialect(config.stream_url)
        self._config = config
        self._clock = clock

    @asynccontextmanager
    async def rest(self) -> AsyncIterator[HyperliquidRest]:
        """Its REST side; nothing is asked yet."""
        rest = json_rest(self._config)
        async with aclosing(rest):
            yield HyperliquidRest(rest, self._config, self._clock)


def json_rest(config: HyperliquidConfig) -> JsonRest:
    """Requests within the weight of an address, to be closed by the caller."""
    return JsonRest(
        config.rest_url,
        headers={"User-Agent": config.user_agent},
        weight=WEIGHT_A_MINUTE,
        window_s=60.0,
        timeout_s=config.request_timeout_s,
        budget_s=config.call_budget_s,
        attempts=config.attempts,
        refusal=refusal,
    )
