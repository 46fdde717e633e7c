"""`market-platform migrate`: the database's schema. Belongs here: arguments and what is printed. Does not: migrations (sql/)."""

from __future__ import annotations

from typing import Annotated

import typer

from market_platform.settings import get_settings


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("migrate")(migrate)


def migrate(
    status: Annotated[
        bool, typer.Option("--status", help="Show what is applied and what is pending; exit code 1 when something is.")
    ] = False,
    training: Annotated[
        bool, typer.Option("--training", help="The training database instead. [TRAINING_DATABASE_URL]")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the server to accept connections.")] = 30.0,
) -> None:
    """Bring the database's schema to this version: sql/migrations, in order, each once.

    It makes the database if there is none, waits for a server that is starting, and is safe to run from several machines
    at once. A migration that fails leaves nothing of itself. `market-platform up` does this too.

        market-platform migrate --status

        market-platform migrate
    """
    from market_platform.warehouse import migrations
    from market_platform.warehouse.urls import shown_url

    url = _database_url(training=training)
    if status:
        missing = migrations.pending(url)
        for name in migrations.applied(url):
            typer.echo(f"applied  {name}")
        for name in missing:
            typer.echo(f"pending  {name}")
        raise typer.Exit(1 if missing else 0)
    done = migrations.migrate(url, wait_s=wait)
    for name in done:
        typer.echo(f"applied  {name}")
    typer.echo(f"{shown_url(url)}: {f'{len(done)} migrations applied' if done else 'nothing pending'}")


def _database_url(*, training: bool) -> str:
    from market_platform.embedded.postgres import find_database_url

    settings = get_settings()
    if training and settings.training_database_url is not None:
        return settings.training_database_url.get_secret_value()
    return find_database_url(settings)
