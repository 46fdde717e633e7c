"""`bulk_loads`: loads of files into `market_ticks`, so recorded that each can be finished or taken back after any interruption.

Belongs here: the rows of `bulk_loads`, COPY of a file in one transaction with its record, deleting what a load wrote, and the
table's indexes. Does not: reading files, the order of a load's steps (pipeline/bulk_load.py).

What a file wrote is known by its transaction: every row carries the id of the transaction that wrote it (`xmin`), and the
record of the file is committed by the same one. An id comes again after four thousand million transactions; so far back a
load can't be taken back, and the counts are compared as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from market_platform.domain.errors import WarehouseError
from market_platform.warehouse.driver import driver_connection

LoadState = Literal["loading", "indexing", "done", "rolled_back"]
COLUMNS = ("trading_pair_id", "time", "bid", "ask", "bid_volume", "ask_volume")
_OLDEST = 1 << 31


@dataclass(frozen=True, slots=True)
class BulkLoad:
    """One row of `bulk_loads`.

    `indexes` are the dropped ones, name → definition. `progress` has `pair_id`, `pair`, `accept_floats`, `rolling_back`, and `files`: a list of
    `path` and, once the file is in, `rows` and `xid`.
    """

    id: int
    state: LoadState
    indexes: Mapping[str, str]
    progress: dict[str, Any]
    rows: int
    started_at: datetime

    @property
    def pair(self) -> str:
        """The pair that the files are of."""
        return str(self.progress["pair"])

    @property
    def files(self) -> list[dict[str, Any]]:
        """All files of the load, in order."""
        files: list[dict[str, Any]] = self.progress["files"]
        return files

    @property
    def rolling_back(self) -> bool:
        """Whether its rows are gone already and only the indexes are to be built again."""
        return bool(self.progress.get("rolling_back"))


_READ = """
SELECT id, state, indexes, progress, rows, started_at FROM bulk_loads
WHERE table_name = 'market_ticks' AND state IN ('loading', 'indexing')
"""

_START = """
INSERT INTO bulk_loads (table_name, state, indexes, progress) VALUES ('market_ticks', 'loading', %s, %s)
RETURNING id, state, indexes, progress, rows, started_at
"""

_SAVE = """
UPDATE bulk_loads SET state = %s, progress = %s, rows = %s, changed_at = clock_timestamp() WHERE id = %s
RETURNING id, state, indexes, progress, rows, started_at
"""

# Not what a constraint needs, and nothing unique: without it rows could come that it can never be built on again.
_INDEXES = """
SELECT relname, pg_get_indexdef(indexrelid), indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = 'market_ticks'::regclass AND NOT indisunique AND NOT indisprimary
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY relname
"""

_IS_HYPERTABLE = "SELECT to_regclass('_timescaledb_catalog.hypertable') IS NOT NULL"

_GONE = """
WITH gone AS (
    DELETE FROM market_ticks WHERE trading_pair_id = %s AND xmin = ANY(%s::xid[]) RETURNING xmin::text AS writer
)
SELECT writer, count(*) FROM gone GROUP BY writer
"""


def load_open(conn: Connection) -> BulkLoad | None:
    """The load that is not over, or None; there is one at most."""
    return open_load(driver_connection(conn))


def open_load(connection: psycopg.Connection[Any]) -> BulkLoad | None:
    """As `load_open`, on the session of a load."""
    row = connection.execute(_READ).fetchone()
    return BulkLoad(*row) if row else None


def start_load(
    connection: psycopg.Connection[Any],
    pair_id: int,
    pair: str,
    files: Iterable[str],
    *,
    drop_indexes: bool,
    accept_floats: bool,
) -> BulkLoad:
    """Record a load and, in the same transaction, drop the table's indexes if it manages them.

    Raises:
        WarehouseError: the table is a hypertable, whose indexes can't be built concurrently.
    """
    listed = [{"path": path} for path in files]
    progress = {"pair_id": pair_id, "pair": pair, "accept_floats": accept_floats, "files": listed}
    with connection.transaction():
        indexes: dict[str, str] = {}
        if drop_indexes:
            timescale = connection.execute(_IS_HYPERTABLE).fetchone()
            if timescale and timescale[0]:
                raise WarehouseError(
                    "TimescaleDB does not build a hypertable's index concurrently; load without --manage-indexes"
                )
            indexes = {name: definition for name, definition, _ in connection.execute(_INDEXES).fetchall()}
            for name in indexes:
                connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        row = connection.execute(_START, (Jsonb(indexes), Jsonb(progress))).fetchone()
    assert row is not None
    return BulkLoad(*row)


def copy_file(
    connection: psycopg.Connection[Any], load: BulkLoad, position: int, pieces: Iterable[bytes], first_line: int
) -> BulkLoad:
    """Write a file's rows and its record in one transaction. Pieces are CSV in the order of `COLUMNS`, without a header.

    `first_line` is the number that the file's first row has in messages.

    Raises:
        WarehouseError: Postgres refuses a value; nothing of the file stays. Whatever `pieces` raises passes, to the same effect.
    """
    files = [dict(each) for each in load.files]
    try:
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(f"COPY market_ticks ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv)".encode()) as copy:
                for piece in pieces:
                    copy.write(piece)
            rows = cursor.rowcount
            found = cursor.execute("SELECT pg_current_xact_id()::text").fetchone()
            assert found is not None
            files[position] |= {"rows": rows, "xid": found[0]}
            return _save(connection, load, "loading", {"files": files}, load.rows + rows)
    except (errors.DataError, errors.IntegrityError) as error:
        where = re.search(r"line (\d+)(?:, column (\w+))?", error.diag.context or "")
        line = f", line {int(where[1]) - 1 + first_line}" if where else ""
        field = f", {where[2]}" if where and where[2] else ""
        raise WarehouseError(f"{files[position]['path']}{line}{field}: {error.diag.message_primary}") from None


def save_load(connection: psycopg.Connection[Any], load: BulkLoad, state: LoadState) -> BulkLoad:
    """Record the next state of a load."""
    return _save(connection, load, state, {}, load.rows)


def delete_loaded(connection: psycopg.Connection[Any], load: BulkLoad) -> BulkLoad:
    """Delete what the load has written, all of it in one transaction, and record that it is being taken back.

    Raises:
        WarehouseError: the rows are not all there as they were written; nothing is deleted.
    """
    written = [each for each in load.files if "xid" in each]
    with connection.transaction():
        now = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
        assert now is not None
        if any(int(now[0]) - int(each["xid"]) > _OLDEST for each in written):
            raise WarehouseError(f"load {load.id} is too old to be taken back; finish it with `ticks load --resume`")
        wanted = {str(int(each["xid"]) % (1 << 32)): each for each in written if each["rows"]}
        gone = dict(connection.execute(_GONE, (load.progress["pair_id"], list(wanted))).fetchall())
        for xid, each in wanted.items():
            if gone.get(xid, 0) != each["rows"]:
                raise WarehouseError(
                    f"{each['path']}: {gone.get(xid, 0):,} of the {each['rows']:,} rows it wrote are there as they were; "
                    "nothing is deleted, finish the load with `ticks load --resume`"
                )
        return _save(connection, load, "indexing", {"rolling_back": True}, 0)


def build_index(connection: psycopg.Connection[Any], name: str, definition: str) -> bool:
    """Build a dropped index again without locking out writers; False when it is there. An invalid one is built anew."""
    there = {each: valid for each, _, valid in connection.execute(_INDEXES).fetchall()}
    if there.get(name):
        return False
    connection.execute("SET lock_timeout = '10min'")  # it waits for every transaction that is older than it
    if name in there:
        connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(name)))
    connection.execute(definition.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1).encode())
    return True


def analyze(connection: psycopg.Connection[Any]) -> None:
    """Let Postgres's planner know the table's new content."""
    connection.execute("ANALYZE market_ticks")


def _save(
    connection: psycopg.Connection[Any], load: BulkLoad, state: LoadState, more: dict[str, Any], rows: int
) -> BulkLoad:
    row = connection.execute(_SAVE, (state, Jsonb({**load.progress, **more}), rows, load.id)).fetchone()
    assert row is not None
    return BulkLoad(*row)
