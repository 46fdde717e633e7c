"""One pump for all streams: what happened since the last beat, made into messages once and given to all who subscribed.

Belongs here: the beat, feeds and their subscribers. Does not: messages (each exchange makes its own), sockets (outlet.py).
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.feed import Feed, Slice
from market_platform.replay.live.outlet import Outlet
from market_platform.replay.live.tape import MINUTE_MS, Minute
from market_platform.replay.live.world import World

BEAT_S = 0.05


@dataclass(slots=True)
class _Line:
    """A feed and who hears it; `wrap` makes of its messages what one kind of subscriber is sent."""

    feed: Feed
    subscribers: dict[Outlet, Callable[[list[bytes]], list[bytes]]] = field(default_factory=dict)
    ready: bool = True


class Hub:
    """All feeds that somebody hears. Belongs to the server's event loop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._lines: dict[str, _Line] = {}
        self._outlets: set[Outlet] = set()
        self._task: asyncio.Task[None] | None = None
        self._at_ms = 0
        self._workers = ThreadPoolExecutor(1, "replay candles")

    @property
    def at_ms(self) -> int:
        """Until when subscribers have been told what happened."""
        return self._at_ms

    def open(self, outlet: Outlet) -> None:
        """Let an outlet be flushed at every beat."""
        self._outlets.add(outlet)
        if self._task is None or self._task.done():
            self._at_ms = self.world.clock.now_ms()
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(_report)

    def close(self, outlet: Outlet) -> None:
        """Forget an outlet and all its subscriptions."""
        self._outlets.discard(outlet)
        for name in [name for name, line in self._lines.items() if outlet in line.subscribers]:
            self.unsubscribe(outlet, name)
        outlet.close()
        if not self._outlets and self._task is not None:
            self._task.cancel()
            self._task = None

    def subscribe(
        self, outlet: Outlet, key: str, make: Callable[[], Feed], wrap: Callable[[list[bytes]], list[bytes]]
    ) -> None:
        """Send an outlet the messages of the feed of that key, from the next beat on, made what `wrap` says."""
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(make())
            self._start(line)
        line.subscribers[outlet] = wrap

    def unsubscribe(self, outlet: Outlet, key: str) -> None:
        """The opposite; the feed ends with its last subscriber."""
        line = self._lines.get(key)
        if line is not None:
            line.subscribers.pop(outlet, None)
            if not line.subscribers:
                del self._lines[key]

    def _start(self, line: _Line) -> None:
        work = line.feed.start(self._at_ms)
        if work is not None:
            line.ready = False
            done = asyncio.get_running_loop().run_in_executor(self._workers, work)
            done.add_done_callback(lambda future: self._started(line, future))

    def _started(self, line: _Line, done: asyncio.Future[None]) -> None:
        """The work is done: what took long is remembered now, so the feed can begin at the present beat."""
        done.result()
        line.feed.start(self._at_ms)
        line.ready = True

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + BEAT_S, loop.time())
            await asyncio.sleep(due - loop.time())
            self._beat()

    def _beat(self) -> None:
        start_ms, end_ms = self._at_ms, self.world.clock.now_ms()
        if end_ms > start_ms:
            self._at_ms = end_ms
            by_book: dict[CandleBook | None, list[Slice]] = {None: _clock_slices(start_ms, end_ms)}
            for line in list(self._lines.values()):
                if line.ready:
                    book = line.feed.book
                    if book not in by_book:
                        by_book[book] = _slices(book, start_ms, end_ms)
                    self._tell(line, by_book[book], end_ms)
        for outlet in list(self._outlets):
            outlet.flush()

    @staticmethod
    def _tell(line: _Line, slices: list[Slice], now_ms: int) -> None:
        messages = line.feed.messages(slices, now_ms)
        if not messages:
            return
        wrapped: dict[Callable[[list[bytes]], list[bytes]], list[bytes]] = {}
        for outlet, wrap in line.subscribers.items():
            if wrap not in wrapped:
                wrapped[wrap] = wrap(messages)
            outlet.put(line.feed.name, wrapped[wrap])


def _report(task: asyncio.Task[None]) -> None:
    """A pump that broke must not look like a market without trades."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        structlog.get_logger("market_platform.replay").error("the streams' pump broke", exc_info=error)


_NOTHING = Minute(0, [], [], [], [])


def _clock_slices(start_ms: int, end_ms: int) -> list[Slice]:
    return [Slice(start_ms, end_ms, _NOTHING, 0, 0)]


def _slices(book: CandleBook | None, start_ms: int, end_ms: int) -> list[Slice]:
    assert book is not None
    made: list[Slice] = []
    at = start_ms
    while at < end_ms:
        stop = min(end_ms, at - at % MINUTE_MS + MINUTE_MS)
        rows = book.tape.minute(at // MINUTE_MS)
        low = bisect_left(rows.times, at)
        made.append(Slice(at, stop, rows, low, bisect_left(rows.times, stop, low)))
        at = stop
    return made
