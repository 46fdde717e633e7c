"""Which of the two databases this one is: the row of `database_role`, and the refusal to write when it is the other.

The row belongs to the database and not to its address, so a URL that is swapped, mistyped or spelt in another way can't
change what a database is. A database is claimed once, at its first migration or sync, while it has no pairs yet; later only
`market-platform db claim` changes it.

Belongs here: reading, requiring and claiming a role; whether two connections, or two processes, have one database. Does not:
which URL is which (embedded/databases.py).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from market_platform.domain.databases import Database
from market_platform.domain.errors import WrongDatabaseError
from market_platform.warehouse.urls import shown_url

if TYPE_CHECKING:
    from market_platform.warehouse.engine import Warehouse

ROLE_MIGRATION = "0010_history.sql"
"""The migration that makes the table; a database without it can't say what it is."""

_URL_SETTING = {"realtime": "DATABASE_URL", "training": "TRAINING_DATABASE_URL (or TRAINING_DATABASE)"}
_LOCK_CLASS = 0x726F6C65  # "role"; the other half of the key is random


@dataclass(frozen=True, slots=True)
class DatabaseRole:
    """What a database is, and since when."""

    role: Database
    claimed_at: datetime


def load_role(conn: Connection) -> DatabaseRole | None:
    """What this database is; None when nobody has claimed it."""
    row = conn.exec_driver_sql("SELECT role, claimed_at FROM database_role").one_or_none()
    return None if row is None else DatabaseRole(*row)


def require_role(conn: Connection, role: Database) -> None:
    """Do nothing when this database is of that role. To be called before anything is written.

    Raises:
        WrongDatabaseError: it is the other, or nobody has claimed it; says what to do.
    """
    found = load_role(conn)
    if found is None:
        raise WrongDatabaseError(
            f"{_name(conn)} does not say whether it is the realtime or the training database, so nothing was written; "
            f"{_advice_for_nobodys(conn, role)}"
        )
    if found.role != role:
        raise _wrong(conn, found, role)


def refuse_other(conn: Connection, role: Database) -> None:
    """Do nothing when this database is of that role or nobody's. For reading what is then said to be of that database.

    Raises:
        WrongDatabaseError: it is the other.
    """
    found = load_role(conn)
    if found is not None and found.role != role:
        raise _wrong(conn, found, role)


def is_new(conn: Connection) -> bool:
    """Whether nobody has claimed this database, and it has no pairs."""
    return load_role(conn) is None and not _has_pairs(conn)


def claim_role(conn: Connection, role: Database) -> bool:
    """Make a new database one of that role, in the caller's transaction; False when it is so already.

    Raises:
        WrongDatabaseError: it is of the other role, or it has pairs and nobody knows whose they are.
    """
    if is_new(conn):
        conn.exec_driver_sql(
            "INSERT INTO database_role (role) VALUES (%(role)s) ON CONFLICT DO NOTHING", {"role": role}
        )
        require_role(conn, role)
        return True
    require_role(conn, role)
    return False


def change_role(conn: Connection, role: Database) -> None:
    """Make this database one of that role whatever it was, in the caller's transaction."""
    conn.exec_driver_sql(
        "INSERT INTO database_role (role) VALUES (%(role)s) ON CONFLICT (only_row) "
        "DO UPDATE SET role = excluded.role, claimed_at = clock_timestamp() WHERE database_role.role <> excluded.role",
        {"role": role},
    )


def is_same_database(one: Warehouse, other: Warehouse) -> bool:
    """Whether both are one database, however its address is spelt.

    A lock taken through the one is seen through the other exactly when they are: that needs no privilege, and a copy of a
    server, which has the same identifiers, is told from it.

    Raises:
        WarehouseUnavailableError: one of them does not answer.
    """
    key = {"class": _LOCK_CLASS, "key": secrets.randbelow(2**31)}
    with one.begin_unchecked() as mine, other.begin_unchecked() as theirs:
        mine.exec_driver_sql("SELECT pg_advisory_xact_lock(%(class)s, %(key)s)", key)
        free: Any = theirs.exec_driver_sql("SELECT pg_try_advisory_xact_lock(%(class)s, %(key)s)", key).scalar_one()
    return not free


def require_another_database(training: Warehouse, realtime: Warehouse) -> None:
    """Do nothing when the two are two databases.

    Raises:
        WrongDatabaseError: they are one.
        WarehouseUnavailableError: one of them does not answer.
    """
    if is_same_database(training, realtime):
        raise WrongDatabaseError(
            f"{_URL_SETTING['training']} and {_URL_SETTING['realtime']} are one database, {training.name}, so nothing was "
            "written; unset the first to keep both kinds of data in it, or name another one"
        )


def describe_database(conn: Connection) -> str:
    """What another process knows this database by, and how we name it: `7412…/16385 127.0.0.1:5439/market_training`.

    The server's own identifier and the database's number on it: the same by whichever address, another one in a restored
    dump. A copy of a server's files has the same; `is_same_database` tells those apart, which takes both at one time.
    """
    identity = conn.exec_driver_sql(
        "SELECT system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "FROM pg_control_system()"
    ).scalar_one()
    return f"{identity} {_name(conn)}"


def require_described(conn: Connection, description: str, role: Database) -> None:
    """Do nothing when this is the database of that role that another process described. To be called before anything is written.

    Raises:
        WrongDatabaseError: it is another one; names both.
    """
    identity, _, name = description.partition(" ")
    found, _, here = describe_database(conn).partition(" ")
    if found != identity:
        raise WrongDatabaseError(
            f"launched for the database at {name}, but this run's own settings name another one, at {here}, so nothing was "
            f"written; set {_URL_SETTING[role]} alike in the shell that launches and where Dagster was started, best in "
            "`.env`, restart the platform and launch it again"
        )


def _wrong(conn: Connection, found: DatabaseRole, role: Database) -> WrongDatabaseError:
    setting = _URL_SETTING[role]
    instead = ", or unset it to keep both kinds of data in one database" if role == "training" else ""
    return WrongDatabaseError(
        f"{_name(conn)} is the {found.role} database (since {found.claimed_at:%Y-%m-%d}) and was opened as the {role} one, so "
        f"nothing was written; correct {setting} (are the two swapped?){instead}. What a database is changes only by "
        f"`market-platform db claim --role {role} --yes`"
    )


def _advice_for_nobodys(conn: Connection, role: Database) -> str:
    if _has_pairs(conn):
        return f"it has pairs: look whose they are, then `market-platform db claim --role {role} --yes`"
    option = " --database training" if role == "training" else ""
    return f"run `market-platform config sync{option}`"


def _has_pairs(conn: Connection) -> bool:
    return bool(conn.exec_driver_sql("SELECT EXISTS (SELECT FROM trading_pairs)").scalar_one())


def _name(conn: Connection) -> str:
    return shown_url(conn.engine.url.render_as_string(hide_password=False))
