"""Connections to Postgres: a bounded pool, every wait limited, errors that say where and what to do.

Belongs here: making the engine and translating the driver's connection errors. Does not: queries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from sqlalchemy import Connection, Engine, create_engine, exc

from market_platform.domain.databases import Database
from market_platform.domain.errors import SchemaMismatchError, WarehouseUnavailableError
from market_platform.warehouse.database_role import is_new, require_role
from market_platform.warehouse.urls import libpq_url, shown_url, sqlalchemy_url

_LOST_AGAINST_ANOTHER = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
    errors.QueryCanceled,
)


_ROLE_FOUND = "database_role"
"""Where a pooled connection notes that its database is the right one."""


class Warehouse:
    """A database of the platform's schema behind a bounded pool of connections.

    `role` is which of the two databases it must be for anything to be written through it; None is either.
    """

    def __init__(self, url: str, engine: Engine, role: Database | None = None) -> None:
        self.url = libpq_url(url)
        self.engine = engine
        self.role = role

    @property
    def name(self) -> str:
        """`host:port/database`, for messages."""
        return shown_url(self.url)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a transaction: committed when the block ends, rolled back when it raises.

        Raises:
            WarehouseUnavailableError: Postgres does not answer, refuses the login, or all pooled connections are taken.
            WrongDatabaseError: it is not of this warehouse's role.
        """
        with self.connect() as conn:
            self._require_role(conn)
            with conn.begin():
                yield conn

    @contextmanager
    def begin_unchecked(self) -> Iterator[Connection]:
        """The same for what must work before a database's role is known: claiming it."""
        with self.connect() as conn, conn.begin():
            yield conn

    def check_role(self, *, may_be_new: bool = False) -> None:
        """Do nothing when this may be written to; what `begin` finds out before it begins.

        With `may_be_new`, a database that nobody has claimed and that has no pairs will do: it is still to be synced.

        Raises:
            WarehouseUnavailableError: Postgres does not answer, refuses the login, or all pooled connections are taken.
            WrongDatabaseError: it is not of this warehouse's role.
        """
        with self.connect() as conn:
            if not (may_be_new and is_new(conn)):
                self._require_role(conn)

    def _require_role(self, conn: Connection) -> None:
        """Ask once a connection: a server's address may come to mean another server while a process lives."""
        if self.role is None or conn.info.get(_ROLE_FOUND) == self.role:
            return
        require_role(conn, self.role)
        conn.rollback()
        conn.info[_ROLE_FOUND] = self.role

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for reading; what it changed is rolled back at the end.

        Raises:
            WarehouseUnavailableError: Postgres does not answer, refuses the login, or all pooled connections are taken.
        """
        with translated_errors(self.url), self.engine.connect() as conn:
            yield conn

    def close(self) -> None:
        """Close the pool's idle connections; those in use close when they come back."""
        self.engine.dispose()


def create_warehouse(
    url: str,
    *,
    pool_size: int = 10,
    timeout_s: float = 3.0,
    lock_timeout_s: float = 60.0,
    role: Database | None = None,
) -> Warehouse:
    """A warehouse on that database; nothing is connected before the first use.

    `timeout_s` limits both connecting and waiting for a free connection of the pool, `lock_timeout_s` waiting for another
    transaction. With `role`, transactions begin only on the database that is it.
    """
    engine = create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout_s,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=connect_options(timeout_s, lock_timeout_s),
    )
    return Warehouse(url, engine, role)


def connect_options(timeout_s: float, lock_timeout_s: float = 60.0) -> dict[str, Any]:
    """Settings for every connection: time limits, dead-peer detection, and UTC as the session's zone."""
    session = {
        "timezone": "UTC",
        "datestyle": "ISO",
        "lock_timeout": f"{round(lock_timeout_s * 1000)}ms",
        "statement_timeout": "10min",
        "idle_in_transaction_session_timeout": "10min",
    }
    return {
        "connect_timeout": max(2, round(timeout_s)),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "application_name": "market-platform",
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
    }


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Turn the driver's errors that are not about a statement's own content into ours, without the password.

    Raises:
        WarehouseUnavailableError: no connection, a lost one, none free, or a transaction that lost against another.
        SchemaMismatchError: a table or column of this code's schema is not there.
    """
    try:
        yield
    except exc.TimeoutError:
        raise WarehouseUnavailableError(
            f"every pooled connection to {shown_url(url)} is in use; try again, or raise DATABASE_POOL_SIZE"
        ) from None
    except (exc.DBAPIError, psycopg.Error) as error:
        original = error.orig if isinstance(error, exc.DBAPIError) else error
        if is_connection_error(original):
            raise WarehouseUnavailableError(unreachable_message(url, original)) from None
        if isinstance(original, _LOST_AGAINST_ANOTHER):
            raise WarehouseUnavailableError(
                f"another transaction on {shown_url(url)} was in the way ({original.diag.message_primary}); try again"
            ) from None
        if isinstance(original, errors.UndefinedTable | errors.UndefinedColumn):
            raise SchemaMismatchError(
                f"the database {shown_url(url)} is not of this version: {original.diag.message_primary}; "
                "run `market-platform migrate`"
            ) from None
        raise


def is_connection_error(error: BaseException | None) -> bool:
    """Whether the driver's error is about the connection or the server's resources, not about a statement."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate[:2] in ("08", "28", "3D", "53") or error.sqlstate[:3] == "57P"


def unreachable_message(url: str, error: BaseException | None) -> str:
    """What happened to the connection, and what the user can do; one line, no secrets."""
    reason = _reason(error)
    if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "").startswith("53"):
        return f"Postgres at {shown_url(url)} has run out of something: {reason}"
    if "authentication failed" in reason or re.search(r'role ".*" does not exist', reason):
        advice = "Correct the user and the password in DATABASE_URL"
    elif re.search(r'database ".*" does not exist', reason):
        advice = (
            "Correct DATABASE_URL, or make the database with `market-platform migrate`; if it is the training database, correct "
            "TRAINING_DATABASE_URL or TRAINING_DATABASE, or run `market-platform migrate --database training`"
        )
    else:
        advice = "Is it running (`market-platform status`), and is DATABASE_URL right?"
    return f"Postgres at {shown_url(url)} can't be used: {reason}. {advice}"


def _reason(error: BaseException | None) -> str:
    """The driver's message without the address, which we name ourselves, and without its own guess at the cause."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = re.sub(r"^connection failed: ", "", text)
    text = re.sub(r'^connection to server at "[^"]*"(?: \([^)]*\))?, port \d+ failed: ', "", text)
    return text.partition(" Is the server running")[0].removeprefix("FATAL: ").rstrip(".")
