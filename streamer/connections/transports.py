"""The two ways in which exchanges stream: WebSocket, and lines of an HTTP answer that never ends.

Belongs here: opening, receiving a message, sending a text, closing, each within a time limit. Does not: what messages mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect

from market_platform.domain.live import ConnectionPlan, StreamLimits
from streamer.connections.failures import RefusedError, StreamEndedError

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_CLOSE_S = 1.0
_USER_AGENT = "market-platform"


class Transport(Protocol):
    """An open connection."""

    async def receive(self) -> bytes:
        """The next message. What it raises at the end, `failures.judge` understands."""
        ...

    async def send(self, text: str) -> None:
        """Send a message."""
        ...

    async def close(self) -> None:
        """Close politely, within a second; never raises."""
        ...


async def open_transport(plan: ConnectionPlan, limits: StreamLimits) -> Transport:
    """Connect, within `limits.open_timeout_s`. What it raises, `failures.judge` understands."""
    async with asyncio.timeout(limits.open_timeout_s):
        if plan.transport == "websocket":
            return await _open_websocket(plan)
        return await _open_lines(plan, limits)


class _WebSocket:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def receive(self) -> bytes:
        return await self._socket.recv(decode=False)

    async def send(self, text: str) -> None:
        await self._socket.send(text)

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2 * _CLOSE_S):
                await self._socket.close()
        self._socket.transport.abort()


async def _open_websocket(plan: ConnectionPlan) -> Transport:
    # the library's own pings are off: exchanges count them, and the silence of a connection is watched anyway
    return _WebSocket(
        await connect(
            plan.url,
            additional_headers=plan.headers,
            user_agent_header=_USER_AGENT,
            compression=None,
            open_timeout=None,
            close_timeout=_CLOSE_S,
            ping_interval=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=256,
        )
    )


class _Lines:
    def __init__(self, client: httpx.AsyncClient, response: httpx.Response) -> None:
        self._client = client
        self._response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_bytes()
        self._rest = b""
        self._lines: deque[bytes] = deque()

    async def receive(self) -> bytes:
        while not self._lines:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                raise StreamEndedError("the exchange ended the stream")
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > MAX_MESSAGE_BYTES:
                raise StreamEndedError("a line that never ends")
            self._lines.extend(line for line in map(bytes.strip, lines) if line)
        return self._lines.popleft()

    async def send(self, text: str) -> None:
        raise RuntimeError(f"a stream of lines takes no messages: {text[:80]}")

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_S):
                await self._response.aclose()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_S):
                await self._client.aclose()


async def _open_lines(plan: ConnectionPlan, limits: StreamLimits) -> Transport:
    timeout = httpx.Timeout(limits.open_timeout_s, read=limits.silence_s)
    client = httpx.AsyncClient(timeout=timeout, headers={"User-Agent": _USER_AGENT, **plan.headers})
    try:
        response = await client.send(client.build_request("GET", plan.url), stream=True)
        if response.status_code != 200:
            body = (await response.aread())[:2_000].decode("utf-8", "replace")
            await response.aclose()
            raise RefusedError(response.status_code, response.headers, body)
    except BaseException:
        await client.aclose()
        raise
    return _Lines(client, response)
