"""`market-platform export prune`: files in the lake's `exports/` that may not be passed on any more.

Belongs here: arguments, what is printed, exit codes. Does not: finding and judging files (pipeline/exports/lake_prune.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.domain.databases import DATABASES
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from market_platform.lake.store import Lake
    from market_platform.warehouse.engine import Warehouse


def register(topic: typer.Typer) -> None:
    """Add this command to `market-platform export`."""
    topic.command("prune")(prune)


def prune(
    yes: Annotated[
        bool, typer.Option("--yes/--dry-run", help="Delete them; without it, only say what would be deleted.")
    ] = False,
) -> None:
    """Delete files in the lake's exports whose exchange has become private since.

        market-platform export prune

        market-platform export prune --yes

    What the database says counts, so bring a changed licence there first: `market-platform config sync`. Looks into the exports
    of both databases. A file is deleted only when it is what its JSON says; one without a JSON, with another hash or of a pair that the
    database does not know is named and kept. Exit code 1 while anything is left that was named.
    """
    from market_platform.pipeline.exports.lake_prune import prune_private

    deleted = left = size = 0
    for warehouse, lake in _databases(get_settings()):
        for file in prune_private(warehouse, lake, delete=yes):
            place = f"{lake.url.rstrip('/')}/{file.key}"
            if file.problem:
                typer.echo(f"kept {place}: {file.problem}")
            else:
                typer.echo(f"{'deleted' if file.deleted else 'would delete'} {place}: {file.pair} is private")
                size += file.bytes
            deleted += file.deleted
            left += not file.deleted
    if not left and not deleted:
        typer.echo("the lake's exports have no file of a private exchange")
    elif not yes:
        typer.echo(f"{size:,} bytes would go, nothing was deleted; --yes deletes what would be", err=True)
    else:
        typer.echo(f"{deleted} files deleted, {size:,} bytes; {left} kept", err=True)
    if left:
        raise typer.Exit(1)


def _databases(settings: Settings) -> Iterator[tuple[Warehouse, Lake]]:
    """Each of the two databases with its lake, once where they are one."""
    from market_platform.embedded.databases import find_database, open_database
    from market_platform.pipeline.lakes import open_lake

    for each in DATABASES:
        found = find_database(settings, each)
        if found.falls_back:
            continue
        with open_database(settings, each) as warehouse:
            warehouse.check_role()
            yield warehouse, open_lake(settings, found.role)
