"""`market-platform export verify | reproduce`: a file against its JSON, and made again from it.

Belongs here: arguments, what is printed, exit codes. Does not: comparing (pipeline/exports).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from market_platform.commands.databases import open_to_read
from market_platform.commands.export_output import OverwriteOption, on_bar
from market_platform.commands.progress import progress_bar
from market_platform.domain.databases import Database
from market_platform.settings import get_settings

_SIDECAR = typer.Argument(metavar="FILE.json", help="The JSON beside an export.")


def register(topic: typer.Typer) -> None:
    """Add these commands to `market-platform export`."""
    topic.command("verify")(verify)
    topic.command("reproduce")(reproduce)


def verify(
    sidecar: Annotated[Path, _SIDECAR],
    file: Annotated[
        Path | None, typer.Option("--file", help="Check this file instead of the one beside.", show_default=False)
    ] = None,
) -> None:
    """Check that a file is what its JSON says: size, hash, rows, columns, first and last time.

        market-platform export verify binance_BTCUSDT.P_merged_1m_2024-01-01_2025-01-01.parquet.json

    Needs no database. Exit code 1 when something differs; each difference is a line.
    """
    from market_platform.pipeline.exports.verify import verify_export

    found = verify_export(sidecar, file)
    if not found.differences:
        typer.echo(f"{found.path}: as its JSON says, {found.rows:,} rows")
        return
    typer.echo(f"{found.path} is not what {sidecar} says:")
    for difference in found.differences:
        typer.echo(f"  {difference}")
    raise typer.Exit(1)


def reproduce(
    sidecar: Annotated[Path, _SIDECAR],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Keep the new file here.", show_default=False)
    ] = None,
    database: Annotated[
        Database | None,
        typer.Option("--database", help="Read this database, not the one it was of.", show_default=False),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Make an export again from its JSON, and compare it byte by byte.

        market-platform export reproduce binance_BTCUSDT.P_merged_1m_2024-01-01_2025-01-01.parquet.json

    When it differs, the input days that changed since are listed with their old and their new version, and so are other
    versions of code and libraries. Exit code 1 then.
    """
    from market_platform.pipeline.exports.reproduce import load_request, reproduce_export

    request = load_request(sidecar)
    with open_to_read(get_settings(), database or request.database) as warehouse, progress_bar(percent=True) as bar:
        told = on_bar(bar, request.name, request.start.timestamp(), request.end.timestamp())
        again = reproduce_export(warehouse, sidecar, output, overwrite=overwrite, on_progress=told)
    if output is not None:
        typer.echo(f"{output}: {again.result.rows:,} rows")
    if again.identical:
        typer.echo(f"identical: {again.result.bytes:,} bytes, sha256 {again.result.sha256}")
        if again.changed_days:
            days = len({day.day for day in again.changed_days})
            typer.echo(f"{days} of its input days changed since, but no row of the span differs")
        return
    typer.echo(f"not identical: {sidecar} was made of other data, or by other code")
    for day in again.changed_days:
        typer.echo(f"  {day.series} {day.day}: {day.was} → {day.now}")
    for difference in again.other:
        typer.echo(f"  {difference}")
    if not again.changed_days and not again.other:
        typer.echo("  no input day, code or library differs: was the JSON changed?")
    raise typer.Exit(1)
