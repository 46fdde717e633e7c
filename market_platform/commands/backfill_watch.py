"""A backfill through Dagster's daemon: launched, watched until it ends, and reported.

Belongs here: counting what runs report. Does not: talking to Dagster (dagster_api.py), running assets here (backfill_here.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import typer

from market_platform.commands.backfill_output import Result, count
from market_platform.commands.progress import progress_bar
from market_platform.settings import Settings

if TYPE_CHECKING:
    from market_platform.commands.dagster_api import DagsterApi, Progress, Run
    from market_platform.defs.made_days import MadeDay
    from market_platform.defs.plan import Target

_POLL_S = 1.0


@dataclass
class _Watched:
    """A launched backfill and what was seen of it so far."""

    backfill_id: str
    total: int
    progress: Progress | None = None
    counts: dict[str, int] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    days: dict[tuple[str, str, str], MadeDay] = field(default_factory=dict)
    read_to_the_end: set[str] = field(default_factory=set)
    last_message: str = ""

    @property
    def over(self) -> bool:
        """Whether it ended: Dagster says so, or every partition's run has (the daemon says so half a minute later)."""
        from market_platform.commands.dagster_api import BACKFILL_OVER

        if self.progress is None:
            return False
        if self.progress.status in BACKFILL_OVER:
            return True
        ended = [run for run in self.progress.runs if run.ended]
        return len(ended) == len(self.progress.runs) and sum(map(_partitions, ended)) >= self.total

    @property
    def failed(self) -> bool:
        """Whether something of it did not come out well."""
        assert self.progress is not None
        runs = [run for run in self.progress.runs if run.ended and run.status != "SUCCESS"]
        retried = {run.tags.get("dagster/parent_run_id") for run in self.progress.runs}
        unlucky = [run for run in runs if run.run_id not in retried]
        return bool(unlucky) or self.progress.status in ("FAILED", "CANCELED", "COMPLETED_FAILED")


def launch(
    settings: Settings, parts: Sequence[Mapping[str, Sequence[Target]]], first: date, last: date, *, wait: bool
) -> Result | None:
    """Launch a backfill a part; with `wait`, show progress until all are over, and say what came of them."""
    from market_platform.commands.dagster_api import DagsterApi, webserver_url
    from market_platform.commands.databases import describe_to_runs
    from market_platform.defs.names import DATABASE_TAG, PAIR_TAG, TRAINING, TRIGGER_TAG
    from market_platform.embedded.databases import has_training_database

    api = DagsterApi(webserver_url(settings))
    try:
        training = any(target.path[0] == TRAINING for part in parts for mine in part.values() for target in mine)
        if training:
            api.require_training(own=has_training_database(settings))
        described = describe_to_runs(settings, TRAINING if training else "realtime")
        common = {TRIGGER_TAG: "command", **({DATABASE_TAG: described} if described else {})}
        watched = []
        for part in parts:
            named = ", ".join(part) if len(part) <= 3 else f"{len(part)} pairs"
            title = f"{named}, {first} to {last}" if first != last else f"{named}, {first}"
            tags = {**common, PAIR_TAG: ",".join(part)}
            targets = [target for mine in part.values() for target in mine]
            watched.append(_Watched(api.launch(targets, title, tags), count(part)))
        pages = [api.backfill_page(each.backfill_id) for each in watched]
        if not wait:
            typer.echo("launched; the daemon takes it up within half a minute. Follow it:")
            for page in pages:
                typer.echo(f"  {page}")
            return None
        try:
            _watch(api, watched)
        except KeyboardInterrupt:
            typer.echo("the backfill goes on without being watched. Follow it, or cancel it there:", err=True)
            for page in pages:
                typer.echo(f"  {page}", err=True)
            raise typer.Exit(130) from None
        return _result(watched, pages)
    finally:
        api.close()


def _watch(api: DagsterApi, watched: Sequence[_Watched]) -> None:
    """Show progress until every backfill is over."""
    total = sum(each.total for each in watched)
    with progress_bar() as bar:
        task = bar.add_task("waiting for the daemon (up to 30 s)", total=total)
        while True:
            for each in watched:
                if not each.over:
                    _look(api, each)
            done = sum(min(each.total, sum(each.counts.values())) for each in watched)
            latest = next((each.last_message for each in reversed(watched) if each.last_message), None)
            bar.update(task, completed=done, description=latest or "waiting for the daemon (up to 30 s)")
            if all(each.over for each in watched):
                return
            time.sleep(_POLL_S)


def _look(api: DagsterApi, watched: _Watched) -> None:
    """Ask once: the backfill, its runs, and what those that are not finished have logged."""
    watched.progress = api.progress(watched.backfill_id)
    for run in watched.progress.runs:
        if run.run_id in watched.read_to_the_end or run.status in ("QUEUED", "NOT_STARTED"):
            continue
        more = True
        while more:
            page = api.log(run.run_id, watched.cursors.get(run.run_id))
            watched.cursors[run.run_id], more = page.cursor, page.more
            watched.failures.update(page.failures)
            watched.days.update({(day.pair, day.layer, day.day): day for day in page.days})
            if page.messages:
                watched.last_message = page.messages[-1].splitlines()[0]
        watched.counts[run.run_id] = api.materialised(run.run_id)
        if run.ended:
            watched.read_to_the_end.add(run.run_id)


def _partitions(run: Run) -> int:
    """How many asset partitions a run is for, by its tags and assets."""
    from market_platform.defs.names import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG

    first = run.tags.get(RANGE_START_TAG) or run.tags.get(PARTITION_TAG)
    last = run.tags.get(RANGE_END_TAG) or run.tags.get(PARTITION_TAG)
    if first is None or last is None:
        return 0
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    days, months = (end - start).days, (end.year - start.year) * 12 + end.month - start.month
    counts = {"candles_1w": days // 7 + 1, "candles_1M": months + 1}
    return sum(counts.get(layer.removeprefix("history_"), days + 1) for layer in run.layers)


def _result(watched: Sequence[_Watched], pages: Sequence[str]) -> Result:
    done = sum(min(each.total, sum(each.counts.values())) for each in watched)
    total = sum(each.total for each in watched)
    days = [day for each in watched for day in each.days.values()]
    bad = [(each, page) for each, page in zip(watched, pages, strict=True) if each.failed]
    if not bad:
        return Result(total, total, days)
    failures = {what: error for each, _ in bad for what, error in each.failures.items()}
    return Result(done, total, days, failures, failed=True, pages=[page for _, page in bad])
