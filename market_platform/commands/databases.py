"""`--database realtime|training`, the same for every command that has it.

Belongs here: the option, saying once that training data falls back to the realtime database, opening the one to read, and what a
run is told of it. Does not: which database that is (embedded/databases.py), the commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.domain.databases import Database
from market_platform.domain.errors import ConfigError, WarehouseError, WrongDatabaseError

if TYPE_CHECKING:
    from market_platform.embedded.databases import FoundDatabase
    from market_platform.settings import Settings
    from market_platform.warehouse.engine import Warehouse

DatabaseOption = Annotated[
    Database,
    typer.Option(
        "--database", help="Which of the two. training: TRAINING_DATABASE_URL or TRAINING_DATABASE; neither: realtime."
    ),
]
"""Type of a command's parameter; its default is `"realtime"`."""


def choose_database(settings: Settings, database: Database) -> FoundDatabase:
    """The database of a command, and a line on standard error when it is not the one the option names.

    Raises:
        ConfigError: there is none, or two settings name the training database.
    """
    from market_platform.embedded.databases import FALLBACK_NOTICE, find_database
    from market_platform.warehouse.urls import shown_url

    found = find_database(settings, database)
    if found.falls_back:
        typer.echo(f"{FALLBACK_NOTICE} at {shown_url(found.url)}", err=True)
    return found


@contextmanager
def open_to_read(settings: Settings, database: Database) -> Iterator[Warehouse]:
    """The database of a command that reads it, and says what it read as that database's.

    Raises:
        ConfigError: as `choose_database`.
        WrongDatabaseError: it is the other one.
    """
    from market_platform.embedded.databases import open_database
    from market_platform.warehouse.database_role import refuse_other

    choose_database(settings, database)
    with open_database(settings, database) as warehouse:
        with warehouse.connect() as conn:
            refuse_other(conn, warehouse.role or "realtime")
        yield warehouse


def describe_to_runs(settings: Settings, database: Database) -> str | None:
    """That database as this command sees it, so that a run elsewhere can tell whether it sees the same.

    None when the realtime one can't be asked from here: data for it can be asked for by whoever reaches Dagster alone.

    Raises:
        WrongDatabaseError: it is the other one.
        ConfigError, WarehouseError: the training database is not set right, or does not answer.
    """
    from market_platform.embedded.databases import open_database
    from market_platform.warehouse.database_role import describe_database

    try:
        with open_database(settings, database) as warehouse:
            warehouse.check_role()
            with warehouse.connect() as connection:
                return describe_database(connection)
    except WrongDatabaseError:
        raise
    except (ConfigError, WarehouseError):
        if database != "realtime":
            raise
        return None
