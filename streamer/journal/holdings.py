"""What the journal holds, in numbers: what waits for whom, how far deliveries came, the last trade ids.

Belongs here: counting. Does not: the entries themselves (file.py), locks (journal.py, which has one around every change).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace

from streamer.journal.file import Backlog, load_backlog, load_last_ids, load_pairs
from streamer.journal.group import Key, Written
from streamer.journal.records import TICK_KINDS, JournalPair


class Holdings:
    """`ticks` waits for the lake, by pair and kind; `rows` for Postgres. Numbers of entries that are there: `…_done`."""

    def __init__(self) -> None:
        self.pairs: dict[int, JournalPair] = {}
        self.ticks: dict[Key, Backlog] = {}
        self.rows = Backlog(0, 0, 0)
        self.ticks_done: dict[Key, int] = {}
        self.rows_done = 0
        self._last_ids: dict[int, int] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        """What is on disk from before."""
        self.pairs = load_pairs(connection)
        self._last_ids = load_last_ids(connection)
        self.ticks, self.rows = load_backlog(connection)

    def last_trade_id(self, pair: JournalPair) -> int | None:
        """The highest trade id of a pair that was ever on disk here."""
        return self._last_ids.get(pair.id) if self.pairs.get(pair.id) == pair else None

    def took(self, pairs: Mapping[int, JournalPair], written: Sequence[Written], arrived_ms: int) -> None:
        """A transaction is on disk: pairs that are new in it, and what was written."""
        for pair_id, pair in pairs.items():
            if self.pairs.get(pair_id, pair) != pair:
                self._last_ids.pop(pair_id, None)
        for key, count, seq, newest in written:
            if key[1] in TICK_KINDS and count:
                was = self.ticks.get(key, Backlog(0, arrived_ms, 0))
                self.ticks[key] = Backlog(was.count + count, was.oldest_ms, seq)
            elif count:
                oldest = self.rows.oldest_ms if self.rows.count else arrived_ms
                self.rows = Backlog(self.rows.count + count, oldest, max(seq, self.rows.last_seq))
            if newest is not None:
                self._last_ids[key[0]] = max(newest, self._last_ids.get(key[0], newest))
        self.pairs |= pairs

    def ticks_left(self, key: Key, through: int, count: int, oldest_ms: int) -> None:
        """The lake has so many more, entries up to number `through`; the next entry came at `oldest_ms`."""
        was = self.ticks.pop(key)
        if was.count > count:
            self.ticks[key] = replace(was, count=was.count - count, oldest_ms=oldest_ms)
        self.ticks_done[key] = through

    def rows_left(self, through: int, count: int, arrived_ms: int) -> None:
        """Postgres has so many more, entries up to number `through`, the last of which came at `arrived_ms`."""
        self.rows = replace(self.rows, count=self.rows.count - count, oldest_ms=arrived_ms)
        self.rows_done = through
