"""What one client has not taken yet: bounded in bytes, never waited for by others.

Belongs here: the queue, conflation, and when a client is too slow. Does not: what messages mean.

As long as the peer reads, messages go to the socket at once and nothing is kept here. When the socket is full, numbered
messages queue, and of a state (a forming candle, a tick) only the newest is kept. Whoever takes nothing for `STALL_S`, or
lets more than `max_bytes` pile up, is closed with 1013.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable

from api_service.live.errors import ClientGoneError, ErrorCode
from api_service.live.messages import error_frame
from api_service.live.wire import Wire

STALL_S = 20.0
_CHUNK_BYTES = 65_536
_REASON: ErrorCode = "slow_consumer"


class Outbox:
    """The way out to one client.

    Args:
        wire: its socket.
        max_bytes: most that may wait here.
        on_slow: called once, when the client is closed for being slow.
    """

    __slots__ = (
        "_bytes",
        "_changed",
        "_loop",
        "_max_bytes",
        "_newest",
        "_on_slow",
        "_queue",
        "_slow",
        "_timer",
        "_wire",
    )

    def __init__(self, wire: Wire, max_bytes: int, on_slow: Callable[[], None]) -> None:
        self._wire = wire
        self._max_bytes = max_bytes
        self._on_slow = on_slow
        self._loop = wire.loop
        self._queue: deque[bytes] = deque()
        self._newest: dict[Hashable, bytes] = {}
        self._bytes = 0
        self._slow = False
        self._timer: asyncio.TimerHandle | None = None
        self._changed: asyncio.Event | None = None
        wire.on_change = self._on_change

    @property
    def is_blocked(self) -> bool:
        """Whether something sent now would wait here."""
        return bool(self._bytes) or not self._wire.can_write

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait here."""
        return self._bytes

    def send(self, frames: bytes, supersedes: Hashable = None) -> None:
        """Send frames in order after all others; the state `supersedes`, if it still waits, is dropped."""
        if self._wire.can_write and not self._bytes:
            self._wire.write(frames)
            return
        if supersedes is not None:
            self.drop_state(supersedes)
        self._queue.append(frames)
        self._add(len(frames))

    def send_state(self, key: Hashable, frame: bytes) -> None:
        """Send the newest state of `key`; one that still waits is replaced."""
        if self._wire.can_write and not self._bytes:
            self._wire.write(frame)
            return
        self._bytes -= len(self._newest.pop(key, b""))
        self._newest[key] = frame
        self._add(len(frame))

    def drop_state(self, key: Hashable) -> None:
        """Forget a state that still waits."""
        self._bytes -= len(self._newest.pop(key, b""))

    async def ready(self) -> None:
        """Return when nothing waits any more: what is long (history) is sent in pieces, each after this.

        Raises:
            ClientGoneError: the client closed, or was closed because it took nothing for `STALL_S`.
        """
        while self._wire.is_open and self.is_blocked:
            self._watch()
            if self._changed is None:
                self._changed = asyncio.Event()
            self._changed.clear()
            await self._changed.wait()  # the timer of `_watch` ends it
        if not self._wire.is_open:
            raise ClientGoneError

    def close(self, code: int, reason: str) -> None:
        """Close the socket after what was written; what waits here is dropped."""
        self._clear()
        self._wire.close(code, reason)
        self._wake()

    def _add(self, count: int) -> None:
        self._bytes += count
        if not self._wire.is_open:
            self._clear()
        elif self._bytes > self._max_bytes:
            self._close_slow(f"more than {self._max_bytes:,} bytes wait for you; resume with `since`")
        elif self._wire.can_write:
            self._flush()
        else:
            self._watch()

    def _on_change(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._wire.is_open:
            self._flush()
        else:
            self._clear()
        self._wake()

    def _flush(self) -> None:
        """Write what waits, numbered messages first, as long as the socket takes it."""
        while self._queue and self._wire.can_write:
            chunk = [self._queue.popleft()]
            size = len(chunk[0])
            while self._queue and size < _CHUNK_BYTES:
                chunk.append(self._queue.popleft())
                size += len(chunk[-1])
            self._bytes -= size
            self._wire.write(b"".join(chunk))
        if self._newest and self._wire.can_write:
            frames = b"".join(self._newest.values())
            self._bytes -= len(frames)
            self._newest.clear()
            self._wire.write(frames)
        if self._bytes:
            self._watch()

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(STALL_S, self._stalled)

    def _stalled(self) -> None:
        self._timer = None
        self._close_slow(f"you took nothing for {STALL_S:g} s; resume with `since`")

    def _close_slow(self, message: str) -> None:
        if self._slow or not self._wire.is_open:
            return
        self._slow = True
        self._on_slow()
        self._wire.write(error_frame(_REASON, message))
        self.close(1013, _REASON)

    def _clear(self) -> None:
        self._queue.clear()
        self._newest.clear()
        self._bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
