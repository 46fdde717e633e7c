"""Asking for one thing in either format: path and decoder chosen, retried, decoded beside the event loop, with fallback."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from market_platform.domain.clock import Clock
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.exchanges.dukascopy.config import DukascopyConfig, Format
from market_platform.exchanges.dukascopy.transport import Answer, Transport, open_transport
from market_platform.exchanges.http import retrying

Value = TypeVar("Value")
NOTHING_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Request(Generic[Value]):
    """One thing to ask for, by its path and decoder (body, what → value) in each format; `nothing` is its absence."""

    what: str
    json_path: str
    bi5_path: str
    decode_json: Callable[[bytes, str], Value]
    decode_bi5: Callable[[bytes, str], Value]
    nothing: Value


@dataclass(frozen=True, slots=True)
class Part(Generic[Value]):
    """What came, decoded, with the hash and size of the raw answer and the format it came in (`""`: not asked)."""

    value: Value
    sha256: str = NOTHING_SHA256
    size: int = 0
    source: str = ""


class Asker:
    """Both transports of one client; the limit on requests in flight holds over both."""

    def __init__(self, config: DukascopyConfig, clock: Clock) -> None:
        """Open both transports; nothing is asked yet.

        Raises:
            ConfigError: when a base URL is of no known kind or names a folder that is not there.
        """
        self._config = config
        slots = asyncio.Semaphore(config.max_in_flight)
        urls: dict[Format, str] = {"json": config.json_url, "bi5": config.bi5_url}
        self._transports: dict[Format, Transport] = {
            form: open_transport(
                url,
                user_agent=config.user_agent,
                timeout_s=config.request_timeout_s,
                attempts=config.attempts,
                slots=slots,
                clock=clock,
            )
            for form, url in urls.items()
        }

    @property
    def json_base(self) -> str:
        """The JSON API's base URL, for messages."""
        return self._transports["json"].base

    async def aclose(self) -> None:
        """Close the transports."""
        for transport in self._transports.values():
            await transport.aclose()

    async def ask(self, request: Request[Value], deadline: float) -> Part[Value]:
        """In the configured format; in bi5 when JSON is unavailable, but not when it wants a pause: that is no way round.

        Raises:
            ExchangeUnavailableError: no usable answer after finite retries.
            BadPayloadError: an answer is complete and wrong.
        """
        try:
            return await self._ask_in(self._config.transport, request, deadline)
        except RateLimitedError:
            raise
        except ExchangeUnavailableError as error:
            if self._config.transport == "bi5" or not self._config.fallback:
                raise
            try:
                return await self._ask_in("bi5", request, deadline)
            except (ExchangeUnavailableError, UnknownSymbolError) as second:
                raise ExchangeUnavailableError(f"{error}; as bi5: {second}") from second

    async def get_json(self, path: str, what: str, parse: Callable[[bytes], Value], deadline: float) -> Value | None:
        """What `parse` makes of a JSON path's body; None where the exchange has nothing under it (404).

        Raises:
            ExchangeUnavailableError, BadPayloadError: as for `ask`.
        """
        transport = self._transports["json"]

        async def once() -> Value | None:
            answer = await transport.get(path, what)
            return None if answer.missing else await _decoded(partial(parse, answer.body), answer, what)

        with _saying(transport.remedy):
            return await retrying(once, what=what, attempts=transport.attempts, deadline=deadline)

    async def _ask_in(self, form: Format, request: Request[Value], deadline: float) -> Part[Value]:
        transport, what = self._transports[form], f"{request.what} ({form})"
        path, decode = request.json_path, request.decode_json
        if form == "bi5":
            path, decode = request.bi5_path, request.decode_bi5

        async def once() -> Part[Value]:
            answer = await transport.get(path, what)
            if answer.missing or (form == "bi5" and not answer.body):
                return Part(request.nothing, source=form)

            def part() -> Part[Value]:
                value = decode(answer.body, what)
                return Part(value, hashlib.sha256(answer.body).hexdigest(), len(answer.body), form)

            return await _decoded(part, answer, what)

        remedy = transport.remedy
        if form == self._config.transport:
            remedy += f", or take the other format (DUKASCOPY_TRANSPORT={'bi5' if form == 'json' else 'json'})"
        with _saying(remedy):
            return await retrying(once, what=what, attempts=transport.attempts, deadline=deadline)


@contextmanager
def _saying(remedy: str) -> Iterator[None]:
    """Add to a wrong answer's message what a person can do about it."""
    try:
        yield
    except BadPayloadError as error:
        error.args = (f"{error}; {remedy}",)
        raise


async def _decoded(decode: Callable[[], Value], answer: Answer, what: str) -> Value:
    """Decode beside the event loop. A wrong body whose end was not announced may just be cut off: that is a failure.

    Raises:
        BadPayloadError: the body came whole and is wrong.
        ExchangeUnavailableError: it is empty, or wrong and possibly not whole.
    """
    if not answer.body:
        raise ExchangeUnavailableError(f"{what}: an empty answer where data was expected")
    try:
        return await asyncio.to_thread(decode)
    except BadPayloadError as error:
        if answer.whole:
            raise
        raise ExchangeUnavailableError(f"{error}; perhaps the connection broke") from error
