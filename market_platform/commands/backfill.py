"""`market-platform backfill`: history for pairs over a range of days, through Dagster's daemon or in this process.

Belongs here: arguments, progress, what is printed, exit codes. Does not: what a backfill consists of (defs/plan.py), talking
to Dagster (dagster_api.py), running assets here (defs/direct.py).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.domain.clock import utc_now
from market_platform.domain.errors import BadRequestError, ConfigError, WarehouseError
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from market_platform.commands.dagster_api import DagsterApi, Progress, Run
    from market_platform.defs.plan import Target
    from market_platform.domain.pairs import TradingPair

_POLL_S = 1.0


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("backfill")(backfill)


def backfill(
    pairs: Annotated[
        list[str], typer.Argument(help="`dukascopy/EURUSD` or `EURUSD`; several; or `all`.", metavar="PAIR...")
    ],
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First day, YYYY-MM-DD, UTC.")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Last day, included.")],
    layers: Annotated[
        str, typer.Option(help="`ticks`, `candles`, or intervals such as `5m`, separated by commas.")
    ] = "ticks,candles",
    direct: Annotated[
        bool, typer.Option("--direct", help="Run the assets in this process; no daemon is needed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked for, and ask for nothing.")
    ] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Launch and return at once.")] = False,
) -> None:
    """Fetch history and build its candles: from the exchange's ticks to every interval, day by day.

    Launches a backfill through Dagster, which `market-platform up` runs, and shows progress until it ends. Ctrl-C ends
    the watching, not the backfill. Days that are there already are fetched again and change nothing when they are the same.

        market-platform backfill dukascopy/EURUSD --from 2024-03-04 --to 2024-03-08

    All pairs; only what is built from ticks that are in the lake; without a running platform:

        market-platform backfill all --from 2024-03-04 --to 2024-03-04

        market-platform backfill EURUSD --from 2024-03-01 --to 2024-03-31 --layers candles

        market-platform backfill EURUSD GBPUSD --from 2024-03-04 --to 2024-03-08 --direct

    Exit code 1 when a day failed; each is named with its error, and the other days are kept.
    """
    from market_platform.defs.plan import check_range, split

    settings = get_settings()
    today = utc_now().date()
    start, end = _day(first, "--from"), _day(last, "--to")
    check_range(start, end, today)
    targets = _plan(settings, pairs, _layers(layers), start, end, today)
    if dry_run:
        _show(targets)
        return
    if direct:
        _run_here(settings, targets)
        return
    _launch(settings, split(targets, start, end), start, end, wait=not no_wait)


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRequestError(f"{option} {text!r} is not a day; write YYYY-MM-DD", code="invalid_range") from None


def _layers(text: str) -> list[str]:
    """The layers of `--layers`."""
    wanted = [layer.strip() for layer in text.split(",") if layer.strip()]
    if not wanted:
        raise BadRequestError(
            "--layers names no layer; write `ticks`, `candles` or intervals such as `5m`, separated by commas",
            code="invalid_layer",
        )
    return wanted


def _plan(
    settings: Settings, names: Sequence[str], layers: Sequence[str], first: date, last: date, today: date
) -> dict[str, Sequence[Target]]:
    """What to materialise, by pair."""
    from market_platform.defs.plan import choose_layers, choose_pairs, plan_targets
    from market_platform.starlistings import load_starlistings

    pairs = choose_pairs(load_starlistings(settings.starlistings_file).pairs(), names)
    known = _known_days(settings, pairs, first, last)
    targets = {
        pair.name: plan_targets(
            pair, choose_layers(pair, layers), first, last, today, known.get(pair.name, frozenset())
        )
        for pair in pairs
    }
    if not any(targets.values()):
        raise BadRequestError(
            "the range completes no week and no month, so there is nothing to build", code="invalid_range"
        )
    return {name: mine for name, mine in targets.items() if mine}


def _known_days(
    settings: Settings, pairs: Sequence[TradingPair], first: date, last: date
) -> Mapping[str, AbstractSet[date]]:
    """Days around the range that have 1d candles and are not pending; nothing when the database can't be asked."""
    from datetime import timedelta

    from market_platform.domain.conditions import Condition
    from market_platform.embedded.postgres import find_database_url
    from market_platform.warehouse.candle_days import load_candle_days
    from market_platform.warehouse.engine import create_warehouse
    from market_platform.warehouse.reference import load_pairs

    around = timedelta(days=31)
    names = {pair.name for pair in pairs}
    found: dict[str, AbstractSet[date]] = {}
    try:
        warehouse = create_warehouse(find_database_url(settings), pool_size=1, timeout_s=settings.database_timeout_s)
        try:
            with warehouse.connect() as connection:
                for row in load_pairs(connection):
                    if row.name in names and "1d" in row.starlistings:
                        days = load_candle_days(connection, row.starlistings["1d"], first - around, last + around)
                        found[row.name] = {day for day, each in days.items() if each.condition is not Condition.PENDING}
        finally:
            warehouse.close()
    except (ConfigError, WarehouseError):
        return {}
    return found


def _show(targets: Mapping[str, Sequence[Target]]) -> None:
    for pair, mine in targets.items():
        typer.echo(pair)
        for target in mine:
            typer.echo(f"  {target.path[-1]:<12} {target.first} to {target.last}  {target.partitions:>5} partitions")
    typer.echo(f"{_count(targets):,} partitions; nothing was asked for")


def _count(targets: Mapping[str, Sequence[Target]]) -> int:
    return sum(target.partitions for mine in targets.values() for target in mine)


# ------------------------------------------------------------------------------------------------------ through the daemon


@dataclass
class _Watched:
    """A launched backfill and what was seen of it so far."""

    backfill_id: str
    total: int
    progress: Progress | None = None
    counts: dict[str, int] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
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


def _launch(
    settings: Settings, parts: Sequence[Mapping[str, Sequence[Target]]], first: date, last: date, *, wait: bool
) -> None:
    from market_platform.commands.dagster_api import DagsterApi, webserver_url
    from market_platform.defs.names import PAIR_TAG, TRIGGER_TAG

    api = DagsterApi(webserver_url(settings))
    try:
        watched = []
        for part in parts:
            named = ", ".join(part) if len(part) <= 3 else f"{len(part)} pairs"
            title = f"{named}, {first} to {last}" if first != last else f"{named}, {first}"
            tags = {TRIGGER_TAG: "command", PAIR_TAG: ",".join(part)}
            targets = [target for mine in part.values() for target in mine]
            watched.append(_Watched(api.launch(targets, title, tags), _count(part)))
        pages = [api.backfill_page(each.backfill_id) for each in watched]
        if not wait:
            typer.echo("launched; the daemon takes it up within half a minute. Follow it:")
            for page in pages:
                typer.echo(f"  {page}")
            return
        try:
            _watch(api, watched)
        except KeyboardInterrupt:
            typer.echo("the backfill goes on without being watched. Follow it, or cancel it there:", err=True)
            for page in pages:
                typer.echo(f"  {page}", err=True)
            raise typer.Exit(130) from None
        _report(watched, pages)
    finally:
        api.close()


def _watch(api: DagsterApi, watched: Sequence[_Watched]) -> None:
    """Show progress until every backfill is over."""
    total = sum(each.total for each in watched)
    with _bar() as bar:
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
        page = api.log(run.run_id, watched.cursors.get(run.run_id))
        watched.cursors[run.run_id] = page.cursor
        watched.failures.update(page.failures)
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
    return sum(counts.get(layer, days + 1) for layer in run.layers)


def _report(watched: Sequence[_Watched], pages: Sequence[str]) -> None:
    done = sum(min(each.total, sum(each.counts.values())) for each in watched)
    total = sum(each.total for each in watched)
    bad = [(each, page) for each, page in zip(watched, pages, strict=True) if each.failed]
    if not bad:
        typer.echo(f"{total:,} partitions materialised")
        return
    failures = {what: error for each, _ in bad for what, error in each.failures.items()}
    _fail(done, total, failures, [page for _, page in bad])


def _fail(done: int, total: int, failures: Mapping[str, str], pages: Sequence[str]) -> None:
    typer.echo(f"{done:,} of {total:,} partitions materialised; failed:", err=True)
    for what, error in sorted(failures.items()):
        typer.echo(f"  {what}: {_without(error, what)}", err=True)
    for page in pages:
        typer.echo(f"  more: {page}", err=True)
    raise typer.Exit(1)


def _without(error: str, what: str) -> str:
    """An error without the pair and the day that `what` names already (`dukascopy/EURUSD/ticks 2024-03-05`)."""
    asset, _, day = what.partition(" ")
    pair = asset.rpartition("/")[0]
    for known in (f"{pair} {day}", pair, day):
        if known.strip() and error.startswith(known):
            return error[len(known) :].lstrip(" :") or error
    return error


# ----------------------------------------------------------------------------------------------------------- in this process


def _run_here(settings: Settings, targets: Mapping[str, Sequence[Target]]) -> None:
    from market_platform.defs.direct import run_directly

    _log_to_standard_error(settings)
    total = _count(targets)
    done, failures = 0, dict[str, str]()
    with _bar() as bar:
        task = bar.add_task("loading the assets", total=total)

        def on_message(message: str) -> None:
            bar.update(task, description=message.splitlines()[0])

        for outcome in run_directly(settings, targets, on_message):
            done += outcome.materialised
            failures.update(outcome.failures)
            bar.update(task, completed=done)
    if failures:
        _fail(done, total, failures, [])
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


def _bar() -> Bar:
    """A progress bar on standard error; where that is no terminal, nothing is drawn."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    drawn = sys.stderr.isatty() and console.is_interactive
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not drawn,
    )
