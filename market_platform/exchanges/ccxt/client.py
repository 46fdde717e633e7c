"""One exchange of CCXT, asked within its limit, retried, its failures ours, its answers hashed.

Belongs here: whatever touches CCXT. Does not: what the rows mean. CCXT is imported when a client opens, because that takes
seconds and some hundred megabytes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from market_platform.domain.errors import (
    BadPayloadError,
    ConfigError,
    ExchangeError,
    ExchangeUnavailableError,
    MarketPlatformError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.history import RawInput
from market_platform.exchanges.ccxt.config import CcxtConfig
from market_platform.exchanges.http import retrying
from market_platform.exchanges.limits import WeightBudget, shared_budget
from market_platform.exchanges.raw_inputs import hashed_input

Value = TypeVar("Value")

_TYPES = {"spot": ("spot",), "perps": ("linear", "swap", "inverse")}
"""Of the kinds of markets that an exchange lists apart, those that hold our market types."""
_LOCAL = ("127.0.0.1", "localhost", "::1")
_LEAST_A_MINUTE = 5.0


class CcxtClient:
    """One exchange's markets of one market type; use as an async context manager.

    Raises:
        ConfigError: on entering, when CCXT has no such exchange; names those that are near.
    """

    def __init__(self, config: CcxtConfig, market_type: str) -> None:
        self._config = config
        self._market_type = market_type
        self._lock = asyncio.Lock()
        self._decoded = True
        self._errors: Any = None
        self.exchange: Any = None

    async def __aenter__(self) -> Self:
        library, self._errors = await asyncio.to_thread(imported)
        name = self._config.ccxt_id
        if name not in library.exchanges:
            near = get_close_matches(name, library.exchanges, 5, 0.6)
            raise ConfigError(
                f"ccxt_id {name!r}: ccxt {library.__version__} has no such exchange; "
                + (f"it has {', '.join(near)}" if near else "its names are like kraken, kucoinfutures, bybit")
                + ". Change ccxt_id in config/starlistings.yaml"
            )
        url = self._config.url
        exchange = getattr(library, name)(
            {
                "enableRateLimit": True,
                "timeout": int(self._config.request_timeout_s * 1000),
                "userAgent": self._config.user_agent,
                "aiohttp_trust_env": url is None or urlsplit(url).hostname not in _LOCAL,
            }
        )
        if url is not None:
            exchange.timeout_on_exit = 250 if url.startswith("https:") else 0  # a wait for TLS to say goodbye
            exchange.urls = {**exchange.urls, "api": _moved(exchange.urls["api"], url.rstrip("/"))}
        _narrow(exchange.options, self._market_type)
        self.exchange = exchange
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.exchange is not None:
            await self.exchange.close()

    async def markets(self) -> Mapping[str, Mapping[str, Any]]:
        """What the exchange lists, by CCXT's symbols; asked once.

        From then on numbers come as the exchange's own text.

        Raises:
            ExchangeError: see `ask`.
        """
        if not self.exchange.markets:
            await self._guarded("markets", self.exchange.load_markets)
            self.exchange.number = str
            self.exchange.parse_json = self._parse_json
        found: Mapping[str, Mapping[str, Any]] = self.exchange.markets
        return found

    async def ask(
        self, what: str, method: str, read: Callable[[Any], Value], *arguments: object
    ) -> tuple[Value, RawInput]:
        """What `read` makes of a method's answer, and the raw answer's hash.

        Raises:
            RateLimitedError, ExchangeUnavailableError: no answer after finite retries.
            BadPayloadError: an answer that CCXT or `read` can't make sense of.
            UnknownSymbolError, ExchangeError: the exchange refuses the question; asking again can't help.
        """

        async def once() -> tuple[Value, RawInput]:
            rows = await getattr(self.exchange, method)(*arguments)
            if not self._decoded:
                raise BadPayloadError(f"{self._config.ccxt_id} {what}: the answer is no JSON")
            value = read(rows)
            return value, self._raw(len(rows) if isinstance(rows, Sequence) else 1)

        return await self._guarded(what, once)

    def page_limit(self, symbol: str, method: str, otherwise: int) -> int:
        """The most rows of one answer, as CCXT knows it."""
        limit = self.exchange.feature_value(symbol, method, "limit")
        return limit if isinstance(limit, int) and limit > 0 else otherwise

    def until(self, method: str, end_ms: int) -> dict[str, int]:
        """The parameter that ends a window, where the exchange's method has it; its documentation is the only place that says."""
        told = getattr(type(self.exchange), method).__doc__ or ""
        return {"until": end_ms - 1} if "params.until" in told else {}

    async def _guarded(self, what: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """One call at a time, within the limit, retried, its errors ours."""
        named = f"{self._config.ccxt_id} {what}"
        deadline = asyncio.get_running_loop().time() + self._config.call_budget_s

        async def once() -> Value:
            budget = self._budget
            await budget.take(1, named)
            try:
                return await call()
            except MarketPlatformError:
                raise
            except Exception as error:
                raise self._ours(error, named, budget) from error

        async with self._lock:
            try:
                async with asyncio.timeout_at(deadline):
                    return await retrying(once, what=named, attempts=self._config.attempts, deadline=deadline)
            except TimeoutError:
                raise ExchangeUnavailableError(
                    f"{named}: no answer within {self._config.call_budget_s:g} s, waiting for the limit included"
                ) from None

    @property
    def _budget(self) -> WeightBudget:
        """Requests a minute at CCXT's own pace for the exchange, shared with whoever asks the same one."""
        name = f"ccxt:{self._config.ccxt_id}" + (f"@{self._config.url}" if self._config.url else "")
        return shared_budget(name, max(60_000 / max(float(self.exchange.rateLimit), 1.0), _LEAST_A_MINUTE))

    def _ours(self, error: Exception, what: str, budget: WeightBudget) -> MarketPlatformError:
        """What CCXT raised, in our tree."""
        errors, told = self._errors, f"{what}: {type(error).__name__} {str(error)[:300]}"
        if isinstance(error, errors.RateLimitExceeded | errors.DDoSProtection):
            headers = {name.lower(): value for name, value in (self.exchange.last_response_headers or {}).items()}
            pause = _seconds(headers.get("retry-after"))
            if pause is not None:
                budget.pause(pause)
            return RateLimitedError(told, retry_after=pause)
        if isinstance(error, errors.BadSymbol):
            return UnknownSymbolError(told)
        if isinstance(error, errors.NetworkError) or type(error.__cause__).__module__.startswith("aiohttp"):
            return ExchangeUnavailableError(told)
        if isinstance(error, errors.AuthenticationError | errors.BadRequest | errors.NotSupported):
            return ExchangeError(told)
        return BadPayloadError(told)

    def _parse_json(self, text: str) -> object:
        """As CCXT does, but with numbers as their text, and remembering when it is no JSON, which CCXT passes over."""
        try:
            decoded: object = json.loads(text, parse_float=str)
        except ValueError:
            self._decoded = False
            return None
        self._decoded = True
        return decoded

    def _raw(self, rows: int) -> RawInput:
        """The last answer."""
        exchange = self.exchange
        parts = urlsplit(str(exchange.last_request_url))
        path = parts.path.removeprefix(urlsplit(self._config.url or "").path.rstrip("/"))
        name = f"{path}?{parts.query}" if parts.query else path
        body = exchange.last_request_body
        return hashed_input(
            f"{exchange.id} {name}{f' {body}' if body else ''}", str(exchange.last_http_response).encode(), rows
        )


def imported() -> tuple[Any, Any]:
    """CCXT and its errors. It has no types, and importing it takes seconds."""
    return import_module("ccxt.async_support"), import_module("ccxt.base.errors")


def _moved(value: Any, root: str) -> Any:
    """Addresses with another root before their path, however deep they are nested."""
    if isinstance(value, dict):
        return {key: _moved(each, root) for key, each in value.items()}
    return root + urlsplit(value).path if isinstance(value, str) else value


def _narrow(options: dict[str, Any], market_type: str) -> None:
    """Let only those markets be listed that are of use, where an exchange can list them apart."""
    listing = options.get("fetchMarkets")
    if isinstance(listing, dict) and isinstance(listing.get("types"), list):
        wanted = [each for each in listing["types"] if each in _TYPES.get(market_type, ())]
        if wanted:
            options["fetchMarkets"] = {**listing, "types": wanted}


def _seconds(header: object) -> float | None:
    try:
        return None if header is None else max(0.0, float(str(header)))
    except ValueError:
        return None
