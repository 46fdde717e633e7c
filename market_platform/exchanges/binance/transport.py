"""Binance's REST side as requests: within the weight it allows, retried, failures typed, answers decoded.

Belongs here: HTTP, limits, refusals. Does not: pages, and what an answer means (rest).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from market_platform.domain.clock import Clock
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.exchanges.binance.config import BinanceConfig, Market
from market_platform.exchanges.http import LOOPBACK, read_body, retrying
from market_platform.exchanges.limits import WeightBudget, shared_budget

Value = TypeVar("Value")

_PREFIX: dict[Market, str] = {"spot": "/api/v3", "usdm": "/fapi/v1"}
WEIGHT_A_MINUTE: dict[Market, float] = {"spot": 6000.0, "usdm": 2400.0}
MAX_BODY_BYTES = 64 * 2**20
_UNKNOWN_SYMBOL = (-1121, -1122)
_BANNED = (403, 418)


class _Refusal(msgspec.Struct):
    """What Binance says when it refuses."""

    code: int = 0
    msg: str = ""


_refusal = msgspec.json.Decoder(_Refusal)


@dataclass(frozen=True, slots=True)
class Allowance:
    """A limit of its own that some paths have: so many requests in so many seconds."""

    requests: float
    window_s: float


@dataclass(frozen=True, slots=True)
class Question:
    """One request: `path` below the market's API, `weight` what it costs; `what` names it in messages.

    `api` is where `path` is when not below the market's own (`/futures/data`), `allowance` the limit that is counted instead
    of the market's weight.
    """

    what: str
    path: str
    weight: int
    params: Mapping[str, str | int] = field(default_factory=dict)
    api: str = ""
    allowance: Allowance | None = None


class BinanceTransport:
    """Requests to one market's host, in one event loop."""

    def __init__(self, market: Market, config: BinanceConfig, clock: Clock) -> None:
        self._host = config.rest(market).rstrip("/")
        self._prefix = _PREFIX[market]
        self._base = f"{self._host}{self._prefix}"
        self._config = config
        self._clock = clock
        self._most = WEIGHT_A_MINUTE[market]
        self._client = httpx.AsyncClient(
            headers={"User-Agent": config.user_agent},
            timeout=config.request_timeout_s,
            verify=self._base.startswith("https:"),  # loading certificates takes 20 ms; plain HTTP has no use for them
            mounts=dict.fromkeys(LOOPBACK),  # a proxy from the environment is not for this machine itself
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(self, question: Question, read: Callable[[bytes], Value], deadline: float) -> Value:
        """What `read` makes of the answer; asked again while that may help and `deadline`, in the loop's time, is not over.

        Raises:
            ExchangeUnavailableError, RateLimitedError: no usable answer after finite retries.
            UnknownSymbolError: Binance does not know the symbol.
            BadPayloadError: it refuses the request otherwise, or `read` refuses an answer.
        """

        async def once() -> Value:
            body = await self._once(question)
            try:
                return read(body)
            except BadPayloadError as error:
                raise BadPayloadError(f"{question.what}: {error}") from None

        try:
            async with asyncio.timeout_at(deadline):
                patience = asyncio.get_running_loop().time() + self._config.longest_wait_s
                return await retrying(
                    once, what=question.what, attempts=self._config.attempts, deadline=min(deadline, patience)
                )
        except TimeoutError:
            raise ExchangeUnavailableError(
                f"{question.what}: no answer within {self._config.call_budget_s:g} s, waiting for Binance's limits included"
            ) from None

    def named(self, question: Question) -> str:
        """The request without its host: `/fapi/v1/klines?symbol=BTCUSDT&…`."""
        query = f"?{urlencode(question.params)}" if question.params else ""
        return f"{question.api or self._prefix}{question.path}{query}"

    async def _once(self, question: Question) -> bytes:
        what, url = question.what, f"{self._host}{question.api or self._prefix}{question.path}"
        host_budget = budget = shared_budget(self._base, self._most)
        if question.allowance is None:
            await budget.take(question.weight, what)
        else:
            await host_budget.take(0, what)  # nothing but the pauses: a ban is of all paths
            budget = shared_budget(url, question.allowance.requests, question.allowance.window_s)
            await budget.take(1, what)
        try:
            async with (
                asyncio.timeout(self._config.request_timeout_s),
                self._client.stream("GET", url, params=dict(question.params)) as response,
            ):
                body = await read_body(response, what, MAX_BODY_BYTES)
        except (TimeoutError, httpx.TimeoutException):
            raise ExchangeUnavailableError(
                f"{what}: no answer within {self._config.request_timeout_s:g} s from {url}"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = str(error) or type(error).__name__
            raise ExchangeUnavailableError(f"{what}: {told} ({url}); check the network, or ask again later") from error
        self._count(response, host_budget)
        if response.status_code != 200:
            self._refuse(response, body, what, host_budget if response.status_code in _BANNED else budget)
        return body

    def _count(self, response: httpx.Response, budget: WeightBudget) -> None:
        """Believe Binance's own count, which resets at each full minute."""
        told = response.headers.get("x-mbx-used-weight-1m", "")
        if told.isdecimal():
            budget.used(float(told), 60.0 - self._clock().second)

    def _refuse(self, response: httpx.Response, body: bytes, what: str, budget: WeightBudget) -> NoReturn:
        """Raise what an answer other than 200 means.

        418 is a ban after too many 429; 403 is the firewall's limit; 451 is where Binance does not serve our address.
        """
        status = response.status_code
        refusal = _refusal_of(body)
        told = f"HTTP {status} from {self._base}" + (
            f", code {refusal.code}: {refusal.msg[:200]}" if refusal.code else ""
        )
        if status in (*_BANNED, 429):
            pause = self._retry_after(response.headers.get("retry-after"))
            if pause is not None:
                budget.pause(pause)
            wish = "without saying for how long" if pause is None else f"for {pause:g} s"
            raise RateLimitedError(f"{what}: {told}; it wants a pause {wish}", retry_after=pause)
        if refusal.code in _UNKNOWN_SYMBOL:
            raise UnknownSymbolError(f"{what}: {told}; correct or remove the pair")
        if status == 400 and refusal.code:
            raise BadPayloadError(f"{what}: {told}; the request is not one that Binance understands")
        raise ExchangeUnavailableError(f"{what}: {told} is not an answer")

    def _retry_after(self, header: str | None) -> float | None:
        """Seconds to wait: Binance sends seconds, and the moment a ban ends in ms."""
        try:
            value = float(header or "")
        except ValueError:
            return None
        if value > 10**11:
            value = value / 1000 - self._clock().timestamp()
        return max(0.0, value) if value < timedelta(days=7).total_seconds() else None


def _refusal_of(body: bytes) -> _Refusal:
    try:
        return _refusal.decode(body)
    except (ValueError, RecursionError):
        return _Refusal()
