"""Where the two databases are: the one place that decides, from the settings, which database a process opens, and as what.

    realtime    DATABASE_URL, or the embedded server's
    training    TRAINING_DATABASE_URL, or TRAINING_DATABASE on the realtime one's server; neither set: the realtime one

Belongs here: that decision, opening a database for writing as what it must be, bringing a database to the configuration. Does
not: what a database says of itself (warehouse/database_role.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from market_platform.domain.databases import Database
from market_platform.domain.errors import ConfigError
from market_platform.embedded.postgres_home import home_of, read_state
from market_platform.embedded.postgres_processes import pid_file
from market_platform.embedded.record import is_locked
from market_platform.settings import Settings

if TYPE_CHECKING:
    from market_platform.starlistings import StarlistingsConfig
    from market_platform.warehouse.engine import Warehouse
    from market_platform.warehouse.reference import ReferenceDiff

FALLBACK_NOTICE = (
    "no training database is set (TRAINING_DATABASE_URL, TRAINING_DATABASE), so this uses the realtime database"
)
"""What a command says once, on standard error, when training data is kept in the realtime database."""


@dataclass(frozen=True, slots=True)
class FoundDatabase:
    """A database as the settings name it. `role` is what it must say of itself before anything is written to it."""

    database: Database
    role: Database
    url: str

    @property
    def falls_back(self) -> bool:
        """Whether this is the realtime database because no training database is set."""
        return self.database != self.role


def has_training_database(settings: Settings) -> bool:
    """Whether training data has a database of its own."""
    return settings.training_database_url is not None or settings.training_database is not None


def find_database(settings: Settings, database: Database = "realtime") -> FoundDatabase:
    """The database that data of that kind is kept in.

    Raises:
        ConfigError: there is none yet, or two settings name the training database; says what to do.
    """
    if database == "realtime":
        return FoundDatabase(database, database, _realtime_url(settings))
    if settings.training_database_url is not None:
        if settings.training_database is not None:
            raise ConfigError("TRAINING_DATABASE_URL and TRAINING_DATABASE both name the training database; unset one")
        return FoundDatabase(database, database, _plain(settings.training_database_url.get_secret_value()))
    if settings.training_database is not None:
        return FoundDatabase(database, database, _beside(_realtime_url(settings), settings.training_database))
    return FoundDatabase(database, "realtime", _realtime_url(settings))


def find_database_url(settings: Settings, database: Database = "realtime") -> str:
    """URL of the database that data of that kind is kept in.

    Raises:
        ConfigError: as `find_database`.
    """
    return find_database(settings, database).url


def find_shared_url(settings: Settings) -> str | None:
    """The database in which processes count together what they ask of exchanges, whichever they write to: the realtime one.

    None where there is none, on a machine that has the training database alone.
    """
    try:
        return _realtime_url(settings)
    except ConfigError:
        return None


@contextmanager
def open_database(settings: Settings, database: Database = "realtime", *, pool_size: int = 1) -> Iterator[Warehouse]:
    """That database behind a pool of its own; nothing can be written through it when it is the other one.

    Raises:
        ConfigError: as `find_database`.
    """
    from market_platform.warehouse.engine import create_warehouse

    found = find_database(settings, database)
    warehouse = create_warehouse(found.url, pool_size=pool_size, timeout_s=settings.database_timeout_s, role=found.role)
    try:
        yield warehouse
    finally:
        warehouse.close()


def claim_database(settings: Settings, database: Database = "realtime") -> bool:
    """Note in a new, migrated database what it is; False when it said so already.

    Raises:
        WrongDatabaseError: it is the other one, it is nobody's and has pairs, or both settings name the same one.
        WarehouseError: a database does not answer.
    """
    from market_platform.warehouse.database_role import claim_role, load_role

    with open_database(settings, database) as warehouse:
        with warehouse.connect() as connection:
            known = load_role(connection)
        if known is None:
            require_two_databases(settings, warehouse)
        with warehouse.begin_unchecked() as connection:
            return claim_role(connection, warehouse.role or "realtime")


def migrate_database(settings: Settings, database: Database = "realtime", *, wait_s: float = 30.0) -> list[str]:
    """Bring a database to this code's schema, making it when there is none, and claim it; names of what was applied.

    Raises:
        WrongDatabaseError: it is the other one; nothing was applied.
        WarehouseError: it does not answer, or a migration failed.
    """
    from market_platform.warehouse.database_role import ROLE_MIGRATION, load_role
    from market_platform.warehouse.migrations import applied, migrate, wait_for_database

    found = find_database(settings, database)
    wait_for_database(found.url, wait_s)
    if ROLE_MIGRATION in applied(found.url):
        with open_database(settings, database) as warehouse, warehouse.connect() as connection:
            claimed = load_role(connection) is not None
        if claimed:
            claim_database(settings, database)
    done = migrate(found.url)
    claim_database(settings, database)
    return done


def require_two_databases(settings: Settings, training: Warehouse) -> None:
    """Do nothing when `training` is opened as another database than the realtime one, or is the realtime one itself.

    Raises:
        WrongDatabaseError: TRAINING_DATABASE_URL is another spelling of DATABASE_URL.
        WarehouseUnavailableError: one of them does not answer, so that nobody can say.
    """
    from market_platform.warehouse.database_role import require_another_database
    from market_platform.warehouse.engine import create_warehouse

    if training.role != "training":
        return
    url = find_shared_url(settings)
    if url is None:
        return
    realtime = create_warehouse(url, pool_size=1, timeout_s=settings.database_timeout_s)
    try:
        require_another_database(training, realtime)
    finally:
        realtime.close()


def sync_database(
    settings: Settings, database: Database = "realtime", *, file: Path | None = None, dry_run: bool = False
) -> ReferenceDiff:
    """Bring a database to its file (or another one); what the file of the other kind lists in the same database stays.

    Raises:
        ConfigError: a file has a mistake, or the two files contradict each other in one database.
        WrongDatabaseError: it is the other database.
        WarehouseError: it does not answer, or lacks migrations.
    """
    from market_platform.warehouse.reference import sync_reference

    config = load_config(settings, database, file)
    shared = not has_training_database(settings)
    if not dry_run:
        claim_database(settings, database)
    with open_database(settings, database) as warehouse, warehouse.begin_unchecked() as connection:
        return sync_reference(connection, config, dry_run=dry_run, database=database, shared=shared)


def config_file(settings: Settings, database: Database) -> Path:
    """The file that lists what a database is for."""
    return settings.starlistings_file if database == "realtime" else settings.training_stars_file


def load_config(settings: Settings, database: Database, file: Path | None = None) -> StarlistingsConfig:
    """That file, read and checked.

    Raises:
        ConfigError: naming every mistake in it.
    """
    from market_platform.starlistings import load_starlistings

    return load_starlistings(file if file is not None else config_file(settings, database))


def _realtime_url(settings: Settings) -> str:
    if settings.database_url is not None:
        return _plain(settings.database_url.get_secret_value())
    state = read_state(settings.postgres_dir.absolute())
    if state is None:
        raise ConfigError("no database yet: start the embedded one with `market-platform up`, or set DATABASE_URL")
    data = home_of(settings.postgres_dir.absolute(), state) / "data"
    with contextlib.suppress(PermissionError):
        if not pid_file(data) and not is_locked(settings):
            raise ConfigError(
                "the embedded database does not run: start it with `market-platform up`, or set DATABASE_URL to another"
            )
    return state.url()


def _plain(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{'postgresql' if scheme in ('postgres', 'postgresql+psycopg') else scheme}://{rest}"


def _beside(url: str, name: str) -> str:
    """The same server and login, another database."""
    parts = urlsplit(url)
    options = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key != "dbname"])
    return f"{parts.scheme}://{parts.netloc}/{name}{f'?{options}' if options else ''}"
