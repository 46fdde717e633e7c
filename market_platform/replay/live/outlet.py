"""One open stream connection: what waits to be sent on it, and how it misbehaves.

Belongs here: framing, sending in batches, the faults of a connection and of its messages. Does not: what is sent. Frames are
written to the transport directly, many at a time, because one ASGI message per frame would cost more than making it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from enum import Enum

from market_platform.replay.faults import CONNECTION_KINDS, MESSAGE_KINDS, FaultBook, FaultKind, FaultRule

MAX_WAITING_BYTES = 16 << 20
"""A client that lets so much pile up is dropped, as exchanges do."""


class End(Enum):
    """How a connection is to be ended by whoever serves it; `GONE` when it is over already."""

    CUT = "cut"
    REFUSED = "refused"
    GONE = "gone"


def websocket_frame(payload: bytes) -> bytes:
    """A text frame, as a server sends it: final, not masked, not compressed."""
    length = len(payload)
    if length < 126:
        return b"\x81" + bytes((length,)) + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


def http_chunk(payload: bytes) -> bytes:
    """A line of a chunked HTTP body."""
    return b"%x\r\n%b\n\r\n" % (len(payload) + 1, payload)


class Outlet:
    """What one client is sent. Belongs to the server's event loop.

    `target` is what rules of a connection search in: path, query and subscriptions. `farewell` makes the message that
    announces a shutdown; None where the exchange has none.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        frame: Callable[[bytes], bytes],
        faults: FaultBook,
        target: Callable[[], str],
        farewell: Callable[[], bytes] | None = None,
    ) -> None:
        self._transport = transport
        self._frame = frame
        self._faults = faults
        self._target = target
        self._farewell = farewell
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._held_back: bytes | None = None
        self._met: dict[int, FaultRule] = {}
        self._silent = False
        self._late_until = 0.0
        self._timers: list[asyncio.TimerHandle] = []
        self.ended: asyncio.Future[End] = self._loop.create_future()
        self.sent_at = self._loop.time()

    def put(self, name: str, payloads: Iterable[bytes]) -> None:
        """Messages of one subscription, to go with the next flush."""
        spoilers = (
            [rule for rule in self._faults.pending(MESSAGE_KINDS) if rule.pattern.search(name)]
            if self._faults.rules
            else []
        )
        for payload in payloads:
            rule = next((rule for rule in spoilers if rule.hits < rule.times), None)
            if rule is None:
                self._queue(payload)
            else:
                rule.hits += 1
                self._spoil(rule.kind, payload)

    def answer(self, payload: bytes) -> None:
        """A message about the connection itself, at once and never spoiled."""
        self._waiting.append(payload)
        self._write()

    def flush(self) -> None:
        """Send what waits, after meeting the faults that are due."""
        if self._faults.rules:
            self._meet()
        if self._waiting:
            self._write()

    def end(self, how: End) -> None:
        """Let whoever serves this connection end it."""
        if not self.ended.done():
            self.ended.set_result(how)

    def close(self) -> None:
        """Forget timers; the connection is over."""
        for timer in self._timers:
            timer.cancel()
        self._silent = True
        self._waiting.clear()
        self.end(End.GONE)

    def abort(self) -> None:
        """End the connection with a reset, which the client sees as code 1006."""
        connection: socket.socket | None = self._transport.get_extra_info("socket")
        if connection is not None and not self._transport.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        self.end(End.GONE)

    def vanish(self) -> None:
        """End the connection without a word, though in order: the client sees code 1006."""
        self._transport.close()
        self.end(End.GONE)

    def _queue(self, payload: bytes) -> None:
        self._waiting.append(payload)
        if self._held_back is not None:
            self._waiting.append(self._held_back)
            self._held_back = None

    def _spoil(self, kind: FaultKind, payload: bytes) -> None:
        match kind:
            case FaultKind.DUPLICATE:
                self._queue(payload)
                self._queue(payload)
            case FaultKind.REORDER if self._held_back is None:
                self._held_back = payload
            case FaultKind.CORRUPT:
                self._queue(corrupted(payload))
            case FaultKind.HOLE:
                pass
            case _:
                self._queue(payload)

    def _write(self) -> None:
        if self._silent or self._transport.is_closing():
            self._waiting.clear()
            return
        if self._loop.time() < self._late_until:
            return
        data = b"".join(map(self._frame, self._waiting))
        self._waiting.clear()
        self.sent_at = self._loop.time()
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_WAITING_BYTES:
            self.abort()

    def _meet(self) -> None:
        target: str | None = None
        for rule in self._faults.pending(CONNECTION_KINDS):
            if id(rule) in self._met:
                continue
            target = self._target() if target is None else target
            if rule.pattern.search(target):
                rule.hits += 1
                self._met[id(rule)] = rule
                self._carry_out(rule)

    def _carry_out(self, rule: FaultRule) -> None:
        seconds = rule.seconds or 0.0
        match rule.kind:
            case FaultKind.DROP:
                self.abort()
            case FaultKind.CLOSE_1006:
                self.vanish()
            case FaultKind.CUT:
                self._write()
                self.end(End.CUT)
            case FaultKind.SERVER_SHUTDOWN:
                if self._farewell is not None:
                    self._waiting.append(self._farewell())
                self.after(seconds, lambda: self.end(End.CUT))
            case FaultKind.HALF_OPEN:
                self._silent = True
                self._transport.pause_reading()
                self.after(seconds, self.abort)
            case FaultKind.PING_TIMEOUT:
                self._transport.pause_reading()
                self.after(seconds, self._transport.resume_reading)
            case _:
                self._late_until = self._loop.time() + seconds

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later, unless the connection is over by then."""
        self._timers.append(self._loop.call_later(seconds, act))


def corrupted(payload: bytes) -> bytes:
    """A message that lost its end on the way; one without, or with, another fault than being cut would parse by chance."""
    return payload[: max(1, len(payload) * 2 // 3)] + b'\\u00"}{'
