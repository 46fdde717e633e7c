"""`market-platform config check | sync | show`: the pairs of config/starlistings.yaml.

Belongs here: arguments, what is printed, exit codes. Does not: reading the file (starlistings.py), the database
(warehouse/reference.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.settings import get_settings

if TYPE_CHECKING:
    from market_platform.starlistings import StarlistingsConfig

_FILE = typer.Option(
    "--file", help="Another file than config/starlistings.yaml. [STARLISTINGS_FILE]", show_default=False
)


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    config = typer.Typer(no_args_is_help=True, help="The pairs to collect: config/starlistings.yaml and the database.")
    config.command("check")(check)
    config.command("sync")(sync)
    config.command("show")(show)
    app.add_typer(config, name="config")


def check(file: Annotated[Path | None, _FILE] = None) -> None:
    """Read the file and name every mistake with its line; nothing is changed, no database is needed.

    market-platform config check
    """
    pairs = _load(file).all_pairs()
    starlistings = sum(len(pair.intervals) for pair in pairs)
    typer.echo(f"{_path(file)}: {len(pairs)} pairs, {starlistings} starlistings, no mistake")


def sync(
    file: Annotated[Path | None, _FILE] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Bring the database to the file: `+` is added, `~` changed, `-` deactivated. Nothing is ever deleted.

    Doing it again changes nothing. A pair or interval that is no longer in the file is deactivated and keeps its data; put
    back, it is as it was. `market-platform up` does this too.

        market-platform config sync --dry-run

        market-platform config sync
    """
    from market_platform.embedded.postgres import find_database_url
    from market_platform.warehouse.engine import create_warehouse
    from market_platform.warehouse.reference import sync_reference

    config = _load(file)
    settings = get_settings()
    warehouse = create_warehouse(find_database_url(settings), pool_size=1, timeout_s=settings.database_timeout_s)
    try:
        with warehouse.begin() as connection:
            difference = sync_reference(connection, config, dry_run=dry_run)
    finally:
        warehouse.close()
    typer.echo(str(difference))
    if difference:
        verb = "would change" if dry_run else "changed"
        counted = ", ".join(f"{len(difference.of(action))} {action}" for action in ("added", "changed", "deactivated"))
        typer.echo(f"{verb}: {counted}")


def show(
    file: Annotated[Path | None, _FILE] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of lines for people.")
    ] = False,
) -> None:
    """List the pairs of the file with their intervals, defaults filled in.

    market-platform config show

    market-platform config show --json
    """
    pairs = _load(file).all_pairs()
    if as_json:
        records = [
            {
                "pair": pair.name,
                "coin": pair.coin,
                "quote": pair.quote,
                "market_type": pair.market_type,
                "intervals": [interval.name for interval in pair.intervals],
                "candle_price": pair.candle_price,
                "alignment": pair.alignment.value,
                "first_day": pair.first_day,
                "candles_from": pair.candles_from,
                "active": pair.active,
            }
            for pair in pairs
        ]
        typer.echo(json.dumps(records, indent=2))
        return
    width = max((len(pair.name) for pair in pairs), default=0)
    for pair in pairs:
        intervals = " ".join(interval.name for interval in pair.intervals)
        since = f", from {pair.first_day}" if pair.first_day else ""
        inactive = "" if pair.active else ", inactive"
        typer.echo(
            f"{pair.name:<{width}}  {pair.trading_pair} {pair.market_type}, {pair.candle_price}{since}{inactive}: {intervals}"
        )


def _path(file: Path | None) -> Path:
    return file if file is not None else get_settings().starlistings_file


def _load(file: Path | None) -> StarlistingsConfig:
    from market_platform.starlistings import load_starlistings

    return load_starlistings(_path(file))
