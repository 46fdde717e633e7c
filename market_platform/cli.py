"""The `market-platform` command line: one module a topic (commands/), one way of failing.

Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 not whole (`backfill --strict`), 130 interrupted.
An error we raise on purpose is one message on stderr, never a traceback. Nothing heavy is imported here, so that `--help` answers at once: no Dagster, no polars, no database driver.

Belongs here: putting the topics together, errors, `--version`. Does not: any command.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import sys
from typing import Annotated

import typer

from market_platform.commands import (
    backfill,
    config,
    database,
    export,
    gaps,
    lake,
    proof,
    replay,
    stack,
    status,
    stream,
    ticks,
)
from market_platform.domain.errors import BadRequestError, MarketPlatformError

_HELP = """
Market data from exchange ticks to candles: fetched day by day, exact, orchestrated by Dagster, served over HTTP.

Settings come from the environment or from `.env` in the working folder; `.env.example` documents each one.
"""

_EPILOG = """
From nothing to candles:

    market-platform up --detach
    market-platform backfill dukascopy/EURUSD --from 2024-03-04 --to 2024-03-08
    market-platform status
    curl "http://127.0.0.1:8000/api/candles/EURUSD/1h?from=1709510400&to=1709596800"
    market-platform down

`market-platform COMMAND --help` explains a command, with examples.
"""

_TOPICS = (stack, status, backfill, config, database, lake, replay, stream, gaps, proof, export, ticks)


def make_app() -> typer.Typer:
    """The command line as a typer application, with every topic's commands."""
    app = typer.Typer(
        name="market-platform",
        help=_HELP,
        epilog=_keep_indented(_EPILOG),
        no_args_is_help=True,
        rich_markup_mode=None,  # rich's help looks much the same and takes 0.3 s more
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback()(_root)
    for topic in _TOPICS:
        topic.register(app)
    _keep_examples(app)
    return app


def _keep_examples(app: typer.Typer) -> None:
    """Let every command's help show its indented examples line by line."""
    for command in app.registered_commands:
        text = command.help or inspect.getdoc(command.callback)
        command.help = _keep_indented(text) if text else None
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _keep_examples(group.typer_instance)


def _keep_indented(text: str) -> str:
    """Mark indented paragraphs so that they are not filled (a backspace is click's sign for that)."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(f"\b\n{each}" if each.startswith("    ") else each for each in paragraphs)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes the option's value
    if wanted:
        typer.echo(f"market-platform {importlib.metadata.version('market-platform')}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before any command."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        make_app()(args=arguments, prog_name="market-platform")
    except BadRequestError as error:
        _fail(error, 2)
    except MarketPlatformError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: MarketPlatformError, code: int) -> None:
    """Show one clear message and exit; LOG_LEVEL=DEBUG adds the traceback."""
    if os.environ.get("LOG_LEVEL", "").upper() == "DEBUG":
        import traceback

        traceback.print_exception(error)
    label = typer.style("error:", fg=typer.colors.RED, bold=True)
    typer.echo(f"{label} {error}", err=True)
    sys.exit(code)
