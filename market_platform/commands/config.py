"""`market-platform config check | sync | diff | show`: the pairs of config/starlistings.yaml and config/training_stars.yaml.

Belongs here: arguments, what is printed, exit codes. Does not: reading the file (starlistings.py), the database
(warehouse/reference.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.commands.databases import DatabaseOption, choose_database
from market_platform.domain.databases import Database
from market_platform.domain.errors import BadRequestError
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from market_platform.starlistings import StarlistingsConfig
    from market_platform.warehouse.reference_sync import ReferenceDiff

_FILE = typer.Option(
    "--file",
    help="Another file than config/starlistings.yaml (or training_stars.yaml). [STARLISTINGS_FILE, TRAINING_STARS_FILE]",
    show_default=False,
)


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    config = typer.Typer(no_args_is_help=True, help="The pairs to collect: config/starlistings.yaml and the database.")
    config.command("check")(check)
    config.command("sync")(sync)
    config.command("diff")(diff)
    config.command("show")(show)
    app.add_typer(config, name="config")


def check(file: Annotated[Path | None, _FILE] = None, database: DatabaseOption = "realtime") -> None:
    """Read the file and name every mistake with its line; nothing is changed, no database is needed.

    market-platform config check

    market-platform config check --database training
    """
    pairs = _load(file, database).all_pairs()
    starlistings = sum(len(pair.intervals) for pair in pairs)
    typer.echo(f"{_path(file, database)}: {len(pairs)} pairs, {starlistings} starlistings, no mistake")


def sync(
    file: Annotated[Path | None, _FILE] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    database: DatabaseOption = "realtime",
    yes: Annotated[bool, typer.Option("--yes", help="Also when more than half of the active pairs go.")] = False,
) -> None:
    """Bring the database to the file: `+` is added, `~` changed, `-` deactivated. Nothing is ever deleted.

    Doing it again changes nothing. A pair or interval that is no longer in the file is deactivated and keeps its data; put
    back, it is as it was. Where one database is for both, each file leaves alone what only the other lists.
    `market-platform up` does this too. When more than half of the active pairs would go, and more than one, it wants --yes.

        market-platform config sync --dry-run

        market-platform config sync

        market-platform config sync --database training
    """
    from market_platform.embedded.databases import sync_database

    settings = get_settings()
    choose_database(settings, database)
    if not yes:
        planned = sync_database(settings, database, file=file, dry_run=True)
        if warning := _losing_most(settings, database, planned):
            if not dry_run:
                raise BadRequestError(
                    f"{warning}; nothing was changed. Look at it with --dry-run, and do it with --yes"
                )
            typer.echo(f"{warning}; without --dry-run this needs --yes", err=True)
    difference = sync_database(settings, database, file=file, dry_run=dry_run)
    typer.echo(str(difference))
    if difference:
        verb = "would change" if dry_run else "changed"
        counted = ", ".join(f"{len(difference.of(action))} {action}" for action in ("added", "changed", "deactivated"))
        typer.echo(f"{verb}: {counted}")


def _losing_most(settings: Settings, database: Database, planned: ReferenceDiff) -> str | None:
    """What to say when more than one pair would be deactivated, and more than half of the active ones."""
    from market_platform.commands.databases import open_to_read
    from market_platform.warehouse.reference import load_pairs

    gone = sum(change.table == "trading_pairs" for change in planned.of("deactivated"))
    if gone < 2:
        return None
    with open_to_read(settings, database) as warehouse, warehouse.connect() as connection:
        active = sum(row.active for row in load_pairs(connection))
    return f"{gone} of {active} active pairs would be deactivated" if 2 * gone > active else None


def diff(file: Annotated[Path | None, _FILE] = None, database: DatabaseOption = "realtime") -> None:
    """Show what `config sync` would change, and change nothing: the same as `config sync --dry-run`.

    market-platform config diff

    market-platform config diff --database training
    """
    sync(file=file, dry_run=True, database=database)


def show(
    file: Annotated[Path | None, _FILE] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of lines for people.")
    ] = False,
    database: DatabaseOption = "realtime",
) -> None:
    """List the pairs of the file with their intervals, defaults filled in.

    market-platform config show

    market-platform config show --json
    """
    pairs = _load(file, database).all_pairs()
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


def _path(file: Path | None, database: Database) -> Path:
    from market_platform.embedded.databases import config_file

    return file if file is not None else config_file(get_settings(), database)


def _load(file: Path | None, database: Database) -> StarlistingsConfig:
    from market_platform.embedded.databases import load_config

    return load_config(get_settings(), database, file)
