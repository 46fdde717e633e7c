"""`bulk_loads`: loads of files into `market_ticks`, so recorded that each can be finished or taken back after any interruption.

Belongs here: the rows of `bulk_loads`, COPY of a file in one transaction with its record, deleting what a load wrote, and what
the table had before. Does not: the table's indexes (tick_indexes.py), reading files, the order of a load's steps (pipeline/).

What a file wrote is known by its transaction: every row carries the id of the transaction that wrote it (`xmin`), and the
record of the file is committed by the same one. An id comes again after four thousand million transactions; so far back a
load can't be taken back, and the counts are compared as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from market_platform.domain.errors import WarehouseError
from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.tick_indexes import dropped_indexes

LoadState = Literal["loading", "indexing", "done", "rolled_back"]
COLUMNS = ("trading_pair_id", "time", "bid", "ask", "bid_volume", "ask_volume")
_OLDEST = 1 << 31


@dataclass(frozen=True, slots=True)
class CopyPiece:
    """Rows as CSV in the order of `COLUMNS`, without a header; the first and the last of their times are among `times`."""

    csv: bytes
    times: Sequence[str]


@dataclass(frozen=True, slots=True)
class BulkLoad:
    """One row of `bulk_loads`.

    `indexes` are the dropped ones, name → definition. `progress` has `pair_id`, `pair`, `accept_floats`, `rolling_back`,
    and `files`: a list of `path` and, once the file is in, its `sha256`, `rows` and `xid`, the `first` and `last` time among
    them (None without rows) and, at the load's end, how many rows the table `already` had in that span.
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

_SPAN = "SELECT min(each)::text, max(each)::text FROM unnest(%s::timestamptz[]) AS each"

_ALREADY = """
SELECT count(*) FROM market_ticks
WHERE trading_pair_id = %s AND "time" BETWEEN %s::timestamptz AND %s::timestamptz AND NOT xmin = ANY(%s::xid[])
"""

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
        indexes = dropped_indexes(connection) if drop_indexes else {}
        row = connection.execute(_START, (Jsonb(indexes), Jsonb(progress))).fetchone()
    assert row is not None
    return BulkLoad(*row)


def copy_file(
    connection: psycopg.Connection[Any],
    load: BulkLoad,
    position: int,
    pieces: Iterable[CopyPiece],
    *,
    first_line: int,
    sha256: str,
) -> BulkLoad:
    """Write a file's rows and its record in one transaction.

    `first_line` is the number that the file's first row has in messages, `sha256` of the file's bytes.

    Raises:
        WarehouseError: Postgres refuses a value; nothing of the file stays. Whatever `pieces` raises passes, to the same effect.
    """
    files = [dict(each) for each in load.files]
    times: set[str] = set()
    try:
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(f"COPY market_ticks ({', '.join(COLUMNS)}) FROM STDIN (FORMAT csv)".encode()) as copy:
                for piece in pieces:
                    copy.write(piece.csv)
                    times.update(piece.times)
            rows = cursor.rowcount
            found = cursor.execute("SELECT pg_current_xact_id()::text").fetchone()
            span = cursor.execute(_SPAN, (list(times),)).fetchone()
            assert found is not None
            assert span is not None
            files[position] |= {"sha256": sha256, "rows": rows, "xid": found[0], "first": span[0], "last": span[1]}
            return _save(connection, load, "loading", {"files": files}, load.rows + rows)
    except (errors.DataError, errors.IntegrityError) as error:
        where = re.search(r"line (\d+)(?:, column (\w+))?", error.diag.context or "")
        line = f", line {int(where[1]) - 1 + first_line}" if where else ""
        field = f", {where[2]}" if where and where[2] else ""
        raise WarehouseError(f"{files[position]['path']}{line}{field}: {error.diag.message_primary}") from None


def count_already(connection: psycopg.Connection[Any], load: BulkLoad) -> BulkLoad:
    """Record for each file how many rows the table had in its span before it, those of earlier files of the load among them.

    Rows are told apart by the transaction that wrote them. It takes the table's index.
    """
    files = [dict(each) for each in load.files]
    for position, each in enumerate(files):
        if each.get("rows") and "first" in each:
            later = [str(int(every["xid"]) % (1 << 32)) for every in files[position:]]
            row = connection.execute(
                _ALREADY, (load.progress["pair_id"], each["first"], each["last"], later)
            ).fetchone()
            assert row is not None
            each["already"] = row[0]
    return _save(connection, load, load.state, {"files": files}, load.rows)


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


def _save(
    connection: psycopg.Connection[Any], load: BulkLoad, state: LoadState, more: dict[str, Any], rows: int
) -> BulkLoad:
    row = connection.execute(_SAVE, (state, Jsonb({**load.progress, **more}), rows, load.id)).fetchone()
    assert row is not None
    return BulkLoad(*row)
