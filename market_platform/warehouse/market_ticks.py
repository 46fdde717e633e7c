"""`market_ticks`: ticks people had in Postgres before the lake.

Belongs here: the lock of those who change the table, which days it has, reading and deleting a day. Does not: what moves are
recorded (tick_moves.py), loading (bulk_loads.py).
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Connection

from market_platform.domain.errors import WarehouseError
from market_platform.warehouse.driver import Parameters, driver_connection
from market_platform.warehouse.engine import connect_options, translated_errors
from market_platform.warehouse.urls import libpq_url

PIECE_BYTES = 4 << 20
"""How much text of a COPY is handed over at once."""

_LOCK = (0x6D61726B, 0x74696373)
_LOCK_WAIT_S = 3.0
_ONE_DAY = timedelta(days=1)

_HOLDER = """
SELECT coalesce(nullif(application_name, ''), 'a session of another user') || ', Postgres process ' || pid
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid::bigint = %s AND objid::bigint = %s AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

# One look into the index a pair, and one a day: counting a table of years would take minutes.
_PAIRS = """
WITH RECURSIVE found (id) AS (
    (SELECT trading_pair_id FROM market_ticks ORDER BY trading_pair_id LIMIT 1)
    UNION ALL
    SELECT (SELECT trading_pair_id FROM market_ticks WHERE trading_pair_id > found.id ORDER BY trading_pair_id LIMIT 1)
    FROM found WHERE found.id IS NOT NULL
)
SELECT id FROM found WHERE id IS NOT NULL
"""

_DAYS = """
WITH RECURSIVE found (start) AS (
    SELECT date_trunc('day', min("time")) FROM market_ticks
    WHERE trading_pair_id = %(pair)s AND "time" >= %(first)s AND "time" < %(after)s
    UNION ALL
    SELECT (
        SELECT date_trunc('day', min("time")) FROM market_ticks
        WHERE trading_pair_id = %(pair)s AND "time" >= found.start + interval '1 day' AND "time" < %(after)s
    )
    FROM found WHERE found.start IS NOT NULL
)
SELECT start::date FROM found WHERE start IS NOT NULL
"""

_COUNT = 'SELECT count(*) FROM market_ticks WHERE trading_pair_id = %s AND "time" >= %s AND "time" < %s'

_OUTSIDE = """
SELECT count(*) FROM market_ticks
WHERE trading_pair_id = %s AND ("time" < '0001-01-01 00:00+00' OR "time" >= '9999-12-31 00:00+00')
"""

# Without the zeros at the end a row is 49 bytes of text and not 113, and is parsed in two thirds of the time.
_FIELDS = """
extract(epoch FROM "time"), trim_scale(bid), trim_scale(ask), trim_scale(bid_volume), trim_scale(ask_volume)
"""

_READ = f"""
SELECT {_FIELDS} FROM market_ticks WHERE trading_pair_id = %s AND "time" >= %s AND "time" < %s ORDER BY "time"
"""

_DELETE = f"""
WITH gone AS (
    DELETE FROM market_ticks WHERE trading_pair_id = %s AND "time" >= %s AND "time" < %s
    RETURNING "time", bid, ask, bid_volume, ask_volume
)
SELECT {_FIELDS} FROM gone ORDER BY "time"
"""


@dataclass(frozen=True, slots=True)
class TicksSession:
    """A session of its own, in autocommit, that holds the lock on the table's content while it lives."""

    connection: psycopg.Connection[Any]

    def check(self) -> None:
        """Return while the session lives, and the lock with it; raises the driver's error otherwise."""
        self.connection.execute("SELECT 1")


@contextmanager
def ticks_session(url: str, name: str) -> Iterator[TicksSession]:
    """Be the only one who moves, drops or loads legacy ticks; the lock ends with the block, or with the process.

    A session whose process was killed may live for a second; that long it is waited for. Postgres looks every second whether
    the process is still there, so that it ends an index that nobody waits for.

    Raises:
        WarehouseError: somebody else is at it.
        WarehouseUnavailableError: Postgres does not answer.
    """
    options = connect_options(3.0)
    options |= {
        "application_name": name,
        "options": f"{options['options']} -c client_connection_check_interval=1s -c statement_timeout=0",
    }
    with translated_errors(url), psycopg.connect(libpq_url(url), autocommit=True, **options) as connection:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while not _taken(connection):
            if time.monotonic() > deadline:
                row = connection.execute(_HOLDER, _LOCK).fetchone()
                raise WarehouseError(
                    f"legacy ticks are being moved or loaded already, by {row[0] if row else 'a session that has just ended'}; "
                    "try again when it is done"
                )
            time.sleep(0.2)
        yield TicksSession(connection)


def ticks_session_holder(conn: Connection) -> str | None:
    """Who moves or loads legacy ticks at the moment, or None."""
    with driver_connection(conn).cursor() as cursor:
        row = cursor.execute(_HOLDER, _LOCK).fetchone()
    return str(row[0]) if row else None


def pair_ids_with_ticks(conn: Connection) -> list[int]:
    """Ids of the pairs that have rows, sorted; the table has no foreign key, so an id may be of no pair."""
    with driver_connection(conn).cursor() as cursor:
        return [row[0] for row in cursor.execute(_PAIRS)]


def days_with_ticks(conn: Connection, trading_pair_id: int, first: date, last: date) -> list[date]:
    """The pair's UTC days that have rows, both ends included, sorted."""
    parameters = {"pair": trading_pair_id, "first": _start(first), "after": _after(last)}
    with driver_connection(conn).cursor() as cursor:
        return [row[0] for row in cursor.execute(_DAYS, parameters)]


def count_day(conn: Connection, trading_pair_id: int, day: date) -> int:
    """How many rows the pair has of a day."""
    with driver_connection(conn).cursor() as cursor:
        row = cursor.execute(_COUNT, (trading_pair_id, _start(day), _after(day))).fetchone()
    return int(row[0]) if row else 0


def count_without_day(conn: Connection, trading_pair_id: int) -> int:
    """How many rows of the pair have an infinite time, or one before year 1 or after 9999: they belong to no day."""
    with driver_connection(conn).cursor() as cursor:
        row = cursor.execute(_OUTSIDE, (trading_pair_id,)).fetchone()
    return int(row[0]) if row else 0


def read_day(conn: Connection, trading_pair_id: int, day: date) -> Generator[bytes]:
    """The day's rows as CSV without a header, in pieces of whole rows, as Postgres writes them.

    Fields: seconds since the epoch with six decimals, bid, ask, bid volume, ask volume; a NULL is an empty field. The rows are
    sorted by time, those of one time in no order.
    """
    with driver_connection(conn).cursor() as cursor:
        yield from copied_pieces(cursor, _READ, (trading_pair_id, _start(day), _after(day)))


def delete_day(conn: Connection, trading_pair_id: int, day: date) -> Generator[bytes]:
    """Delete the day's rows in the caller's transaction, and return the very rows deleted, as `read_day`."""
    with driver_connection(conn).cursor() as cursor:
        yield from copied_pieces(cursor, _DELETE, (trading_pair_id, _start(day), _after(day)))


def copied_pieces(cursor: psycopg.Cursor[Any], query: str, parameters: Parameters | None) -> Generator[bytes]:
    """The CSV of a query, in pieces of about `PIECE_BYTES`.

    Rows that have arrived are taken straight from libpq: psycopg's own loop takes 2 µs a row, this one 0.3.
    """
    pgconn = cursor.connection.pgconn
    piece = bytearray()
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv)".encode(), parameters) as copy:
        while True:
            size, row = pgconn.get_copy_data(1)
            if size == 0:  # nothing more has arrived: wait as psycopg does
                row = memoryview(copy.read())
                if not row:
                    break
            elif size < 0:
                _finish(pgconn, cursor)
                break
            piece += row
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
    if piece:
        yield bytes(piece)


def _finish(pgconn: psycopg.pq.abc.PGconn, cursor: psycopg.Cursor[Any]) -> None:
    """Take the results that follow a COPY's last row."""
    while (result := pgconn.get_result()) is not None:
        if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result, encoding=cursor.connection.info.encoding)


def _taken(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", _LOCK).fetchone()
    return bool(row and row[0])


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _after(day: date) -> datetime:
    return _start(date.max) if day == date.max else _start(day) + _ONE_DAY
