"""`market-platform up | down | reset | logs`: the whole platform on this machine.

Belongs here: arguments and words. Does not: processes (market_platform/embedded).
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from market_platform.domain.errors import BadRequestError


class _Name(StrEnum):
    """What writes a log."""

    POSTGRES = "postgres"
    REPLAY = "replay"
    CODE = "code"
    DAEMON = "daemon"
    WEBSERVER = "webserver"
    API = "api"
    STREAMER = "streamer"
    UP = "up"


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("up")(up)
    app.command("down")(down)
    app.command("reset")(reset)
    app.command("logs")(logs)


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background; return when all is ready.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Plain lines instead of the table, as without a terminal.")
    ] = False,
    end_with_parent: Annotated[
        bool, typer.Option("--end-with-parent", help="Stop when the program that started this ends, even by kill -9.")
    ] = False,
) -> None:
    """Run everything on this machine and show what runs where.

    Starts an embedded Postgres (or uses `DATABASE_URL`), applies migrations, syncs `config/starlistings.yaml`, and runs
    Dagster (code server, daemon, UI), the API (REST and WebSocket), the streamer of live markets and the replay exchange.
    `Ctrl-C` stops all of it within ten seconds. All data is kept in `MARKET_DATA_DIR` and is there again next time.

    With the replay exchange (no network, no accounts), or with the real exchanges:

        market-platform up
        MARKET=live market-platform up

    With your own Postgres and object store, or in the background with the API on another port:

        DATABASE_URL=postgresql://… R2_BUCKET_NAME=… market-platform up
        API_PORT=8001 market-platform up --detach

    Next: open the Dagster UI, or fetch a week:

        market-platform backfill dukascopy/EURUSD --from 2024-03-04 --to 2024-03-08
    """
    parent = os.getppid()  # before the imports, which take so long that it could have ended
    from market_platform.embedded.stack import run_detached, run_here
    from market_platform.settings import get_settings

    if detach:
        run_detached(get_settings())
    else:
        run_here(get_settings(), plain=plain, end_with=parent if end_with_parent else None)


def down() -> None:
    """Stop what `up` runs, wait until it has ended, and say what was stopped.

    Also ends what a killed `up` left behind. Data is kept; the next `up` has it again.

        market-platform down
    """
    from market_platform.embedded.stack import stop_stack
    from market_platform.settings import get_settings

    for line in stop_stack(get_settings()):
        typer.echo(line)


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only show what would be deleted.")] = False,
    keep_lake: Annotated[bool, typer.Option("--keep-lake", help="Keep the local folder of ticks.")] = False,
) -> None:
    """Delete the embedded stack's data: its database, local lake, Dagster's home, logs.

    An external database (`DATABASE_URL`) or object store (`LAKE_URL`, R2, S3) is never touched. Refuses while `up` runs.
    Without `--yes` it lists folders and sizes, deletes nothing, and exits with code 1.

    See what would go, then start over:

        market-platform reset
        market-platform reset --yes

    Make a new database from the ticks in the local lake:

        market-platform reset --yes --keep-lake
    """
    from market_platform.embedded.files import MEGABYTE, folder_bytes
    from market_platform.embedded.reset import reset_data, what_reset_deletes
    from market_platform.settings import get_settings

    settings = get_settings()
    folders = what_reset_deletes(settings, keep_lake=keep_lake)
    if not folders:
        typer.echo(f"nothing to delete in {settings.market_data_dir.absolute()}")
        return
    for folder, what in folders:
        typer.echo(f"{folder_bytes(folder) / MEGABYTE:10,.1f} MB  {folder}  ({what})")
    if not yes:
        typer.echo("nothing was deleted; `market-platform reset --yes` deletes the above", err=True)
        raise typer.Exit(1)
    reset_data(settings, keep_lake=keep_lake)
    typer.echo("deleted")


def logs(
    name: Annotated[_Name | None, typer.Argument(help="Whose log; all of them when not given.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines to show first.")] = 50,
) -> None:
    """Show the logs of what `up` runs.

    The end of every log; the Dagster daemon's as it is written; the last 500 lines of the API's:

        market-platform logs
        market-platform logs daemon -f
        market-platform logs api -n 500
    """
    from market_platform.embedded.logs import find_logs, follow_logs, show_logs
    from market_platform.embedded.record import log_folder
    from market_platform.settings import get_settings

    folder = log_folder(get_settings())
    found = find_logs(folder, name.value if name else None)
    if not found:
        wanted = f"{name.value}.log" if name else "log"
        raise BadRequestError(f"there is no {wanted} in {folder} yet; `market-platform up` writes it")
    show_logs(found, lines)
    if follow:
        follow_logs(found)
