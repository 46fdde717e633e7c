"""Questions to Yahoo's chart API: with back-off, within our own limit, and not at all while its circuit is open.

Belongs here: HTTP and what counts as a refusal. Does not: which ranges are asked for (history.py), days.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from market_platform.domain.errors import ExchangeUnavailableError, MarketPlatformError, RateLimitedError
from market_platform.exchanges.http import retrying
from market_platform.exchanges.json_rest import JsonRest, RestRequest
from market_platform.exchanges.yahoo.breaker import CircuitBreaker
from market_platform.exchanges.yahoo.config import YahooConfig
from market_platform.exchanges.yahoo.wire import Chart, parse_chart, refusal

_WINDOW_S = 60.0


class YahooTransport:
    """Connections to Yahoo; close it when done."""

    def __init__(self, config: YahooConfig) -> None:
        self._config = config
        self.breaker = CircuitBreaker(config.refusals_before_pause, config.pause_s, config.longest_pause_s)
        self._rest = JsonRest(
            config.rest_url,
            headers={"User-Agent": config.user_agent, "Accept": "application/json"},
            weight=config.requests_per_minute,
            window_s=_WINDOW_S,
            timeout_s=config.request_timeout_s,
            budget_s=config.call_budget_s,
            attempts=1,  # asked again here, so that the circuit hears of every refusal
            refusal=refusal,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rest.aclose()

    async def chart(self, ticker: str, interval: str, params: Mapping[str, str]) -> Chart:
        """The chart of a ticker (letters, digits, dots and dashes) in one of Yahoo's intervals.

        Raises:
            RateLimitedError: Yahoo wants a pause, or the circuit is open; `retry_after` in seconds.
            ExchangeUnavailableError, BadPayloadError: no usable answer after finite retries.
            UnknownSymbolError, HistoryGoneError, ExchangeError: what Yahoo says.
        """
        what = f"yahoo {ticker} {interval}"
        deadline = self._rest.deadline()
        request = RestRequest(what, f"/v8/finance/chart/{ticker}", params={"interval": interval, **params})
        parse = partial(parse_chart, symbol=ticker, granularity=interval, what=what)

        async def once() -> Chart:
            self.breaker.check(what)
            try:
                chart = await self._rest.ask(request, parse, deadline)
            except RateLimitedError as error:
                self.breaker.refused(error.retry_after)
                raise
            except ExchangeUnavailableError:
                self.breaker.refused()
                raise
            except MarketPlatformError:
                self.breaker.answered()
                raise
            self.breaker.answered()
            return chart

        self.breaker.check(what)
        return await retrying(once, what=what, attempts=self._config.attempts, deadline=deadline)
