"""How bytes come from Dukascopy: over HTTP or from a folder of archived files; limits, typed failures.

A transport makes one request and says what came. No format is known here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx
import stamina

from market_platform.domain.clock import Clock
from market_platform.domain.errors import (
    ConfigError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.exchanges.http import LOOPBACK, read_body

MAX_BODY_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """A usable answer: its body, or `missing` (HTTP 404, no such file).

    `whole` says that the sender announced where the body ends and it does, so that a wrong body was sent wrong.
    """

    body: bytes
    missing: bool = False
    whole: bool = True


class Transport(Protocol):
    """One place to get paths from."""

    base: str
    attempts: int
    """How many times asking is worth it."""
    remedy: str
    """What a person can do about an answer that is whole and wrong."""

    async def get(self, path: str, what: str) -> Answer:
        """Ask once; `what` names the pair, day and hour in messages.

        Raises:
            ExchangeUnavailableError: no usable answer; asking again may help.
            RateLimitedError: the exchange wants a pause.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


def open_transport(
    base_url: str, *, user_agent: str, timeout_s: float, attempts: int, slots: asyncio.Semaphore, clock: Clock
) -> Transport:
    """The transport for a base URL: `https://…`, `http://…` or `file:///folder`. `slots` bounds requests in flight.

    Raises:
        ConfigError: for another kind of URL, or a folder that is not there.
    """
    parts = urlsplit(base_url)
    if parts.scheme == "file":
        return FolderTransport(Path(url2pathname(parts.path)))
    if parts.scheme in ("http", "https") and parts.netloc:
        return HttpTransport(
            base_url, user_agent=user_agent, timeout_s=timeout_s, attempts=attempts, slots=slots, clock=clock
        )
    raise ConfigError(f"{base_url!r} is not a base URL for Dukascopy: use https://…, http://… or file:///folder")


class HttpTransport:
    """GET requests to one host, never more in flight than `slots` allow, each within `timeout_s` altogether."""

    remedy = "ask again later"

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        timeout_s: float,
        attempts: int,
        slots: asyncio.Semaphore,
        clock: Clock,
    ) -> None:
        self.base = base_url.rstrip("/")
        self.attempts = attempts
        self._timeout_s = timeout_s
        self._slots = slots
        self._clock = clock
        self._paused_until = 0.0
        self._is_local = urlsplit(self.base).hostname in ("127.0.0.1", "localhost", "::1")
        self._client = httpx.AsyncClient(
            headers={"User-Agent": user_agent},
            timeout=timeout_s,
            verify=self.base.startswith("https:"),  # loading certificates takes 20 ms; plain HTTP has no use for them
            mounts=dict.fromkeys(LOOPBACK),  # a proxy from the environment is not for this machine itself
        )

    async def get(self, path: str, what: str) -> Answer:
        """See `Transport.get`; only 200 and 404 are answers, everything else is a failure."""
        url = f"{self.base}/{path}"
        try:
            async with self._slots:
                self._respect_pause(what)
                async with asyncio.timeout(self._timeout_s), self._client.stream("GET", url) as response:
                    if response.status_code == 404:
                        return Answer(b"", missing=True)
                    self._refuse_failure(response, what)
                    return Answer(await read_body(response, what, MAX_BODY_BYTES), whole=_announced(response))
        except (TimeoutError, httpx.TimeoutException):
            raise ExchangeUnavailableError(f"{what}: no answer within {self._timeout_s:g} s from {url}") from None
        except httpx.ConnectError as error:
            where = "start the replay exchange (`market-platform up`)" if self._is_local else "check the network"
            raise ExchangeUnavailableError(
                f"{what}: no connection to {self.base}: {error}; {where}, or ask again later"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = str(error) or type(error).__name__
            raise ExchangeUnavailableError(f"{what}: {told} ({url})") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _respect_pause(self, what: str) -> None:
        """Send nothing while the exchange wants a pause; other requests found that out already."""
        left = self._paused_until - asyncio.get_running_loop().time()
        if left > 0 and not stamina.is_testing():
            raise RateLimitedError(f"{what}: {self.base} wants a pause of {left:.0f} s more", retry_after=left)

    def _refuse_failure(self, response: httpx.Response, what: str) -> None:
        status, url = response.status_code, response.url
        if status == 429:
            pause = self._retry_after(response)
            if pause is not None:
                self._paused_until = asyncio.get_running_loop().time() + pause
            told = "without saying for how long" if pause is None else f"for {pause:g} s"
            raise RateLimitedError(f"{what}: HTTP 429, {url} wants a pause {told}", retry_after=pause)
        if status != 200:
            raise ExchangeUnavailableError(f"{what}: HTTP {status} from {url} is not an answer")
        if "text/html" in response.headers.get("content-type", ""):
            raise ExchangeUnavailableError(f"{what}: {url} answered with a web page instead of data")

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Seconds the exchange asked us to wait, from either form of the header."""
        told = response.headers.get("retry-after")
        if told is None:
            return None
        try:
            return max(0.0, float(told))
        except ValueError:
            pass
        try:
            return max(0.0, (parsedate_to_datetime(told) - self._clock()).total_seconds())
        except (ValueError, TypeError):
            return None


class FolderTransport:
    """Files below a folder, for archives people hold; a file that is not there is `missing`."""

    attempts = 1  # a file does not change by being read again
    remedy = "replace that file of the archive"

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder: a file:// base URL names one that holds Dukascopy's files")
        self.base = folder.as_uri()
        self._folder = folder

    async def get(self, path: str, what: str) -> Answer:
        """See `Transport.get`; `path` or `path.json`.

        Raises:
            UnknownSymbolError: the archive has no folder for it at all.
            ConfigError: a file can't be read.
        """
        try:
            return await asyncio.to_thread(self._read, Path(path), what)
        except OSError as error:
            raise ConfigError(f"{what}: {error}") from error

    def _read(self, path: Path, what: str) -> Answer:
        top = self._folder / path.parts[0]
        if not top.is_dir():
            there = sorted(each.name for each in self._folder.iterdir() if each.is_dir())
            raise UnknownSymbolError(
                f"{what}: the archive {self._folder} has no folder {path.parts[0]}; it has {', '.join(there) or 'none'}"
            )
        file = self._folder / path
        for candidate in (file, file.with_name(f"{file.name}.json")):
            if candidate.is_file():
                return Answer(candidate.read_bytes())
        return Answer(b"", missing=True)

    async def aclose(self) -> None:
        """Nothing to close."""


def _announced(response: httpx.Response) -> bool:
    """Whether the end of the body is known (and was reached, or reading it had failed)."""
    return "content-length" in response.headers or "transfer-encoding" in response.headers
