"""The journal's file: a SQLite database in WAL mode, locked by one process, of a known version.

Belongs here: opening, checking and reading it. Does not: what is written and when (journal.py).

`ticks` waits for the lake, `rows` for Postgres. An entry holds some events of one pair and kind. `synchronous=FULL`: what a
commit returned for survives a kill and a power loss.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from market_platform.domain.errors import ConfigError
from market_platform.embedded.files import try_lock
from streamer.journal.records import JournalPair, Kind

VERSION = 1
_APPLICATION_ID = 0x4D4A4E4C  # "MJNL"
_ENTRY = (
    "(seq INTEGER PRIMARY KEY AUTOINCREMENT, pair_id INTEGER NOT NULL, kind INTEGER NOT NULL, count INTEGER NOT NULL, "
    "arrived_ms INTEGER NOT NULL, content BLOB NOT NULL)"
)
_SCHEMA = (
    "CREATE TABLE pairs (id INTEGER PRIMARY KEY, document BLOB NOT NULL)",
    "CREATE TABLE last_ids (pair_id INTEGER PRIMARY KEY, trade_id INTEGER NOT NULL)",
    f"CREATE TABLE ticks {_ENTRY}",
    "CREATE INDEX ticks_by_pair ON ticks (pair_id, kind, seq, count, arrived_ms)",
    f"CREATE TABLE rows {_ENTRY}",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)
INSERT_TICKS = "INSERT INTO ticks (pair_id, kind, count, arrived_ms, content) VALUES (?, ?, ?, ?, ?)"
INSERT_ROWS = "INSERT INTO rows (pair_id, kind, count, arrived_ms, content) VALUES (?, ?, ?, ?, ?)"
SAVE_LAST_ID = (
    "INSERT INTO last_ids VALUES (?, ?) ON CONFLICT (pair_id) DO UPDATE SET trade_id = max(trade_id, excluded.trade_id)"
)
FORGET_LAST_ID = "DELETE FROM last_ids WHERE pair_id IN (SELECT id FROM pairs WHERE id = ? AND document <> ?)"
"""That of another pair that had the number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as stored; `count` is how many events its content holds."""

    seq: int
    pair_id: int
    kind: Kind
    count: int
    arrived_ms: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits of one pair and kind (or of all rows): events, when the oldest came, and the newest entry."""

    count: int
    oldest_ms: int
    last_seq: int


class JournalFile:
    """Where the journal is. The lock is held from `open` to `close`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.db"
        self._lock: int | None = None

    def open(self) -> sqlite3.Connection:
        """Lock, check and, if it is new, make the file; returns the connection to write with, for any one thread at a time.

        Raises:
            ConfigError: another process has it, it is of another version, damaged, or can't be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = try_lock(self.path.with_name("journal.lock"))
        except OSError as error:
            raise ConfigError(f"the journal {self.path} can't be written: {error.strerror}") from None
        if self._lock is None:
            raise ConfigError(
                f"the journal {self.path} is in use by another streamer; stop that one, or give this one another "
                "MARKET_DATA_DIR"
            )
        try:
            return self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def bytes(self) -> int:
        """What it takes on disk, its log included."""
        sizes = 0
        for path in (self.path, self.path.with_name("journal.db-wal")):
            try:
                sizes += path.stat().st_size
            except OSError:
                continue
        return sizes

    @contextmanager
    def reader(self) -> Iterator[JournalReader]:
        """A reader with a connection of its own, for the thread that uses it."""
        connection = sqlite3.connect(self.path, timeout=5, isolation_level=None)
        try:
            connection.execute("PRAGMA query_only = 1")
            yield JournalReader(connection)
        finally:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise ConfigError(
                f"the journal {self.path} can't be used: {error}. If it is damaged, move it away: what it still held is "
                "fetched again from the exchanges, as far as they serve it"
            ) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        application, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        is_new = (application, version) == (0, 0) and not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        if not is_new and (application, version) != (_APPLICATION_ID, VERSION):
            said = f"of version {version}" if application == _APPLICATION_ID else "of another program"
            raise ConfigError(
                f"the journal {self.path} is {said}, this program reads version {VERSION}: let the program that wrote it "
                "deliver what it holds, or move it away"
            )
        if is_new:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {64 << 20}")
        if is_new:
            connection.execute("BEGIN")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("COMMIT")


class JournalReader:
    """Reading what waits, in the order it came."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def pairs(self) -> dict[int, JournalPair]:
        """Every pair an entry may name."""
        return load_pairs(self._connection)

    def ticks(self, pair_id: int, kind: Kind, after: int, count: int) -> list[Entry]:
        """The next entries of a pair and kind, as many as it takes for `count` events."""
        return self._take(
            "SELECT seq, pair_id, kind, count, arrived_ms, content FROM ticks WHERE pair_id = ? AND kind = ? AND seq > ? "
            "ORDER BY seq",
            (pair_id, kind, after),
            count,
        )

    def oldest_tick_ms(self, pair_id: int, kind: Kind, after: int) -> int | None:
        """When the next entry of a pair and kind came."""
        row = self._connection.execute(
            "SELECT arrived_ms FROM ticks WHERE pair_id = ? AND kind = ? AND seq > ? ORDER BY seq LIMIT 1",
            (pair_id, kind, after),
        ).fetchone()
        return row[0] if row else None

    def rows(self, after: int, count: int) -> list[Entry]:
        """The next entries for Postgres, as many as it takes for `count` records."""
        return self._take(
            "SELECT seq, pair_id, kind, count, arrived_ms, content FROM rows WHERE seq > ? ORDER BY seq",
            (after,),
            count,
        )

    def _take(self, query: str, parameters: tuple[int, ...], count: int) -> list[Entry]:
        entries: list[Entry] = []
        cursor = self._connection.execute(query, parameters)
        try:
            for seq, pair_id, kind, held, arrived_ms, content in cursor:
                entries.append(Entry(seq, pair_id, Kind(kind), held, arrived_ms, content))
                count -= held
                if count <= 0:
                    break
        finally:
            cursor.close()
        return entries


def load_pairs(connection: sqlite3.Connection) -> dict[int, JournalPair]:
    """The pairs of the journal, by id."""
    rows = connection.execute("SELECT document FROM pairs")
    return {pair.id: pair for (document,) in rows for pair in (msgspec.msgpack.decode(document, type=JournalPair),)}


def load_last_ids(connection: sqlite3.Connection) -> dict[int, int]:
    """The highest trade id that was ever committed, by pair."""
    return dict(connection.execute("SELECT pair_id, trade_id FROM last_ids"))


def load_backlog(connection: sqlite3.Connection) -> tuple[dict[tuple[int, Kind], Backlog], Backlog]:
    """What waits for the lake, by pair and kind, and what waits for Postgres."""
    grouped = connection.execute("SELECT pair_id, kind, sum(count), min(arrived_ms), max(seq) FROM ticks GROUP BY 1, 2")
    ticks = {(pair_id, Kind(kind)): Backlog(*rest) for pair_id, kind, *rest in grouped}
    rows = connection.execute(
        "SELECT coalesce(sum(count), 0), coalesce(min(arrived_ms), 0), coalesce(max(seq), 0) FROM rows"
    )
    return ticks, Backlog(*rows.fetchone())
