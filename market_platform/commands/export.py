"""`market-platform export`: candles, funding, open interest, the merged set and features as files.

Belongs here: the topic, and the arguments of its data sets. Does not: what is printed (export_output.py), files that are there
already (export_check.py, export_prune.py), what an export is (pipeline/exports).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from market_platform.commands import export_check, export_prune
from market_platform.commands.databases import DatabaseOption, open_to_read
from market_platform.commands.export_output import OverwriteOption, write_files
from market_platform.domain.clock import utc_now
from market_platform.domain.errors import BadRequestError
from market_platform.settings import get_settings

if TYPE_CHECKING:
    from market_platform.pipeline.exports.selection import ExportPlan

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

Files in the lake whose exchange has become private are found, and deleted, by `market-platform export prune`.
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
_OUTPUT = typer.Option("--output", "-o", help="A folder, or a file when there is only one to write.")
_PRIVATE = typer.Option("--include-private", help="Also data that may not be passed on; the files stay with you.")
_DRY_RUN = typer.Option("--dry-run", help="Say what would be written, and write nothing.")
_VERSION = typer.Option("--feature-version", min=1, help="Of `features`; the newest without.", show_default=False)


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    topic = typer.Typer(no_args_is_help=True, help=_HELP)
    for dataset in _DATASETS:
        topic.command(dataset, help=_help_of(dataset))(_command(dataset))
    export_check.register(topic)
    export_prune.register(topic)
    app.add_typer(topic, name="export")


def _help_of(dataset: str) -> str:
    what, example = _DATASETS[dataset]
    return (
        f"{what}\n\n    {example}\n\nWithout --coin, --exchange, --quote or --market-type every pair that fits the others is exported. Pairs that may not be "
        "passed on are left out and named, unless --include-private; one whose --exchange is given is refused. "
        "No rows is not a failure: the file has the columns, and the summary says that it is empty. Exit code 1 when a file "
        "could not be written; the others are kept."
    )


def _command(dataset: str) -> Callable[..., None]:
    """The command of a data set; all take the same options."""

    def run(
        coin: Annotated[
            str | None, typer.Option("--coin", help="What is traded: BTC; or `all`.", show_default=False)
        ] = None,
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
        database: DatabaseOption = "realtime",
        output: Annotated[Path, _OUTPUT] = Path(),
        overwrite: OverwriteOption = False,
        include_private: Annotated[bool, _PRIVATE] = False,
        feature_version: Annotated[int | None, _VERSION] = None,
        dry_run: Annotated[bool, _DRY_RUN] = False,
    ) -> None:
        from market_platform.pipeline.exports.request import Dataset
        from market_platform.pipeline.exports.selection import (
            PairChoice,
            choose_pairs,
            choose_span,
            leave_out_private,
            plan_exports,
        )
        from market_platform.warehouse.reference import load_pairs

        if feature_version is not None and dataset != "features":
            raise BadRequestError(f"--feature-version is of features, not of {dataset}; leave it out")
        choice = PairChoice(coin, exchange, quote, market_type)
        if choice == PairChoice():
            raise BadRequestError(
                "say which pairs: --coin BTC, --exchange, --quote or --market-type; --coin all is every pair",
                code="symbol_not_found",
            )
        span = choose_span(days, start_time, end_time, utc_now().date())
        with open_to_read(get_settings(), database) as warehouse:
            with warehouse.connect() as connection:
                pairs = choose_pairs(load_pairs(connection), choice)
            if not include_private:
                pairs, private = leave_out_private(pairs, choice)
                if private:
                    named = ", ".join(private)
                    typer.echo(f"left out, licensed as private: {named}; --include-private takes them too", err=True)
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
            write_files(warehouse, plans, overwrite=overwrite)

    return run


def _refuse_existing(plans: Sequence[ExportPlan]) -> None:
    """Before anything is written.

    Raises:
        BadRequestError: a file is there already.
    """
    there = [plan.path for plan in plans if plan.path.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise BadRequestError(f"{there[0]}{more}: there already; --overwrite replaces, --output names another folder")


def _shown_span(plan: ExportPlan) -> str:
    return f"{plan.request.start:%Y-%m-%d %H:%M} to {plan.request.end:%Y-%m-%d %H:%M} (not included)"
