"""The write-ahead journal: what was handed in, on disk in group commits, until its destination has it.

Belongs here: the thread that writes, what waits, and when intake stops. Does not: the file itself (file.py), the
bytes of entries (records.py), delivering (delivery/).

Methods may be called from any thread and return at once. One thread commits everything that came meanwhile in one
transaction, so the disk's slowness makes groups larger, not the line longer. What is committed is no longer in memory.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from market_platform.domain.clock import Clock, to_ms
from streamer.journal.file import Backlog, Entry, JournalFile
from streamer.journal.group import Group, Key, Written
from streamer.journal.holdings import Holdings
from streamer.journal.records import NO_PAIR, TICK_KINDS, DeadLetterRecord, JournalPair, Kind, StreamDayRecord
from streamer.journal.space import DiskSpace, FreeBytes, Vacuum, free_bytes
from streamer.sink import DeadLetter, IntakeStoppedError

log = structlog.get_logger(__name__)

GROUP_S = 0.02
"""How long a commit waits for more ticks; rows and whoever waits for a commit make it start at once."""
MAX_PENDING = 200_000
"""Events in memory at most: a disk that is so far behind stops intake."""
MAX_LETTERS = 1_000
"""Dead letters in memory at most while nothing can be written; more are only logged."""
RETRY_S = 1.0
IDLE_S = 1.0


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
        self._space = DiskSpace(folder, min_free_mb, free)
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._work, self._urgent, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._next = Group(number=1)
        self._committed = 0
        self._in_hand = 0
        self._letters = 0
        self._vacuum = Vacuum()
        self._held = Holdings()
        """Changed under the lock only."""
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def open(self) -> None:
        """Open the file and start the thread.

        Raises:
            ConfigError: the file can't be used; see `JournalFile.open`.
        """
        self._connection = self.file.open()
        self._held.load(self._connection)
        self._space.look()
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
        return self.write_problem or self._space.problem

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
        known = self._held.pairs.get(pair.id, pair)
        if known != pair and self._holds(pair.id):
            raise IntakeStoppedError(
                f"{pair.exchange}/{pair.symbol} has the number that {known.exchange}/{known.symbol} had in another database; "
                "it is taken when what waits of that pair is delivered"
            )
        self._put(pair, kind, items)

    def add_letter(self, record: DeadLetterRecord) -> bool:
        """A dead letter; False when so many wait in memory that this one is dropped."""
        if self._letters >= MAX_LETTERS:
            return False
        self._letters += 1
        self._put(NO_PAIR, Kind.DEAD_LETTERS, [record])
        return True

    def add_damaged(self, entry: Entry, error: Exception) -> None:
        """A dead letter of an entry that can't be read back: a disk that does not keep what it was given."""
        log.error("journal_entry_damaged", seq=entry.seq, kind=entry.kind.name, reason=str(error))
        reason = f"entry {entry.seq} of the journal, {entry.count} events, is damaged: {error}"
        letter = DeadLetter("", entry.kind.name.lower(), reason, entry.content.hex(), self._clock())
        self.add_letter(DeadLetterRecord.of(letter))

    def ticks_delivered(
        self, key: Key, through: int, count: int, oldest_ms: int, days: Sequence[StreamDayRecord]
    ) -> None:
        """The lake has `count` events of a pair, entries up to number `through`.

        `oldest_ms` is when the next entry came, `days` tell Postgres of the parts.
        """
        with self._lock:
            self._held.ticks_left(key, through, count, oldest_ms)
            self._next.ticks_done[key] = through
        self._put(self._held.pairs[key[0]], Kind.STREAM_DAYS, days)
        self._on_change()

    def rows_delivered(self, through: int, count: int, arrived_ms: int) -> None:
        """Postgres has `count` records, entries up to number `through`, of which the last came at `arrived_ms`."""
        with self._lock:
            self._held.rows_left(through, count, arrived_ms)
            self._next.rows_done = through
        self._work.set()
        self._on_change()

    def ticks_done(self, key: Key) -> int:
        """The number of the last entry of a pair and kind that the lake has."""
        return self._held.ticks_done.get(key, 0)

    @property
    def rows_done(self) -> int:
        """The number of the last entry that Postgres has."""
        return self._held.rows_done

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

    def last_trade_id(self, pair: JournalPair) -> int | None:
        """The highest trade id of a pair that was ever on disk here."""
        return self._held.last_trade_id(pair)

    def _holds(self, pair_id: int) -> bool:
        """Whether anything waits that may be that pair's."""
        with self._lock:
            waits = any(key[0] == pair_id for key in (*self._held.ticks, *self._next.items))
            return waits or bool(self._held.rows.count)

    def backlog(self) -> dict[Key, Backlog]:
        """What waits for the lake, by pair and kind."""
        with self._lock:
            return dict(self._held.ticks)

    @property
    def rows_backlog(self) -> Backlog:
        """What waits for Postgres."""
        return self._held.rows

    def _put(self, pair: JournalPair, kind: Kind, items: Sequence[Any]) -> None:
        if not items:
            return
        with self._lock:
            group = self._next
            held = group.items.get((pair.id, kind))
            if held is None:
                group.items[pair.id, kind] = list(items)
                if self._held.pairs.get(pair.id) != pair:
                    group.pairs[pair.id] = pair
            else:
                held.extend(items)
            group.count += len(items)
        if not self._work.is_set():
            self._work.set()
        if kind not in TICK_KINDS and not self._urgent.is_set():
            self._urgent.set()

    def _run(self) -> None:
        group = Group()
        while True:
            if not group:
                self._work.wait(IDLE_S)
                if self._work.is_set() and not self._closing.is_set():
                    self._urgent.wait(GROUP_S)
            closing = self._closing.is_set()
            self._work.clear()
            self._urgent.clear()
            group.join(self._take())
            if self._space.look_sometimes():
                self._on_change()
            if group and self._commit(group):
                group = Group()
            elif group and not closing:
                self._closing.wait(RETRY_S)
            if closing:
                return

    def _take(self) -> Group:
        with self._lock:
            taken, number = self._next, self._next.number
            if taken:
                self._next = Group(number=number + 1)
                self._in_hand = number
                return taken
            return Group(number=self._in_hand)

    def _commit(self, group: Group) -> bool:
        connection = self._connection
        assert connection is not None
        arrived = to_ms(self._clock())
        try:
            connection.execute("BEGIN IMMEDIATE")
            written = group.write(connection, arrived, self._refuse)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  whatever it is, it must not end this thread
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if self.write_problem is None:
                log.warning("intake_stopped", reason=str(error))
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
        self._vacuum.run_sometimes(connection)
        return True

    def _refuse(self, kind: Kind, item: Any, error: Exception) -> None:
        reason = f"the journal can't hold it: {error}"
        self.add_letter(DeadLetterRecord.of(DeadLetter("", kind.name.lower(), reason, repr(item), self._clock())))

    def _note(self, group: Group, written: Sequence[Written], arrived: int) -> None:
        with self._lock:
            self._held.took(group.pairs, written, arrived)
            self._letters -= len(group.items.get((NO_PAIR.id, Kind.DEAD_LETTERS), ()))
            self._committed = group.number
