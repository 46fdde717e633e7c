"""One starlisting: its newest messages, its subscribers, and where each of them stands.

Belongs here: numbers, and that each subscriber gets every one after its own exactly once. Does not: where rows come from
(hub.py), what a client asked for (session.py).

A subscriber *joins* at the number its history is of. A topic that is already further gives it what lies between from its
newest messages; one that is not yet as far skips for it what it has. Everything here is synchronous, so nothing can
happen in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple, Protocol

from api_service.live.listings import Listing
from api_service.live.messages import (
    bar_of_forming,
    bar_of_row,
    candle_data_frame,
    forming_data_frame,
    forming_frame,
    resync_frame,
    row_frame,
)
from api_service.live.outbox import Outbox
from market_platform.domain.clock import from_ms
from market_platform.domain.live_frames import FormingCandle
from market_platform.warehouse.series_queries import SeriesChange

RING_MESSAGES = 256
"""Newest messages kept of each starlisting: what joining and resuming clients need without asking Postgres."""


class Chart(Protocol):
    """A subscriber that draws bars: only the newest state of each matters."""

    def draw(self, time: int, bar: str) -> None:
        """Take a bar: its open time (Unix seconds) and its JSON."""

    def restart(self) -> None:
        """Read all bars anew."""


class Reader(NamedTuple):
    """A subscriber of the starlisting dialect: its outbox, and what to do when it has to read anew from `seq` on."""

    outbox: Outbox
    restart: Callable[[int], None]


class Topic:
    """The messages of one starlisting. `seq` is None until its number was read."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.seq: int | None = None
        self.epoch = 0
        self.hinted = 0
        self.unused_since: float | None = monotonic()
        self.key: Hashable = listing.id
        self.data_key: Hashable = ("data", listing.id)
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=RING_MESSAGES)
        self._readers: dict[Outbox, Reader] = {}
        self._current: set[Outbox] = set()
        self._ahead: dict[Outbox, int] = {}
        self._symbol_readers: set[Outbox] = set()
        self._charts: set[Chart] = set()
        self._closed_until: datetime | None = None

    @property
    def used(self) -> bool:
        """Whether anybody subscribes to it."""
        return bool(self._readers or self._symbol_readers or self._charts)

    def join(self, reader: Reader, seq: int) -> bool:
        """Give the reader everything after `seq`, from now on.

        False when that can't be told from memory: read what changed since, and join again.
        """
        if self.seq is None:
            return False
        if seq < self.seq:
            if not self._ring or self._ring[0][0] > seq + 1:
                return False
            missed = [frame for number, frame in self._ring if number > seq]
            reader.outbox.send(b"".join(missed))
        self._readers[reader.outbox] = reader
        if seq > self.seq:
            self._ahead[reader.outbox] = seq
        else:
            self._current.add(reader.outbox)
        self.unused_since = None
        return True

    def leave(self, outbox: Outbox) -> None:
        """The reader wants no more."""
        self._readers.pop(outbox, None)
        self._current.discard(outbox)
        self._ahead.pop(outbox, None)
        outbox.drop_state(self.key)
        self._note_use()

    def join_symbol(self, outbox: Outbox) -> None:
        """Give candles in the symbol dialect, from now on."""
        self._symbol_readers.add(outbox)
        self.unused_since = None

    def leave_symbol(self, outbox: Outbox) -> None:
        """The symbol dialect's reader wants no more."""
        self._symbol_readers.discard(outbox)
        outbox.drop_state(self.data_key)
        self._note_use()

    def join_chart(self, chart: Chart) -> None:
        """Give the chart every candle, closed or forming, from now on."""
        self._charts.add(chart)
        self.unused_since = None

    def leave_chart(self, chart: Chart) -> None:
        """The chart wants no more."""
        self._charts.discard(chart)
        self._note_use()

    def publish(self, changes: Sequence[SeriesChange]) -> tuple[int, int]:
        """Give everyone the changes after this topic's number, which must follow it one by one.

        Returns how many messages went out, and their bytes.
        """
        assert self.seq is not None
        fresh = [each for each in changes if each.seq > self.seq]
        if not fresh:
            return 0, 0
        assert fresh[0].seq == self.seq + 1
        frames = [(each.seq, row_frame(self.listing, each.kind, each.seq, each.data)) for each in fresh]
        self._ring.extend(frames)
        self.seq = fresh[-1].seq
        candles = [each for each in fresh if each.kind == "candle"]
        if candles:
            newest = max(each.time for each in candles)
            self._closed_until = max(newest, self._closed_until or newest)
        together = b"".join(frame for _, frame in frames)
        supersedes = self.key if candles else None
        for outbox in list(self._current):
            outbox.send(together, supersedes)
        for outbox, seen in list(self._ahead.items()):
            if seen <= self.seq:
                del self._ahead[outbox]
                self._current.add(outbox)
            if seen < self.seq:
                outbox.send(b"".join(frame for number, frame in frames if number > seen), supersedes)
        messages, size = len(frames) * len(self._readers), len(together) * len(self._readers)
        if candles and self._symbol_readers:
            together = b"".join(candle_data_frame(self.listing, each.seq, each.data) for each in candles)
            for outbox in list(self._symbol_readers):
                outbox.send(together, self.data_key)
            messages += len(candles) * len(self._symbol_readers)
            size += len(together) * len(self._symbol_readers)
        if self._charts:
            self._draw([bar_of_row(each.data) for each in candles])
        return messages, size

    def show(self, candle: FormingCandle) -> tuple[int, int]:
        """Give everyone the newest state of a candle that is not closed; one that is closed by now is not shown.

        Returns how many messages went out, and their bytes.
        """
        if self.seq is None or (self._closed_until is not None and from_ms(candle.time) <= self._closed_until):
            return 0, 0
        messages = size = 0
        if self._current:
            frame = forming_frame(self.listing, self.seq, candle)
            for outbox in list(self._current):
                outbox.send_state(self.key, frame)
            messages, size = len(self._current), len(frame) * len(self._current)
        if self._symbol_readers:
            frame = forming_data_frame(self.listing, self.seq, candle)
            for outbox in list(self._symbol_readers):
                outbox.send_state(self.data_key, frame)
            messages += len(self._symbol_readers)
            size += len(frame) * len(self._symbol_readers)
        if self._charts:
            self._draw([bar_of_forming(candle)])
        return messages, size

    def restart(self, epoch: int, seq: int) -> int:
        """The rows up to `seq` can't be told one by one: tell every reader to read anew. Returns how many there are."""
        self.epoch, self.seq = epoch, seq
        self._ring.clear()
        readers = list(self._readers.values())
        message = resync_frame(self.listing.id, seq)
        for reader in readers:
            self.leave(reader.outbox)
            reader.outbox.send(message, self.key)
            reader.restart(seq)
        for outbox in list(self._symbol_readers):
            outbox.send(message, self.data_key)
        for chart in list(self._charts):
            chart.restart()
        return len(readers) + len(self._symbol_readers)

    def _draw(self, bars: Sequence[tuple[int, str]]) -> None:
        for chart in list(self._charts):
            for time, bar in bars:
                chart.draw(time, bar)

    def _note_use(self) -> None:
        if not self.used and self.unused_since is None:
            self.unused_since = monotonic()
