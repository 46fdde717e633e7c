"""Many WebSocket clients in one process that costs as little as can be: what `bench_ws` measures with.

Run as a program. Arguments are JSON: `urls` (each gets `clients` connections), `say` (what each sends first), and `frames`
(how many frames of a final message each is to get; 0: connect, and wait for the end of the input). It prints `ready` when
every client was answered `success`, and at the end one line of JSON: for each URL, for each number the moments (system
clock since boot, seconds) at which clients had it, or, with `count_only`, when the last one had everything.
"""

from __future__ import annotations

import asyncio
import json
import resource
import struct
import sys
import time
from collections import defaultdict
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

_SEQ = b'"seq":'


class Connection(asyncio.Protocol):
    """One client: sends its handshake and first message, and takes frames apart without looking into them further."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._pending = b""
        self._greeted = False
        self._frames = 0
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade, and say the first message with it."""
        self._transport = cast("asyncio.Transport", transport)
        self._group.transports.append(self._transport)
        self._transport.write(
            f"GET {self._group.path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Count what was lost."""
        self._group.lost += 1

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        now = time.monotonic()
        data = self._pending + data if self._pending else data
        start = 0
        if not self._greeted:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._pending = data
                return
            assert data.startswith(b"HTTP/1.1 101"), data[:100]
            self._greeted = True
            start = end + 4
            self._transport.write(_masked(self._group.say))
        size = len(data)
        while start + 2 <= size:
            length = data[start + 1]
            head = 2
            if length == 126:
                if start + 4 > size:
                    break
                length, head = int.from_bytes(data[start + 2 : start + 4], "big"), 4
            elif length == 127:
                if start + 10 > size:
                    break
                length, head = int.from_bytes(data[start + 2 : start + 10], "big"), 10
            if start + head + length > size:
                break
            self._take(data, start + head, start + head + length, now)
            start += head + length
        self._pending = data[start:]

    def _take(self, data: bytes, start: int, end: int, now: float) -> None:
        if not self._answered:
            if data.startswith(b'{"type":"success"', start):
                self._answered = True
                self._group.answered()
            return
        if not data.startswith(b'{"type":"candle"', start):
            return
        self._frames += 1
        if not self._group.count_only:
            at = data.index(_SEQ, start, end) + len(_SEQ)
            self._group.moments[int(data[at : data.index(b",", at)])].append(now)
        if self._frames == self._group.frames:
            self._group.finished(now)


class Group:
    """The connections to one URL."""

    def __init__(self, url: str, options: dict[str, Any], done: asyncio.Event) -> None:
        parts = urlsplit(url)
        self.host, self.port, self.path = parts.hostname or "", parts.port or 0, parts.path
        self.say: bytes = json.dumps(options["say"]).encode()
        self.clients: int = options["clients"]
        self.frames: int = options["frames"]
        self.count_only: bool = options["count_only"]
        self.moments: defaultdict[int, list[float]] = defaultdict(list)
        self.transports: list[asyncio.Transport] = []
        self.lost = 0
        self.last = 0.0
        self.ready = asyncio.Event()
        self._done = done
        self._answered = 0
        self._finished = 0

    async def connect(self) -> None:
        """Connect everyone, a few at a time, and wait for their answers."""
        loop = asyncio.get_running_loop()
        for first in range(0, self.clients, 50):
            count = min(50, self.clients - first)
            await asyncio.gather(
                *(loop.create_connection(lambda: Connection(self), self.host, self.port) for _ in range(count))
            )
        await self.ready.wait()

    def answered(self) -> None:
        """Somebody was answered."""
        self._answered += 1
        if self._answered == self.clients:
            self.ready.set()

    def finished(self, now: float) -> None:
        """Somebody has everything."""
        self._finished += 1
        self.last = now
        if self._finished == self.clients:
            self._done.set()


def _masked(text: bytes) -> bytes:
    """A client's text frame, masked with zeros."""
    assert len(text) < 65_536
    return struct.pack("!BBH4s", 0x81, 0x80 | 126, len(text), bytes(4)) + text


async def main(options: dict[str, Any]) -> None:
    """Connect, wait, print."""
    done = [asyncio.Event() for _ in options["urls"]]
    groups = [Group(url, options, each) for url, each in zip(options["urls"], done, strict=True)]
    async with asyncio.timeout(30):
        for group in groups:
            await group.connect()
    print("ready", flush=True)
    if options["frames"]:
        async with asyncio.timeout(60):
            await asyncio.gather(*(each.wait() for each in done))
    else:
        await asyncio.to_thread(sys.stdin.readline)
    result = [
        {"lost": group.lost, "last": group.last, "moments": group.moments if not group.count_only else {}}
        for group in groups
    ]
    print(json.dumps(result), flush=True)
    for group in groups:
        for transport in group.transports:
            transport.abort()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(main(json.loads(sys.argv[1])))
