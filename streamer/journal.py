"""The write-ahead journal: what was handed in, on disk in group commits, until its destination has it.

Belongs here: the thread that writes, what waits, and when intake stops. Does not: the file itself (journal_file.py), the
bytes of entries (journal_records.py), delivering (row_drain.py, part_drain.py).

Methods may be called from any thread and return at once. One thread commits everything that came meanwhile in one
transaction, so the disk's slowness makes groups larger, not the line longer. What is committed is no longer in memory.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import structlog

from market_platform.domain.clock import Clock, to_ms
from market_platform.domain.trades import MAX_UNITS
from streamer.journal_file import (
    INSERT_ROWS,
    INSERT_TICKS,
    SAVE_LAST_ID,
    Backlog,
    JournalFile,
    load_backlog,
    load_last_ids,
    load_pairs,
)
from streamer.journal_records import (
    NO_PAIR,
    TICK_KINDS,
    DeadLetterRecord,
    JournalPair,
    Kind,
    StreamDayRecord,
    encode_entry,
)
from streamer.sink import DeadLetter, IntakeStoppedError

log = structlog.get_logger(__name__)

Key = tuple[int, Kind]
FreeBytes = Callable[[Path], int]

GROUP_S = 0.02
"""How long a commit waits for more ticks; rows and whoever waits for a commit make it start at once."""
ENTRY_COUNT = 1_000
"""Events in an entry at most."""
MAX_PENDING = 200_000
"""Events in memory at most: a disk that is so far behind stops intake."""
MAX_LETTERS = 1_000
"""Dead letters in memory at most while nothing can be written; more are only logged."""
RETRY_S = 1.0
CHECK_S = 1.0
_VACUUM_S = 10.0
_VACUUM_PAGES = 2_000


def free_bytes(path: Path) -> int:
    """What is left for us on the disk of a path."""
    return shutil.disk_usage(path).free


class _Written(NamedTuple):
    """What a transaction wrote of a pair and kind: events, the number of the last entry, the highest trade id."""

    key: Key
    events: int
    seq: int
    newest: int | None


@dataclass(slots=True)
class _Group:
    """What one transaction will write, and how far deliveries came since the last."""

    items: dict[Key, list[Any]] = field(default_factory=dict)
    pairs: dict[int, JournalPair] = field(default_factory=dict)
    ticks_done: dict[Key, int] = field(default_factory=dict)
    rows_done: int = 0
    count: int = 0
    number: int = 0

    def join(self, later: _Group) -> None:
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


class Journal:
    """The journal of one process. `on_change` is called, from the journal's thread, after every commit and failure."""

    def __init__(
        self,
        folder: Path,
        *,
        min_free_mb: int,
        clock: Clock,
        on_change: Callable[[], None],
        free: FreeBytes = free_bytes,
    ) -> None:
        self.file = JournalFile(folder)
        self.write_problem: str | None = None
        self._space_problem: str | None = None
        self._min_free = min_free_mb << 20
        self._free = free
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._work, self._urgent, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._next = _Group(number=1)
        self._committed = 0
        self._in_hand = 0
        self._letters = 0
        self._backlog: dict[Key, Backlog] = {}
        self._ticks_done: dict[Key, int] = {}
        self._rows_done = 0
        self._rows = Backlog(0, 0, 0)
        self._last_ids: dict[int, int] = {}
        self._known_pairs: dict[int, JournalPair] = {}
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._next_check = self._next_vacuum = 0.0

    def open(self) -> None:
        """Open the file and start the thread.

        Raises:
            ConfigError: the file can't be used; see `JournalFile.open`.
        """
        self._connection = self.file.open()
        self._known_pairs = load_pairs(self._connection)
        self._last_ids = load_last_ids(self._connection)
        self._backlog, self._rows = load_backlog(self._connection)
        self._check_space()
        self._thread.start()

    def close(self) -> None:
        """Commit what is left, if it can be, and let go of the file."""
        self._closing.set()
        self._work.set()
        self._urgent.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self.file.close()

    @property
    def alarm(self) -> str | None:
        """Why nothing is taken; None when all is well."""
        return self.write_problem or self._space_problem

    @property
    def accepting(self) -> bool:
        """Whether `add` takes anything at present."""
        return self.alarm is None and self._next.count <= MAX_PENDING

    def add(self, pair: JournalPair, kind: Kind, items: Sequence[Any]) -> None:
        """Trades, quotes or records of a pair, in order.

        Raises:
            IntakeStoppedError: nothing more is taken at present; `alarm` says why.
        """
        if not self.accepting:
            raise IntakeStoppedError(self.alarm or "the disk of the journal can't keep up")
        self._put(pair, kind, items)

    def add_letter(self, record: DeadLetterRecord) -> bool:
        """A dead letter; False when so many wait in memory that this one is dropped."""
        if self._letters >= MAX_LETTERS:
            return False
        self._letters += 1
        self._put(NO_PAIR, Kind.DEAD_LETTERS, [record])
        return True

    def ticks_delivered(
        self, key: Key, through: int, count: int, oldest_ms: int, days: Sequence[StreamDayRecord]
    ) -> None:
        """The lake has `count` events of a pair, entries up to number `through`.

        `oldest_ms` is when the next entry came, `days` tell Postgres of the parts.
        """
        with self._lock:
            was = self._backlog.pop(key)
            if was.count > count:
                self._backlog[key] = replace(was, count=was.count - count, oldest_ms=oldest_ms)
            self._ticks_done[key] = self._next.ticks_done[key] = through
        self._put(self._known_pairs[key[0]], Kind.STREAM_DAYS, days)
        self._on_change()

    def rows_delivered(self, through: int, count: int, arrived_ms: int) -> None:
        """Postgres has `count` records, entries up to number `through`, of which the last came at `arrived_ms`."""
        with self._lock:
            self._rows = replace(self._rows, count=self._rows.count - count, oldest_ms=arrived_ms)
            self._rows_done = self._next.rows_done = through
        self._work.set()
        self._on_change()

    def ticks_done(self, key: Key) -> int:
        """The number of the last entry of a pair and kind that the lake has."""
        return self._ticks_done.get(key, 0)

    @property
    def rows_done(self) -> int:
        """The number of the last entry that Postgres has."""
        return self._rows_done

    def hurry(self) -> int:
        """Commit at once; the number of the group that holds everything added before."""
        with self._lock:
            number = self._next.number if self._next else self._in_hand
        self._urgent.set()
        self._work.set()
        return number

    def is_committed(self, number: int) -> bool:
        """Whether that group is on disk."""
        return self._committed >= number

    def last_trade_id(self, pair_id: int) -> int | None:
        """The highest trade id of a pair that was ever on disk here."""
        return self._last_ids.get(pair_id)

    def backlog(self) -> dict[Key, Backlog]:
        """What waits for the lake, by pair and kind."""
        with self._lock:
            return dict(self._backlog)

    @property
    def rows_backlog(self) -> Backlog:
        """What waits for Postgres."""
        return self._rows

    def _put(self, pair: JournalPair, kind: Kind, items: Sequence[Any]) -> None:
        if not items:
            return
        with self._lock:
            group = self._next
            held = group.items.get((pair.id, kind))
            if held is None:
                group.items[pair.id, kind] = list(items)
                if self._known_pairs.get(pair.id) != pair:
                    group.pairs[pair.id] = pair
            else:
                held.extend(items)
            group.count += len(items)
        if not self._work.is_set():
            self._work.set()
        if kind not in TICK_KINDS and not self._urgent.is_set():
            self._urgent.set()

    def _run(self) -> None:
        group = _Group()
        while True:
            if not group:
                self._work.wait(CHECK_S)
                if self._work.is_set() and not self._closing.is_set():
                    self._urgent.wait(GROUP_S)
            closing = self._closing.is_set()
            self._work.clear()
            self._urgent.clear()
            group.join(self._take())
            self._check_space_sometimes()
            if group and self._commit(group):
                group = _Group()
            elif group and not closing:
                self._closing.wait(RETRY_S)
            if closing:
                return

    def _take(self) -> _Group:
        with self._lock:
            taken, number = self._next, self._next.number
            if taken:
                self._next = _Group(number=number + 1)
                self._in_hand = number
                return taken
            return _Group(number=self._in_hand)

    def _commit(self, group: _Group) -> bool:
        connection = self._connection
        assert connection is not None
        arrived = to_ms(self._clock())
        try:
            connection.execute("BEGIN IMMEDIATE")
            written = self._write(connection, group, arrived)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if self.write_problem is None:
                log.exception("intake_stopped")
            self.write_problem = (
                f"the journal {self.file.path} can't be written ({error}); nothing more is taken until it can"
            )
            self._on_change()
            return False
        if self.write_problem is not None:
            log.warning("intake_resumed")
            self.write_problem = None
        self._note(group, written, arrived)
        self._on_change()
        self._vacuum_sometimes(connection)
        return True

    def _write(self, connection: sqlite3.Connection, group: _Group, arrived: int) -> list[_Written]:
        for key, through in group.ticks_done.items():
            connection.execute("DELETE FROM ticks WHERE pair_id = ? AND kind = ? AND seq <= ?", (*key, through))
        if group.rows_done:
            connection.execute("DELETE FROM rows WHERE seq <= ?", (group.rows_done,))
        for pair in group.pairs.values():
            document = msgspec.msgpack.encode(pair)
            connection.execute("INSERT OR REPLACE INTO pairs (id, document) VALUES (?, ?)", (pair.id, document))
        return [self._write_items(connection, key, group.items, arrived) for key in group.items]

    def _write_items(
        self, connection: sqlite3.Connection, key: Key, all_items: dict[Key, list[Any]], arrived: int
    ) -> _Written:
        pair_id, kind = key
        insert = INSERT_TICKS if kind in TICK_KINDS else INSERT_ROWS
        try:
            contents = _entries(kind, all_items[key])
        except (OverflowError, ValueError):
            all_items[key] = self._storable(kind, all_items[key])
            contents = _entries(kind, all_items[key])
        seq = 0
        for count, content in contents:
            cursor = connection.execute(insert, (pair_id, int(kind), count, arrived, content))
            seq = cursor.lastrowid or 0
        items = all_items[key]
        newest = None
        if kind is Kind.TRADES and items:
            newest = max(each.trade_id for each in items)
            connection.execute(SAVE_LAST_ID, (pair_id, newest))
        return _Written(key, len(items), seq, newest)

    def _storable(self, kind: Kind, items: Sequence[Any]) -> list[Any]:
        """Those of the items that bytes can hold; the others become dead letters."""
        kept = []
        for each in items:
            try:
                _entries(kind, [each])
            except (OverflowError, ValueError) as error:
                reason = f"the journal can't hold it: {error}"
                letter = DeadLetter("", kind.name.lower(), reason, repr(each), self._clock())
                self.add_letter(DeadLetterRecord.of(letter))
            else:
                kept.append(each)
        return kept

    def _note(self, group: _Group, written: Sequence[_Written], arrived: int) -> None:
        with self._lock:
            for key, count, seq, newest in written:
                if key[1] in TICK_KINDS and count:
                    was = self._backlog.get(key, Backlog(0, arrived, 0))
                    self._backlog[key] = Backlog(was.count + count, was.oldest_ms, seq)
                elif count:
                    oldest = self._rows.oldest_ms if self._rows.count else arrived
                    self._rows = Backlog(self._rows.count + count, oldest, max(seq, self._rows.last_seq))
                if newest is not None:
                    self._last_ids[key[0]] = max(newest, self._last_ids.get(key[0], newest))
            self._known_pairs |= group.pairs
            self._letters -= len(group.items.get((NO_PAIR.id, Kind.DEAD_LETTERS), ()))
            self._committed = group.number

    def _check_space_sometimes(self) -> None:
        if time.monotonic() >= self._next_check:
            self._check_space()

    def _check_space(self) -> None:
        """Stop intake before the disk is full, and take up again when there is a tenth more than the least."""
        self._next_check = time.monotonic() + CHECK_S
        before, free = self._space_problem, self._free(self.file.path.parent)
        if free < self._min_free:
            self._space_problem = (
                f"the disk of the journal {self.file.path} has only {free >> 20} MB left, less than JOURNAL_MIN_FREE_MB = "
                f"{self._min_free >> 20}; nothing more is taken until there is room"
            )
        elif free >= self._min_free * 11 // 10:
            self._space_problem = None
        if (before is None) != (self._space_problem is None):
            log.warning("intake_resumed" if self._space_problem is None else "intake_stopped", free_mb=free >> 20)
            self._on_change()

    def _vacuum_sometimes(self, connection: sqlite3.Connection) -> None:
        """Give pages back to the disk after a long outage was delivered."""
        now = time.monotonic()
        if now < self._next_vacuum:
            return
        self._next_vacuum = now + _VACUUM_S
        if connection.execute("PRAGMA freelist_count").fetchone()[0] > 2 * _VACUUM_PAGES:
            connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()


def _entries(kind: Kind, items: Sequence[Any]) -> list[tuple[int, bytes]]:
    """The items as entries of at most `ENTRY_COUNT`."""
    if kind is Kind.TRADES and any(each.trade_id >= MAX_UNITS for each in items):
        raise OverflowError("an id has more than 62 bits")
    parts = [items[start : start + ENTRY_COUNT] for start in range(0, len(items), ENTRY_COUNT)]
    return [(len(part), encode_entry(kind, part)) for part in parts]
