"""What one transaction of the journal writes. Belongs here: gathering it and writing it. Does not: when (journal.py)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from market_platform.domain.trades import MAX_UNITS
from streamer.journal.file import FORGET_LAST_ID, INSERT_ROWS, INSERT_TICKS, SAVE_LAST_ID
from streamer.journal.records import TICK_KINDS, JournalPair, Kind, encode_entry

Key = tuple[int, Kind]
"""Pair id and kind."""
Refuse = Callable[[Kind, Any, Exception], None]

ENTRY_COUNT = 1_000
"""Events in an entry at most."""


class Written(NamedTuple):
    """What a transaction wrote of a pair and kind: events, the number of the last entry, the highest trade id."""

    key: Key
    events: int
    seq: int
    newest: int | None


@dataclass(slots=True)
class Group:
    """Events that came since the last transaction, and how far deliveries came. `number` counts transactions."""

    items: dict[Key, list[Any]] = field(default_factory=dict)
    pairs: dict[int, JournalPair] = field(default_factory=dict)
    ticks_done: dict[Key, int] = field(default_factory=dict)
    rows_done: int = 0
    count: int = 0
    number: int = 0

    def join(self, later: Group) -> None:
        """Take in what came after."""
        for key, items in later.items.items():
            self.items.setdefault(key, []).extend(items)
        self.pairs |= later.pairs
        self.ticks_done |= later.ticks_done
        self.rows_done = max(self.rows_done, later.rows_done)
        self.count += later.count
        self.number = later.number

    def __bool__(self) -> bool:
        return bool(self.items or self.ticks_done or self.rows_done)

    def write(self, connection: sqlite3.Connection, arrived_ms: int, refuse: Refuse) -> list[Written]:
        """Write all of it in the caller's transaction; events that no bytes can hold go to `refuse` and out of the group."""
        for key, through in self.ticks_done.items():
            connection.execute("DELETE FROM ticks WHERE pair_id = ? AND kind = ? AND seq <= ?", (*key, through))
        if self.rows_done:
            connection.execute("DELETE FROM rows WHERE seq <= ?", (self.rows_done,))
        for pair in self.pairs.values():
            document = msgspec.msgpack.encode(pair)
            connection.execute(FORGET_LAST_ID, (pair.id, document))
            connection.execute("INSERT OR REPLACE INTO pairs (id, document) VALUES (?, ?)", (pair.id, document))
        return [self._write_items(connection, key, arrived_ms, refuse) for key in self.items]

    def _write_items(self, connection: sqlite3.Connection, key: Key, arrived_ms: int, refuse: Refuse) -> Written:
        pair_id, kind = key
        try:
            entries = _entries(kind, self.items[key])
        except (OverflowError, ValueError):
            self.items[key] = _storable(kind, self.items[key], refuse)
            entries = _entries(kind, self.items[key])
        items, seq, newest = self.items[key], 0, None
        insert = INSERT_TICKS if kind in TICK_KINDS else INSERT_ROWS
        for count, content in entries:
            cursor = connection.execute(insert, (pair_id, int(kind), count, arrived_ms, content))
            seq = cursor.lastrowid or 0
        if kind is Kind.TRADES and items:
            newest = max(each.trade_id for each in items)
            connection.execute(SAVE_LAST_ID, (pair_id, newest))
        return Written(key, len(items), seq, newest)


def _storable(kind: Kind, items: Sequence[Any], refuse: Refuse) -> list[Any]:
    kept = []
    for each in items:
        try:
            _entries(kind, [each])
        except (OverflowError, ValueError) as error:
            refuse(kind, each, error)
        else:
            kept.append(each)
    return kept


def _entries(kind: Kind, items: Sequence[Any]) -> list[tuple[int, bytes]]:
    """The items as entries of at most `ENTRY_COUNT`, each with its number of events."""
    if kind is Kind.TRADES and any(each.trade_id >= MAX_UNITS for each in items):
        raise OverflowError("an id has more than 62 bits")
    parts = [items[start : start + ENTRY_COUNT] for start in range(0, len(items), ENTRY_COUNT)]
    return [(len(part), encode_entry(kind, part)) for part in parts]
