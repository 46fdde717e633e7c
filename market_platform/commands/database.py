"""`market-platform migrate` and `db status | migrate | claim`: the schema of the two databases, and which is which.

Belongs here: arguments and what is printed. Does not: migrations (sql/), where the databases are (embedded/databases.py).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import typer

from market_platform.commands.databases import DatabaseOption, choose_database
from market_platform.domain.databases import DATABASES, Database
from market_platform.domain.errors import ConfigError, WarehouseError, WrongDatabaseError
from market_platform.settings import Settings, get_settings


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("migrate")(migrate)
    db = typer.Typer(no_args_is_help=True, help="The two databases: realtime, and training where one is set.")
    db.command("status")(status)
    db.command("migrate")(migrate)
    db.command("claim")(claim)
    app.add_typer(db, name="db")


def migrate(
    status: Annotated[
        bool, typer.Option("--status", help="Show what is applied and what is pending; exit code 1 when something is.")
    ] = False,
    database: DatabaseOption = "realtime",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the server to accept connections.")] = 30.0,
) -> None:
    """Bring the database's schema to this version: sql/migrations, in order, each once.

    It makes the database if there is none, waits for a server that is starting, and is safe to run from several machines
    at once. A migration that fails leaves nothing of itself. A new database is noted to be the realtime or the training one.
    `market-platform up` does this too.

        market-platform migrate --status

        market-platform migrate

        market-platform migrate --database training
    """
    from market_platform.embedded.databases import migrate_database
    from market_platform.warehouse import migrations
    from market_platform.warehouse.urls import shown_url

    settings = get_settings()
    found = choose_database(settings, database)
    if status:
        missing = migrations.pending(found.url)
        for name in migrations.applied(found.url):
            typer.echo(f"applied  {name}")
        for name in missing:
            typer.echo(f"pending  {name}")
        raise typer.Exit(1 if missing else 0)
    done = migrate_database(settings, database, wait_s=wait)
    for name in done:
        typer.echo(f"applied  {name}")
    typer.echo(f"{shown_url(found.url)}: {f'{len(done)} migrations applied' if done else 'nothing pending'}")


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What is known of one of the two. `role` is what it says of itself, `problem` why it can't be written to."""

    database: Database
    where: str | None
    shares_realtime: bool = False
    role: str | None = None
    pending_migrations: int | None = None
    active_pairs: int | None = None
    problem: str | None = None


def status(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of lines for people.")
    ] = False,
) -> None:
    """Show where the realtime and the training database are, what each says it is, and what is wrong with it.

    Exit code 1 when one of them can't be written to.

        market-platform db status

        market-platform db status --json
    """
    states = database_states(get_settings())
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in states], indent=2))
    else:
        for each in states:
            typer.echo(shown_state(each))
    if any(each.problem for each in states):
        raise typer.Exit(1)


def claim(
    role: Annotated[Database, typer.Option("--role", help="What the database is from now on.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it, only show what would change.")] = False,
) -> None:
    """Make the database that DATABASE_URL names the realtime one, or that TRAINING_DATABASE_URL names the training one.

    A database is claimed by its first migration or sync, and nothing of the other kind is ever written to it. Only this
    changes it: after databases were exchanged on purpose, or when one was restored from a copy of the other. It changes no data;
    sync the pairs afterwards. Without `--yes` it shows what would change and exits with code 1.

        market-platform db claim --role training

        market-platform db claim --role training --yes
    """
    from market_platform.embedded.databases import has_training_database, open_database, require_two_databases
    from market_platform.warehouse.database_role import change_role, load_role

    settings = get_settings()
    if role == "training" and not has_training_database(settings):
        raise ConfigError("no training database is set; set TRAINING_DATABASE_URL or TRAINING_DATABASE to it first")
    with open_database(settings, role) as warehouse:
        with warehouse.connect() as connection:
            before = load_role(connection)
        if before is not None and before.role == role:
            typer.echo(f"{warehouse.name} is the {role} database already")
            return
        require_two_databases(settings, warehouse)
        was = before.role if before is not None else "nobody's"
        if not yes:
            typer.echo(f"{warehouse.name}: {was} → {role}")
            typer.echo("nothing was changed; stop what writes to it, then run the same with --yes", err=True)
            raise typer.Exit(1)
        with warehouse.begin_unchecked() as connection:
            change_role(connection, role)
        option = " --database training" if role == "training" else ""
        typer.echo(
            f"{warehouse.name}: {was} → {role}; now bring its pairs there: `market-platform config sync{option}`"
        )


def database_states(settings: Settings) -> list[DatabaseState]:
    """Both databases, as far as they can be asked; never raises for one that can't."""
    return [_state(settings, each) for each in DATABASES]


def shown_state(state: DatabaseState) -> str:
    """One line for people."""
    if state.shares_realtime:
        return f"{state.database:<8}  the realtime database (no training database is set)"
    if state.problem:
        return f"{state.database:<8}  {state.problem}"  # it names the database
    return f"{state.database:<8}  {state.where}: {state.active_pairs} active pairs"


def _state(settings: Settings, database: Database) -> DatabaseState:
    from market_platform.embedded.databases import find_database, open_database
    from market_platform.warehouse import migrations
    from market_platform.warehouse.database_role import load_role
    from market_platform.warehouse.reference import load_pairs
    from market_platform.warehouse.urls import shown_url

    where: str | None = None
    try:
        found = find_database(settings, database)
        where = shown_url(found.url)
        if found.falls_back:
            return DatabaseState(database, where, shares_realtime=True)
        missing = len(migrations.pending(found.url))
        if missing:
            option = " --database training" if database == "training" else ""
            problem = f"{where}: {missing} migrations are missing; run `market-platform migrate{option}`"
            return DatabaseState(database, where, pending_migrations=missing, problem=problem)
        with open_database(settings, database) as warehouse:
            with warehouse.connect() as connection:
                role = load_role(connection)
                pairs = sum(pair.active for pair in load_pairs(connection))
            known = DatabaseState(
                database, where, role=role.role if role else None, pending_migrations=0, active_pairs=pairs
            )
            try:
                warehouse.check_role()
            except WrongDatabaseError as error:
                return replace(known, problem=str(error))
            return known
    except (ConfigError, WarehouseError) as error:
        return DatabaseState(database, where, problem=str(error))
