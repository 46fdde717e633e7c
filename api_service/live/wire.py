"""The socket of one client: uvicorn's WebSocket protocol, with a way to send one ready frame to many clients.

Belongs here: bytes, closing, and the limits of the operating system. Does not: what is sent, or to whom.

Why: ASGI's `send` frames every message for every client anew and waits for each of them. A server's frames are not masked,
so the bytes of a message are the same for all clients: they are made once and written as they are, without waiting, and
the transport says when it is full. Handshake, reading, control frames and shutdown are uvicorn's.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

MAX_MESSAGE_BYTES = 1_048_576
CLOSE_LIMIT_S = 5.0
"""How long a client may take to answer a close, or to take what was written before it."""

_EXTENSION = "market_platform.wire"
_UNANSWERED_MS = 30_000
_SEND_BUFFER_BYTES = 131_072
"""The system doubles it. Without a limit it grows to megabytes a client, and a client that reads nothing looks well."""


class Wire(WebSocketsSansIOProtocol):
    """A WebSocket of uvicorn's that its application may write to directly; see `wire_of`.

    `on_change` is called when the socket can be written to again, and when it is gone.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = _quiet_logger()
        self.conn.debug = False  # it would log handshakes and frames, with the keys in them
        self.on_change: Callable[[], None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether something that is written now can still arrive."""
        return self.handshake_complete and not (self.close_sent or self.disconnected or self.transport.is_closing())

    @property
    def can_write(self) -> bool:
        """Whether the peer has taken enough of what was written before."""
        return self.writable.is_set()

    def write(self, frames: bytes) -> None:
        """Write whole frames; nothing happens when the socket is closed."""
        if not (self.close_sent or self.disconnected):
            self.transport.write(frames)

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake. A peer that does not finish it in `CLOSE_LIMIT_S` is cut off."""
        if self.close_sent or self.disconnected:
            return
        if self.conn.state is not State.OPEN:
            self.abort()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_LIMIT_S, self.abort)

    def abort(self) -> None:
        """Cut the connection; what was not taken is lost."""
        self.transport.abort()

    def handle_connect(self, event: Request) -> None:
        """The handshake arrived: let the application find this socket in its scope."""
        super().handle_connect(event)
        if not self.close_sent:
            cast("dict[str, Any]", self.scope["extensions"])[_EXTENSION] = self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Limit what the system keeps for a peer that does not read, and how long it waits for one that is gone."""
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNANSWERED_MS)

    def handle_ping(self) -> None:
        """Answer, unless the peer does not read: its pings would pile up as our answers."""
        answers = b"".join(self.conn.data_to_send())
        if self.can_write:
            self.transport.write(answers)

    def resume_writing(self) -> None:
        """The peer took enough."""
        super().resume_writing()
        self._changed()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        super().connection_lost(exc)
        self._changed()

    def shutdown(self) -> None:
        """The server stops: say so, and don't wait for a peer that takes nothing."""
        super().shutdown()
        self.loop.call_later(1.0, self.abort)

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()


SERVER_OPTIONS: dict[str, Any] = {
    "ws": Wire,
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_per_message_deflate": False,
    "ws_ping_interval": None,
}
"""uvicorn's settings for these sockets. Its pings are off: ours are messages, and TCP_USER_TIMEOUT finds dead peers."""


def wire_of(scope: Scope) -> Wire:
    """The socket of a WebSocket's scope.

    Raises:
        RuntimeError: the server was not started with `SERVER_OPTIONS`.
    """
    wire = scope.get("extensions", {}).get(_EXTENSION)
    if wire is None:
        raise RuntimeError("WebSockets need uvicorn with SERVER_OPTIONS; start the API with `python -m api_service`")
    return cast("Wire", wire)


def _quiet_logger() -> logging.Logger:
    """Uvicorn logs each socket with its query string, which may hold a key."""
    logger = logging.getLogger("api.live.wire")
    logger.setLevel(logging.WARNING)
    return logger
