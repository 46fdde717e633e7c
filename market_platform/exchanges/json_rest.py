"""One exchange's REST side: requests within its limit, retried, their failures typed, answers parsed.

Belongs here: what two exchanges share. Does not: any exchange's paths, bodies or refusals.
"""

from __future__ import annotations

import asyncio
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


@dataclass(frozen=True, slots=True)
class RestRequest:
    """One thing to ask for: `weight` of the exchange's limit that it costs, `what` names it in messages."""

    what: str
    path: str
    weight: float = 1.0
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    body: object = None


class JsonRest:
    """Requests to one host, in one event loop, which together weigh no more than `weight` in any `window_s` seconds.

    `refusal` makes an error of a 4xx and its body, or None. `budget_s` bounds one call altogether.
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
    ) -> None:
        self._base = base_url.rstrip("/")
        self._weight = weight
        self._window_s = window_s
        self._timeout_s = timeout_s
        self._budget_s = budget_s
        self._attempts = attempts
        self._refusal = refusal
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
                return await retrying(once, what=request.what, attempts=self._attempts, deadline=deadline)
        except TimeoutError:
            raise ExchangeUnavailableError(
                f"{request.what}: no answer within {self._budget_s:g} s, waiting for the exchange's limit included"
            ) from None

    @property
    def _budget(self) -> WeightBudget:
        """Looked up for each request: it belongs to the running event loop, not to us."""
        return shared_budget(self._base, self._weight, self._window_s)

    async def _once(self, request: RestRequest) -> tuple[bytes, bool]:
        """The body of a good answer, and whether it is known where it ends."""
        await self._budget.take(request.weight, request.what)
        url = f"{self._base}{request.path}"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(request.method, url, params=request.params or None, json=request.body) as response,
            ):
                body = await read_body(response, request.what, MAX_BODY_BYTES)
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
        if response.status_code != 200:
            self._refuse(response, body, request.what)
        return body, "content-length" in response.headers or "transfer-encoding" in response.headers

    def _refuse(self, response: httpx.Response, body: bytes, what: str) -> None:
        """Raise what an answer other than 200 means."""
        status = response.status_code
        if status == 429:
            pause = _seconds(response.headers.get("retry-after"))
            if pause is not None:
                self._budget.pause(pause)
            told = "without saying for how long" if pause is None else f"for {pause:g} s"
            raise RateLimitedError(f"{what}: HTTP 429, {self._base} wants a pause {told}", retry_after=pause)
        known = self._refusal(status, body, what) if 400 <= status < 500 else None
        raise known or ExchangeUnavailableError(f"{what}: HTTP {status} from {response.url.path} is not an answer")


def _seconds(header: str | None) -> float | None:
    """A Retry-After in seconds; None for one that is missing or a date, which neither exchange sends."""
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None
