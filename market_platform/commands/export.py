"""`market-platform export`: candles, funding, open interest, the merged set and features as files; checking and remaking them.

Belongs here: arguments, progress, summaries, exit codes. Does not: what an export is (pipeline/exports).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from market_platform.domain.clock import utc_now
from market_platform.domain.databases import Database
from market_platform.domain.errors import BadRequestError, MarketPlatformError
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from market_platform.pipeline.exports.request import ExportResult, OnProgress
    from market_platform.pipeline.exports.selection import ExportPlan
    from market_platform.warehouse.engine import Warehouse

_HELP = """Market data as files for pandas, polars, PyArrow, DuckDB and PyTorch, and beside each a JSON that says what is in it.

\b
    market-platform export merged --exchange binance --coin BTC --quote USDT --market-type perps --intervals 1m,15m --days 730
    market-platform export candles --coin EUR --intervals all --start-time 2024-01-01 --end-time 2024-07-01 --format csv
    market-platform export funding --coin BTC --days 30 --output funding/

Each pair and interval is a file of its own. It is what the database held at one moment, and it can be checked and made
again from its JSON, bit for bit:

\b
    market-platform export verify FILE.parquet.json
    market-platform export reproduce FILE.parquet.json
"""

_DATASETS = {
    "candles": (
        "Export candles: open, high, low, close, volume, num_trades.",
        "market-platform export candles --exchange dukascopy --coin EUR --intervals 1m,1h --days 30",
    ),
    "funding": (
        "Export funding rates with premium, mark, index, oracle and mid price, a row a minute that has any.",
        "market-platform export funding --exchange binance --coin BTC --days 365",
    ),
    "oi": (
        "Export open interest with its value and the day's volumes, a row a minute that has any.",
        "market-platform export oi --exchange binance --coin BTC --days 365",
    ),
    "merged": (
        "Export candles with the funding and the open interest of exactly their time; what is not known stays NULL.",
        "market-platform export merged --exchange binance --coin BTC --intervals 1m --days 730 --output btc/",
    ),
    "features": (
        "Export the features of a feature version, a column each.",
        "market-platform export features --exchange binance --coin BTC --intervals 1h --days 90",
    ),
}

_INTERVALS = typer.Option("--intervals", help="`1m,15m`, or `all` that the pair has.", show_default=False)
_DAYS = typer.Option("--days", help="The last N whole days (UTC), until last midnight.", show_default=False)
_START = typer.Option("--start-time", help="First time: 2024-03-01 or 2024-03-01T12:00, UTC.", show_default=False)
_END = typer.Option("--end-time", help="End, not included; last midnight without.", show_default=False)
_NUMBERS = typer.Option("--numbers", help="Exact decimals, or doubles: rounded, and quicker to compute with.")
_DATABASE = typer.Option("--database", help="Which of the two databases to read.")
_OUTPUT = typer.Option("--output", "-o", help="A folder, or a file when there is only one to write.")
_OVERWRITE = typer.Option("--overwrite", help="Replace files that are there.")
_PRIVATE = typer.Option("--include-private", help="Also data that may not be passed on; the files stay with you.")
_DRY_RUN = typer.Option("--dry-run", help="Say what would be written, and write nothing.")
_VERSION = typer.Option("--feature-version", min=1, help="Of `features`; the newest without.", show_default=False)
_SIDECAR = typer.Argument(metavar="FILE.json", help="The JSON beside an export.")


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    topic = typer.Typer(no_args_is_help=True, help=_HELP)
    for dataset in _DATASETS:
        topic.command(dataset, help=_help_of(dataset))(_command(dataset))
    topic.command("verify")(verify)
    topic.command("reproduce")(reproduce)
    app.add_typer(topic, name="export")


def _help_of(dataset: str) -> str:
    what, example = _DATASETS[dataset]
    return (
        f"{what}\n\n    {example}\n\nWithout --exchange, --quote or --market-type every pair that fits the others is exported. "
        "No rows is not a failure: the file has the columns, and the summary says that it is empty. Exit code 1 when a file "
        "could not be written; the others are kept."
    )


def _command(dataset: str) -> Callable[..., None]:
    """The command of a data set; all take the same options."""

    def run(
        coin: Annotated[str, typer.Option("--coin", help="What is traded: BTC; or `all`.", show_default=False)],
        exchange: Annotated[str | None, typer.Option("--exchange", help="Its code.", show_default=False)] = None,
        quote: Annotated[str | None, typer.Option("--quote", help="What it is priced in.", show_default=False)] = None,
        market_type: Annotated[
            str | None, typer.Option("--market-type", help="spot, perps, …", show_default=False)
        ] = None,
        intervals: Annotated[str | None, _INTERVALS] = None,
        days: Annotated[int | None, _DAYS] = None,
        start_time: Annotated[str | None, _START] = None,
        end_time: Annotated[str | None, _END] = None,
        file_format: Annotated[Literal["parquet", "csv"], typer.Option("--format", help="Of the files.")] = "parquet",
        numbers: Annotated[Literal["decimal", "float64"], _NUMBERS] = "decimal",
        database: Annotated[Database, _DATABASE] = "realtime",
        output: Annotated[Path, _OUTPUT] = Path(),
        overwrite: Annotated[bool, _OVERWRITE] = False,
        include_private: Annotated[bool, _PRIVATE] = False,
        feature_version: Annotated[int | None, _VERSION] = None,
        dry_run: Annotated[bool, _DRY_RUN] = False,
    ) -> None:
        from market_platform.pipeline.exports.request import Dataset
        from market_platform.pipeline.exports.selection import PairChoice, choose_pairs, choose_span, plan_exports
        from market_platform.warehouse.reference import load_pairs

        if feature_version is not None and dataset != "features":
            raise BadRequestError(f"--feature-version is of features, not of {dataset}; leave it out")
        span = choose_span(days, start_time, end_time, utc_now().date())
        with _open_warehouse(get_settings(), database) as warehouse:
            with warehouse.connect() as connection:
                pairs = choose_pairs(load_pairs(connection), PairChoice(coin, exchange, quote, market_type))
            plans = plan_exports(
                pairs,
                dataset=Dataset(dataset),
                intervals=intervals,
                span=span,
                output=output,
                file_format=file_format,
                numbers=numbers,
                database=database,
                include_private=include_private,
                feature_version=feature_version,
            )
            if not overwrite:
                _refuse_existing(plans)
            if dry_run:
                for plan in plans:
                    typer.echo(f"would write {plan.path}: {plan.request.name}, {_shown_span(plan)}")
                return
            _export(warehouse, plans, overwrite=overwrite)

    return run


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
    overwrite: Annotated[bool, _OVERWRITE] = False,
) -> None:
    """Make an export again from its JSON, and compare it byte by byte.

        market-platform export reproduce binance_BTCUSDT.P_merged_1m_2024-01-01_2025-01-01.parquet.json

    When it differs, the input days that changed since are listed with their old and their new version, and so are other
    versions of code and libraries. Exit code 1 then.
    """
    from market_platform.pipeline.exports.reproduce import load_request, reproduce_export

    request = load_request(sidecar)
    with _open_warehouse(get_settings(), database or request.database) as warehouse, _bar() as bar:
        told = _teller(bar, request.name, request.start.timestamp(), request.end.timestamp())
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


def _export(warehouse: Warehouse, plans: Sequence[ExportPlan], *, overwrite: bool) -> None:
    """Write each file; one that fails is told and the others go on."""
    from market_platform.pipeline.exports.export import export

    done: Counter[str] = Counter()
    rows = size = 0
    for plan in plans:
        request = plan.request
        try:
            with _bar() as bar:  # gone before its file is told
                told = _teller(bar, request.name, request.start.timestamp(), request.end.timestamp())
                result = export(warehouse, request, plan.path, overwrite=overwrite, on_progress=told)
        except MarketPlatformError as error:
            if len(plans) == 1:
                raise
            done["failed"] += 1
            typer.echo(f"failed: {error}", err=True)
            continue
        done[str(result.state)] += 1
        rows, size = rows + result.rows, size + result.bytes
        typer.echo(_summary(result))
    if len(plans) > 1:
        counts = ", ".join(f"{count} {state}" for state, count in sorted(done.items()))
        typer.echo(f"{len(plans)} files ({counts}): {rows:,} rows, {_shown_size(size)}")
    if done["failed"]:
        raise typer.Exit(1)


def _summary(result: ExportResult) -> str:
    """A file in a line: path, rows, span, size, and the days that are not available."""
    if result.first is None or result.last is None:
        return f"{result.path}: empty, {result.state_reason}"
    line = (
        f"{result.path}: {result.rows:,} rows, {result.first:%Y-%m-%d %H:%M} to {result.last:%Y-%m-%d %H:%M}, "
        f"{_shown_size(result.bytes)}"
    )
    others = {name: count for name, count in result.conditions.items() if name != "available"}
    if others:
        line += "; days not available: " + ", ".join(f"{count} {name}" for name, count in sorted(others.items()))
    return line


def _shown_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"


def _shown_span(plan: ExportPlan) -> str:
    return f"{plan.request.start:%Y-%m-%d %H:%M} to {plan.request.end:%Y-%m-%d %H:%M} (not included)"


def _refuse_existing(plans: Sequence[ExportPlan]) -> None:
    """Before anything is written.

    Raises:
        BadRequestError: a file is there already.
    """
    there = [plan.path for plan in plans if plan.path.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise BadRequestError(f"{there[0]}{more}: there already; --overwrite replaces, --output names another folder")


def _teller(bar: Bar, name: str, start: float, end: float) -> OnProgress:
    """A task of the bar that goes from `start` to `end`, and what tells it how far an export is."""
    from market_platform.pipeline.exports.request import ExportProgress

    task = bar.add_task(name, total=end - start)

    def told(progress: ExportProgress) -> None:
        bar.update(task, completed=progress.until.timestamp() - start, description=f"{name} {progress.rows:,} rows")

    return told


def _bar() -> Bar:
    """A progress bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def _open_warehouse(settings: Settings, database: Database) -> Iterator[Warehouse]:
    from market_platform.embedded.databases import FALLBACK_NOTICE, find_database, open_database
    from market_platform.warehouse.database_role import refuse_other

    if find_database(settings, database).falls_back:
        typer.echo(FALLBACK_NOTICE, err=True)
    with open_database(settings, database) as warehouse:
        with warehouse.connect() as conn:
            refuse_other(conn, warehouse.role or "realtime")
        yield warehouse
