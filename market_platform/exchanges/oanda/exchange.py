"""OANDA as a `LiveExchange`: its dialect, and its REST side within one allowance of requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from market_platform.exchanges.json_rest import JsonRest
from market_platform.exchanges.live import TradeHistory
from market_platform.exchanges.oanda.config import OandaConfig
from market_platform.exchanges.oanda.dialect import OandaDialect
from market_platform.exchanges.oanda.rest import OandaRest, refusal

REQUESTS_A_SECOND = 120.0


class OandaExchange:
    """A `LiveExchange`. What is complete, OANDA says itself, so no clock is needed."""

    trade_history: TradeHistory = "none"
    polls_candles = True
    confirms_candles = False

    def __init__(self, config: OandaConfig) -> None:
        self.dialect = OandaDialect(config)
        self._config = config

    @asynccontextmanager
    async def rest(self) -> AsyncIterator[OandaRest]:
        """Its REST side; nothing is asked yet."""
        rest = json_rest(self._config)
        async with aclosing(rest):
            yield OandaRest(rest, self._config.account)


def json_rest(config: OandaConfig) -> JsonRest:
    """Requests within the allowance of an address, to be closed by the caller."""
    return JsonRest(
        config.rest_url,
        headers={**config.headers, "User-Agent": config.user_agent},
        weight=REQUESTS_A_SECOND,
        window_s=1.0,
        timeout_s=config.request_timeout_s,
        budget_s=config.call_budget_s,
        attempts=config.attempts,
        refusal=refusal,
    )
