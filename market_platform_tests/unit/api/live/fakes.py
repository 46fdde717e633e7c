"""A socket that a test fills and empties by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

from api_service.live.outbox import Outbox
from api_service.live.wire import Wire


class FakeWire:
    """Takes what is written while `can_write`."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.on_change: Callable[[], None] | None = None
        self.can_write = True
        self.is_open = True
        self.written = b""
        self.closed: tuple[int, str] | None = None

    def write(self, frames: bytes) -> None:
        """Keep what is written."""
        self.written += frames

    def close(self, code: int, reason: str) -> None:
        """Be closed."""
        self.closed = (code, reason)
        self.is_open = False

    def unblock(self) -> None:
        """Be writable again, and say so."""
        self.can_write = True
        assert self.on_change is not None
        self.on_change()

    def messages(self) -> list[Any]:
        """The text frames written so far, as JSON."""
        found = []
        rest = self.written
        while rest:
            length, head = rest[1], 2
            if length == 126:
                length, head = int.from_bytes(rest[2:4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(rest[2:10], "big"), 10
            assert rest[0] == 0x81
            found.append(json.loads(rest[head : head + length], parse_float=str))
            rest = rest[head + length :]
        return found

    def outbox(self, max_bytes: int = 10_000, on_slow: Callable[[], None] = lambda: None) -> Outbox:
        """An outbox to this socket."""
        return Outbox(cast("Wire", self), max_bytes, on_slow)
