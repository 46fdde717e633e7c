"""Binance's REST side as requests: within the weight it allows, failures typed, its own words about limits understood.

Belongs here: limits and refusals. Does not: HTTP (json_rest), pages, and what an answer means (rest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from market_platform.domain.clock import Clock
from market_platform.domain.errors import BadPayloadError, MarketPlatformError, UnknownSymbolError
from market_platform.exchanges.binance.config import BinanceConfig, Market
from market_platform.exchanges.json_rest import Allowance, JsonRest, Manners, RestRequest
from market_platform.exchanges.limits import WeightBudget

Value = TypeVar("Value")

_PREFIX: dict[Market, str] = {"spot": "/api/v3", "usdm": "/fapi/v1"}
WEIGHT_A_MINUTE: dict[Market, float] = {"spot": 6000.0, "usdm": 2400.0}
MAX_BODY_BYTES = 64 * 2**20
_UNKNOWN_SYMBOL = (-1121, -1122)
_BANS = frozenset({403, 418})
"""418 is a ban after too many 429, 403 the firewall's limit."""


class _Refusal(msgspec.Struct):
    """What Binance says when it refuses."""

    code: int = 0
    msg: str = ""


_refusal = msgspec.json.Decoder(_Refusal)


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
        self._clock = clock
        self._rest = JsonRest(
            f"{self._host}{self._prefix}",
            headers={"User-Agent": config.user_agent},
            weight=WEIGHT_A_MINUTE[market],
            window_s=60.0,
            timeout_s=config.request_timeout_s,
            budget_s=config.call_budget_s,
            attempts=config.attempts,
            refusal=_refused,
            manners=Manners(_BANS, _said, self._retry_after, self._count),
            longest_wait_s=config.longest_wait_s,
            most_bytes=MAX_BODY_BYTES,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._rest.aclose()

    async def ask(self, question: Question, read: Callable[[bytes], Value], deadline: float) -> Value:
        """What `read` makes of the answer; asked again while that may help and `deadline`, in the loop's time, is not over.

        Raises:
            ExchangeUnavailableError, RateLimitedError: no usable answer after finite retries.
            UnknownSymbolError: Binance does not know the symbol.
            BadPayloadError: it refuses the request otherwise, or `read` refuses an answer.
        """

        def named(body: bytes) -> Value:
            try:
                return read(body)
            except BadPayloadError as error:
                raise BadPayloadError(f"{question.what}: {error}") from None

        request = RestRequest(
            question.what,
            question.path,
            question.weight,
            params=question.params,
            root=f"{self._host}{question.api}" if question.api else "",
            allowance=question.allowance,
        )
        return await self._rest.ask(request, named, deadline)

    def named(self, question: Question) -> str:
        """The request without its host: `/fapi/v1/klines?symbol=BTCUSDT&…`."""
        query = f"?{urlencode(question.params)}" if question.params else ""
        return f"{question.api or self._prefix}{question.path}{query}"

    def _count(self, headers: httpx.Headers, budget: WeightBudget) -> None:
        """Believe Binance's own count, which resets at each full minute."""
        told = headers.get("x-mbx-used-weight-1m", "")
        if told.isdecimal():
            budget.used(float(told), 60.0 - self._clock().second)

    def _retry_after(self, header: str | None) -> float | None:
        """Seconds to wait: Binance sends seconds, and the moment a ban ends in ms."""
        try:
            value = float(header or "")
        except ValueError:
            return None
        if value > 10**11:
            value = value / 1000 - self._clock().timestamp()
        return max(0.0, value) if value < timedelta(days=7).total_seconds() else None


def _refused(status: int, body: bytes, what: str) -> MarketPlatformError | None:
    """What a refusal means; None when asking again may help."""
    refusal = _refusal_of(body)
    told = f"{what}: HTTP {status}{_said(body)}"
    if refusal.code in _UNKNOWN_SYMBOL:
        return UnknownSymbolError(f"{told}; correct or remove the pair")
    if status == 400 and refusal.code:
        return BadPayloadError(f"{told}; the request is not one that Binance understands")
    return None


def _said(body: bytes) -> str:
    refusal = _refusal_of(body)
    return f", code {refusal.code}: {refusal.msg[:200]}" if refusal.code else ""


def _refusal_of(body: bytes) -> _Refusal:
    try:
        return _refusal.decode(body)
    except (ValueError, RecursionError):
        return _Refusal()
