"""`market-platform ticks load`: files into `market_ticks`, and loads that were interrupted.

Belongs here: arguments, words, exit codes. Does not: SQL (warehouse/), loading (pipeline/bulk_load.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.commands.ticks_table import SESSION, open_warehouse, pair_named
from market_platform.domain.errors import BadRequestError, MarketPlatformError
from market_platform.settings import get_settings

if TYPE_CHECKING:
    from market_platform.warehouse.engine import Warehouse


def load(
    files: Annotated[
        list[Path] | None, typer.Argument(help="CSV, Parquet or JSON files of one pair's ticks.", metavar="[FILE]...")
    ] = None,
    pair: Annotated[str | None, typer.Option(help="The pair, as in dukascopy/EURUSD.", show_default=False)] = None,
    manage_indexes: Annotated[
        bool, typer.Option("--manage-indexes", help="Drop the table's indexes first and build them again after.")
    ] = False,
    accept_floats: Annotated[
        bool, typer.Option("--accept-floats", help="Take floating-point columns as the shortest decimals.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Load files once more that were loaded before; their rows are there twice then."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the files, change nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a load that was interrupted.")] = False,
    roll_back: Annotated[bool, typer.Option("--roll-back", help="Take an interrupted load back.")] = False,
) -> None:
    """Load files into market_ticks by COPY, with the indexes dropped meanwhile and built again without locking anybody out.

    Each file comes in whole or not at all; a bad value is named with file, line and field. A file that was loaded before, known by
    its content, is refused unless --again says so; how many rows the table had in the span of a new one is told at the end.
    Interrupted at any point, a load can be finished or taken back, and `ticks status` says how far it is.

        market-platform ticks load eurusd-2018.csv eurusd-2019.csv --pair dukascopy/EURUSD --manage-indexes

        market-platform ticks load --resume

        market-platform ticks load --roll-back
    """
    from market_platform.pipeline.bulk_load import checked_files, count_file, load_files, resume_load, roll_back_load
    from market_platform.pipeline.loaded_files import refuse_loaded
    from market_platform.warehouse.driver import driver_connection
    from market_platform.warehouse.market_ticks import ticks_session

    if resume and roll_back:
        raise BadRequestError("--resume and --roll-back exclude each other")
    if (resume or roll_back) and (files or pair or dry_run or again):
        raise BadRequestError(
            "--resume and --roll-back go on with the load that was interrupted; give nothing beside them"
        )
    with open_warehouse(get_settings()) as warehouse:
        warehouse.check_role()
        if resume or roll_back:
            with ticks_session(warehouse.url, SESSION) as session:
                done = (resume_load if resume else roll_back_load)(session, _say)
        else:
            if pair is None:
                raise BadRequestError("name the pair that the files are of, as in --pair dukascopy/EURUSD")
            row = pair_named(warehouse, pair)
            paths = checked_files(files or [])
            if dry_run:
                for path in paths:
                    print(f"{path}: {count_file(path, accept_floats=accept_floats):,} rows")
                if not again:
                    with warehouse.connect() as conn:
                        refuse_loaded(driver_connection(conn), row.id, row.name, paths)
                return
            with ticks_session(warehouse.url, SESSION) as session:
                try:
                    done = load_files(
                        session,
                        row,
                        paths,
                        _say,
                        manage_indexes=manage_indexes,
                        accept_floats=accept_floats,
                        again=again,
                    )
                except MarketPlatformError:
                    _tell_interrupted(warehouse)
                    raise
    print(f"load {done.id} is {done.state.replace('_', ' ')}: {done.rows:,} rows of {done.pair}")


def _tell_interrupted(warehouse: Warehouse) -> None:
    from market_platform.pipeline.bulk_load import described
    from market_platform.warehouse.bulk_loads import load_open

    with warehouse.connect() as conn:
        interrupted = load_open(conn)
    if interrupted is not None:
        _say(described(interrupted))


def _say(text: str) -> None:
    typer.echo(text, err=True)
