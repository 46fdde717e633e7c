"""One exchange's REST side: requests within its limit, retried, their failures typed, answers parsed.

Belongs here: what two exchanges share. Does not: any exchange's paths, bodies or refusals.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    MarketPlatformError,
    RateLimitedError,
)
from market_platform.exchanges.http import LOOPBACK, read_body, retrying
from market_platform.exchanges.limits import WeightBudget, shared_budget

Value = TypeVar("Value")

MAX_BODY_BYTES = 16 * 2**20


def honest_user_agent() -> str:
    """Who asks: this program and its version."""
    try:
        return f"market-platform/{version('market-platform')} (market data)"
    except PackageNotFoundError:
        return "market-platform (market data)"


def seconds_of(header: str | None) -> float | None:
    """A Retry-After in seconds; None for one that is missing or a date, which no exchange sends."""
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Allowance:
    """A limit of its own that some path has: so many requests in so many seconds."""

    requests: float
    window_s: float


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One thing to ask for: `weight` of the exchange's limit that it costs, `what` names it in messages.

    `root` is what `path` is below when not below the exchange's base URL, `allowance` the limit that is counted instead of the
    weight.
    """

    what: str
    path: str
    weight: float = 1.0
    method: str = "GET"
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: object = None
    root: str = ""
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Manners:
    """What an exchange says besides its answers, for one that says more than the usual.

    `bans` are statuses besides 429 that want a pause, of all paths. `said` makes words of a refusal's body, `retry_after`
    seconds of the header, and `count` hears what the exchange itself has counted.
    """

    bans: frozenset[int] = frozenset()
    said: Callable[[bytes], str] = field(default=lambda _: "")
    retry_after: Callable[[str | None], float | None] = seconds_of
    count: Callable[[httpx.Headers, WeightBudget], None] = field(default=lambda _headers, _budget: None)


class JsonRest:
    """Requests to one host, in one event loop, which together weigh no more than `weight` in any `window_s` seconds.

    `refusal` makes an error of a 4xx and its body, or None. `budget_s` bounds one call altogether; a pause that would take one
    request beyond `longest_wait_s` is left to the caller.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        weight: float,
        window_s: float,
        timeout_s: float,
        budget_s: float,
        attempts: int,
        refusal: Callable[[int, bytes, str], MarketPlatformError | None],
        manners: Manners | None = None,
        longest_wait_s: float = math.inf,
        most_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._weight = weight
        self._window_s = window_s
        self._timeout_s = timeout_s
        self._budget_s = budget_s
        self._attempts = attempts
        self._refusal = refusal
        self._manners = manners or Manners()
        self._longest_wait_s = longest_wait_s
        self._most_bytes = most_bytes
        self._client = httpx.AsyncClient(
            headers=dict(headers),
            timeout=timeout_s,
            verify=self._base.startswith("https:"),  # loading certificates takes 20 ms; plain HTTP has no use for them
            mounts=dict.fromkeys(LOOPBACK),  # a proxy from the environment is not for this machine itself
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def deadline(self) -> float:
        """When a call that begins now must be over, in the running loop's time."""
        return asyncio.get_running_loop().time() + self._budget_s

    async def ask(self, request: RestRequest, parse: Callable[[bytes], Value], deadline: float) -> Value:
        """What `parse` makes of the answer, asked again while that may help.

        Raises:
            ExchangeUnavailableError, RateLimitedError: no usable answer after finite retries, or not in time.
            BadPayloadError: an answer is whole and wrong.
            MarketPlatformError: whatever `refusal` says.
        """

        async def once() -> Value:
            body, whole = await self._once(request)
            try:
                return parse(body)
            except BadPayloadError as error:
                if whole:
                    raise
                raise ExchangeUnavailableError(f"{error}; perhaps the connection broke") from error

        try:
            async with asyncio.timeout_at(deadline):
                patience = min(deadline, asyncio.get_running_loop().time() + self._longest_wait_s)
                return await retrying(once, what=request.what, attempts=self._attempts, deadline=patience)
        except TimeoutError:
            raise ExchangeUnavailableError(
                f"{request.what}: no answer within {self._budget_s:g} s, waiting for the exchange's limit included"
            ) from None

    @property
    def _budget(self) -> WeightBudget:
        """Looked up for each request: it belongs to the running event loop, not to us."""
        return shared_budget(self._base, self._weight, self._window_s)

    async def _turn(self, request: RestRequest, url: str) -> WeightBudget:
        """Wait until the request may be sent; returns the limit that it counts towards."""
        if request.allowance is None:
            await self._budget.take(request.weight, request.what)
            return self._budget
        await self._budget.take(0, request.what)  # nothing but its pauses: a ban is of all paths
        own = shared_budget(url, request.allowance.requests, request.allowance.window_s)
        await own.take(1, request.what)
        return own

    async def _once(self, request: RestRequest) -> tuple[bytes, bool]:
        """The body of a good answer, and whether it is known where it ends."""
        url = f"{request.root or self._base}{request.path}"
        budget = await self._turn(request, url)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(request.method, url, params=request.params or None, json=request.body) as response,
            ):
                body = await read_body(response, request.what, self._most_bytes)
        except (TimeoutError, httpx.TimeoutException):
            raise ExchangeUnavailableError(
                f"{request.what}: no answer within {self._timeout_s:g} s from {url}"
            ) from None
        except httpx.ConnectError as error:
            local = urlsplit(self._base).hostname in ("127.0.0.1", "localhost", "::1")
            where = "start the replay exchange (`market-platform up`)" if local else "check the network"
            raise ExchangeUnavailableError(
                f"{request.what}: no connection to {self._base}: {error}; {where}, or ask again later"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ExchangeUnavailableError(f"{request.what}: {str(error) or type(error).__name__} ({url})") from error
        self._manners.count(response.headers, self._budget)
        if response.status_code != 200:
            self._refuse(response, body, request.what, budget)
        return body, "content-length" in response.headers or "transfer-encoding" in response.headers

    def _refuse(self, response: httpx.Response, body: bytes, what: str, budget: WeightBudget) -> None:
        """Raise what an answer other than 200 means."""
        status, manners = response.status_code, self._manners
        told = f"{what}: HTTP {status} from {self._base}{manners.said(body)}"
        if status == 429 or status in manners.bans:
            pause = manners.retry_after(response.headers.get("retry-after"))
            if pause is not None:
                (budget if status == 429 else self._budget).pause(pause)
            wish = "without saying for how long" if pause is None else f"for {pause:g} s"
            raise RateLimitedError(f"{told}; it wants a pause {wish}", retry_after=pause)
        known = self._refusal(status, body, what) if 400 <= status < 500 else None
        raise known or ExchangeUnavailableError(f"{told} is not an answer")
