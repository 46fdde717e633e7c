"""`/health` and `/metrics` of the streamer, over plain HTTP. Belongs here: serving two documents. Does not: what they say."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from market_platform.domain.errors import ConfigError

_REQUEST_S = 5.0
_MOST_HEADERS = 100


@asynccontextmanager
async def serve(
    host: str, port: int, health: Callable[[], dict[str, Any]], metrics: Callable[[], bytes]
) -> AsyncIterator[int]:
    """Answer for as long as the context lasts; the port is given (0 takes a free one).

    Raises:
        ConfigError: the port can't be had.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            async with asyncio.timeout(_REQUEST_S):
                path = await _request(reader)
                if path == "/health":
                    reply = _reply(200, "application/json", json.dumps(health()).encode())
                elif path == "/metrics":
                    reply = _reply(200, "text/plain; version=0.0.4; charset=utf-8", metrics())
                else:
                    reply = _reply(404, "text/plain; charset=utf-8", b"/health or /metrics\n")
                writer.write(reply)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    try:
        server = await asyncio.start_server(answer, host, port)
    except OSError as error:
        raise ConfigError(
            f"the streamer can't listen on {host}:{port}: {error.strerror}; choose another port with STREAMER_METRICS_PORT"
        ) from None
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def _request(reader: asyncio.StreamReader) -> str:
    """The path that a GET asks for; empty for anything else."""
    line = await reader.readuntil(b"\n")
    for _ in range(_MOST_HEADERS):
        if not (await reader.readuntil(b"\n")).strip():
            break
    method, _, rest = line.decode("latin-1").partition(" ")
    return rest.split(" ")[0].partition("?")[0] if method == "GET" else ""


def _reply(status: int, kind: str, body: bytes) -> bytes:
    reason = "OK" if status == 200 else "Not Found"
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
