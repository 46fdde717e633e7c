"""Files of the archive over HTTP: retried, bounded, and handed on only when their checksum holds.

Belongs here: HTTP, refusals, SHA-256. Does not: which files, and what is in them.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import IO, NoReturn, TypeVar

import httpx

from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    NotPublishedError,
    RateLimitedError,
)
from market_platform.exchanges.binance.dumps.config import DumpsConfig
from market_platform.exchanges.http import LOOPBACK, read_body, retrying
from market_platform.exchanges.limits import WeightBudget, shared_budget

Value = TypeVar("Value")

_CHECKSUM_BYTES = 4096
_IN_MEMORY_BYTES = 16 * 2**20
"""Files up to this size never touch the disk."""
_CHECKSUM = re.compile(r"([0-9a-fA-F]{64})[ \t]+\*?(\S+)\s*")


@dataclass(frozen=True, slots=True, eq=False)
class Download:
    """A file whose checksum held, at its beginning; whoever gets it closes it."""

    content: IO[bytes]
    sha256: str
    bytes: int


class DumpsTransport:
    """Requests to the archive, in one event loop."""

    def __init__(self, config: DumpsConfig) -> None:
        self._config = config
        self._base = config.base_url.rstrip("/")
        self._client = httpx.AsyncClient(
            headers={"User-Agent": config.user_agent, "Accept-Encoding": "identity"},
            timeout=config.request_timeout_s,
            verify=self._base.startswith("https:"),  # loading certificates takes 20 ms; plain HTTP has no use for them
            mounts=dict.fromkeys(LOOPBACK),  # a proxy from the environment is not for this machine itself
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def checksum(self, path: str) -> str:
        """The SHA-256 that the archive says a file has, hex.

        Raises:
            NotPublishedError: there is no such file.
            ExchangeUnavailableError, RateLimitedError, BadPayloadError: no usable answer after finite retries.
        """
        return await self._asked(path, lambda: self._checksum(path))

    async def download(self, path: str) -> Download:
        """A file, verified. One whose checksum does not hold is asked for once more, together with its checksum.

        Raises:
            NotPublishedError: there is no such file.
            BadPayloadError: its checksum does not hold at the second time either, or it is too large.
            ExchangeUnavailableError, RateLimitedError: no usable answer after finite retries.
        """
        announced = await self.checksum(path)
        found = await self._asked(path, lambda: self._file(path))
        if found.sha256 != announced:  # damaged on the way, or published anew between the two requests
            found.content.close()
            announced = await self.checksum(path)
            found = await self._asked(path, lambda: self._file(path))
        if found.sha256 != announced:
            found.content.close()
            raise BadPayloadError(
                f"{path}: its SHA-256 is {found.sha256}, but its .CHECKSUM says {announced}, at the second time too; "
                "nothing of it was used; ask again later, or report it to Binance"
            )
        return found

    async def _asked(self, path: str, call: Callable[[], Awaitable[Value]]) -> Value:
        deadline = asyncio.get_running_loop().time() + self._config.file_budget_s
        try:
            async with asyncio.timeout_at(deadline):
                return await retrying(call, what=path, attempts=self._config.attempts, deadline=deadline)
        except TimeoutError:
            raise ExchangeUnavailableError(
                f"{path}: it did not come within {self._config.file_budget_s:g} s, waiting for limits included"
            ) from None

    async def _checksum(self, path: str) -> str:
        body = await self._get(f"{path}.CHECKSUM", lambda answer: read_body(answer, path, _CHECKSUM_BYTES))
        match = _CHECKSUM.fullmatch(body.decode("latin-1"))
        if match is None or match[2] != path.rpartition("/")[2]:
            raise BadPayloadError(f"{path}: its .CHECKSUM is not the line of one SHA-256 and this file's name")
        return match[1].lower()

    async def _file(self, path: str) -> Download:
        return await self._get(path, lambda answer: self._saved(path, answer))

    async def _saved(self, path: str, answer: httpx.Response) -> Download:
        most, size, digest = self._config.zip_bytes, 0, hashlib.sha256()
        content: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
        try:
            async for chunk in answer.aiter_raw():
                size += len(chunk)
                if size > most:
                    raise BadPayloadError(f"{path}: it has more than {most} bytes")
                digest.update(chunk)
                content.write(chunk)
            content.seek(0)
        except BaseException:
            content.close()
            raise
        return Download(content, digest.hexdigest(), size)

    async def _get(self, path: str, read: Callable[[httpx.Response], Awaitable[Value]]) -> Value:
        """What `read` makes of the answer to one request."""
        url = f"{self._base}/{path}"
        budget = shared_budget(self._base, self._config.requests_a_minute)
        await budget.take(1, path)
        try:
            async with self._client.stream("GET", url) as answer:
                if answer.status_code != 200:
                    self._refuse(answer, path, budget)
                return await read(answer)
        except httpx.TimeoutException:
            raise ExchangeUnavailableError(
                f"{path}: nothing came for {self._config.request_timeout_s:g} s from {url}"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = str(error) or type(error).__name__
            raise ExchangeUnavailableError(f"{path}: {told} ({url}); check the network, or ask again later") from error

    def _refuse(self, answer: httpx.Response, path: str, budget: WeightBudget) -> NoReturn:
        """Raise what an answer other than 200 means."""
        status = answer.status_code
        if status == 404:
            raise NotPublishedError(
                f"{path}: Binance's archive has no such file; a day is published on the next one, a month on the first "
                "Monday of the next one, and nothing of the time before a market began"
            )
        pause = _seconds(answer.headers.get("retry-after"))
        if status in (418, 429) or (status == 503 and pause is not None):
            if pause is not None:
                budget.pause(pause)
            raise RateLimitedError(f"{path}: HTTP {status} from {self._base}", retry_after=pause)
        raise ExchangeUnavailableError(f"{path}: HTTP {status} from {self._base} is not an answer")


def _seconds(header: str | None) -> float | None:
    """The seconds of a Retry-After header; None for none, and for dates, which nobody sends here."""
    return float(header) if header is not None and header.isdecimal() and len(header) < 7 else None
