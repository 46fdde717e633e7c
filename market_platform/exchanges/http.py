"""What every exchange's HTTP client needs: asking again, finitely, and bodies of bounded size.

Belongs here: what knows no exchange. Does not: requests, limits (limits.py), what an answer means.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import stamina

from market_platform.domain.errors import BadPayloadError, ExchangeUnavailableError, RateLimitedError

Result = TypeVar("Result")

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 20.0
LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")
"""Where a proxy from the environment has no business: httpx mounts."""


async def retrying(call: Callable[[], Awaitable[Result]], *, what: str, attempts: int, deadline: float) -> Result:
    """What `call` returns, asked up to `attempts` times, waiting between with full jitter or as long as told to.

    `what` names the retries in logs and metrics.

    Failures of the exchange are asked again, and so are wrong bodies: they may have been damaged on the way.
    `deadline` is in the running loop's time; a pause that goes beyond it is not begun. `stamina.set_testing` makes
    waits nothing.

    Raises:
        ExchangeUnavailableError, RateLimitedError, BadPayloadError: the last failure, saying how often it was tried.
    """
    tried = 0

    def wait(error: Exception) -> bool | float:
        if not isinstance(error, ExchangeUnavailableError | BadPayloadError):
            return False
        pause = random.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (tried - 1)))  # noqa: S311
        if isinstance(error, RateLimitedError) and error.retry_after is not None:
            pause += error.retry_after
        return pause if asyncio.get_running_loop().time() + pause < deadline else False

    try:
        async for attempt in stamina.retry_context(wait, attempts=attempts, timeout=None).with_name(what, (), {}):
            with attempt:
                tried += 1
                return await call()
    except (ExchangeUnavailableError, BadPayloadError) as error:
        if tried > 1:
            error.args = (f"{error} (tried {tried} times)",)
        raise
    raise AssertionError("unreachable")


async def read_body(response: httpx.Response, what: str, most: int) -> bytes:
    """The body of an answer that is being streamed.

    Raises:
        BadPayloadError: it has more than `most` bytes.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise BadPayloadError(f"{what}: {response.url} sends more than {most} bytes")
    return b"".join(chunks)
