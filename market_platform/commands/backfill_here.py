"""A backfill in this process, without a daemon."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from market_platform.commands.backfill_output import count, fail
from market_platform.commands.progress import progress_bar
from market_platform.domain.databases import Database
from market_platform.settings import Settings

if TYPE_CHECKING:
    from market_platform.defs.plan import Target


def run_here(settings: Settings, targets: Mapping[str, Sequence[Target]], database: Database) -> None:
    """Materialise the targets with a progress bar, and end with exit code 1 when a day failed."""
    from market_platform.defs.direct import run_directly

    _log_to_standard_error(settings)
    total = count(targets)
    done, failures = 0, dict[str, str]()
    with progress_bar() as bar:
        task = bar.add_task("loading the assets", total=total)

        def on_message(message: str) -> None:
            bar.update(task, description=message.splitlines()[0])

        for outcome in run_directly(settings, targets, on_message, database):
            done += outcome.materialised
            failures.update(outcome.failures)
            bar.update(task, completed=done)
    if failures:
        fail(done, total, failures, [])
    typer.echo(f"{done:,} partitions materialised")


def _log_to_standard_error(settings: Settings) -> None:
    """Libraries log what they try again; a failure is told once, at the end, so this is for LOG_LEVEL=DEBUG."""
    import logging

    import structlog

    level = logging.DEBUG if settings.log_level == "DEBUG" else logging.ERROR
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
