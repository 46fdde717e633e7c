"""A backfill in this process, without a daemon."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from market_platform.commands.backfill_output import Result, count
from market_platform.commands.interrupts import Interrupt, Interrupted
from market_platform.commands.progress import progress_bar
from market_platform.domain.databases import Database
from market_platform.settings import Settings

if TYPE_CHECKING:
    from market_platform.defs.made_days import MadeDay
    from market_platform.defs.plan import Target


def run_here(
    settings: Settings, targets: Mapping[str, Sequence[Target]], database: Database, interrupt: Interrupt
) -> Result:
    """Materialise the targets with a progress bar; Ctrl-C ends it with exit code 130."""
    from market_platform.defs.direct import run_directly
    from market_platform.defs.direct_run import RunInFlight

    _log_to_standard_error(settings)
    total = count(targets)
    done, failures = 0, dict[str, str]()
    days: list[MadeDay] = []
    in_flight = RunInFlight()
    with progress_bar() as bar:
        task = bar.add_task("loading the assets", total=total)

        def on_message(message: str) -> None:
            bar.update(task, description=message.splitlines()[0])

        def cancel() -> None:
            bar.update(task, description="stopping")
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it would show each request that is given up
            in_flight.ask()

        def give_up() -> None:
            bar.stop()
            _tell_interrupted(done, total, in_flight.what)
            in_flight.end()

        interrupt.on_first, interrupt.on_last = cancel, give_up
        try:
            for outcome in run_directly(settings, targets, on_message, database, in_flight):
                done += outcome.materialised
                failures.update(outcome.failures)
                days += outcome.days
                bar.update(task, completed=done)
            if in_flight.asked:
                raise Interrupted
        except Interrupted:
            bar.stop()
            _tell_interrupted(done, total, in_flight.what)
            raise
    return Result(done, total, days, failures, failed=bool(failures))


def _tell_interrupted(done: int, total: int, what: str) -> None:
    where = f" during {what}" if what else ""
    typer.echo(
        f"stopped{where}: {done:,} of {total:,} partitions materialised. Every day that was written is kept, none is half written. "
        "Give the same command again to go on: days that are there are fetched again and change nothing",
        err=True,
    )


def _log_to_standard_error(settings: Settings) -> None:
    """Libraries log what they try again; a failure is told once, at the end, so this is for LOG_LEVEL=DEBUG."""
    import structlog

    level = logging.DEBUG if settings.log_level == "DEBUG" else logging.ERROR
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
