"""`market-platform ticks to-lake | load | status`: ticks people had in Postgres before the lake.

Belongs here: arguments, progress, words, exit codes. Does not: SQL (warehouse/), moving and loading (pipeline/).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.domain.clock import utc_now
from market_platform.domain.errors import BadRequestError, MarketPlatformError
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from market_platform.lake.store import Lake
    from market_platform.pipeline.legacy_moves import MovedDay
    from market_platform.warehouse.engine import Warehouse
    from market_platform.warehouse.reference import PairRow

_SESSION = "market-platform ticks"


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    ticks = typer.Typer(
        no_args_is_help=True, help="Ticks in the table market_ticks: into the lake, and into the table."
    )
    ticks.command("to-lake")(to_lake)
    ticks.command("load")(load)
    ticks.command("status")(status)
    app.add_typer(ticks, name="ticks")


def to_lake(
    pairs: Annotated[
        list[str] | None, typer.Argument(help="Pairs, as in dukascopy/EURUSD; all without any.", metavar="[PAIR]...")
    ] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the days, change nothing.")] = False,
    truncate_times: Annotated[
        bool, typer.Option("--truncate-times", help="Cut times finer than a millisecond, and count them.")
    ] = False,
    zero_volumes: Annotated[
        bool, typer.Option("--zero-volumes", help="Take NULL volumes as 0, and count them.")
    ] = False,
    drop_verified: Annotated[
        bool, typer.Option("--drop-verified", help="Delete each day's rows from Postgres once it is verified.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --drop-verified: don't ask.")] = False,
) -> None:
    """Move the rows of market_ticks into the lake, day by day, each verified by reading its file back.

    Count and SHA-256 of the day's sorted rows must be the same in Postgres and in the file. Nothing is deleted unless
    --drop-verified says so, and then only rows that were verified. A day that the lake has from the exchange already stays as it
    is there: it is compared, and counts as verified when no row is missing in it. Interrupted at any point, run it again.

        market-platform ticks to-lake --dry-run

        market-platform ticks to-lake dukascopy/EURUSD --from 2018-01-01 --to 2018-12-31

        market-platform ticks to-lake --drop-verified --yes
    """
    from market_platform.pipeline.legacy_moves import Mover
    from market_platform.pipeline.legacy_rows import Allowances
    from market_platform.pipeline.platform import Provenance
    from market_platform.pipeline.versions import TICKS_VERSION
    from market_platform.warehouse.market_ticks import ticks_session

    if first and last and first > last:
        raise BadRequestError(f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}")
    settings = get_settings()
    with _open_warehouse(settings) as warehouse:
        days = _days(warehouse, pairs or [], first.date() if first else date.min, last.date() if last else date.max)
        if dry_run or not days:
            _print_days(warehouse, days)
            return
        if drop_verified and not yes:
            _confirm(f"delete the rows of up to {len(days)} days from market_ticks once they are verified?")
        warehouse.check_role()
        counts: Counter[str] = Counter()
        with ticks_session(warehouse.url, _SESSION) as session, _bar("moving ticks", len(days)) as bar:

            def tell(moved: MovedDay) -> None:
                counts[moved.move.state] += 1
                counts["rows"] += moved.move.rows
                counts["duplicates"] += moved.move.duplicates
                bar.console.print(_told(moved), markup=False, highlight=False, soft_wrap=True)
                bar.advance(bar.tasks[0].id)

            mover = Mover(
                _open_lake(settings),
                warehouse,
                Provenance(f"direct-{utc_now():%Y%m%dT%H%M%S}", TICKS_VERSION),
                Allowances(truncate_times, zero_volumes),
                drop=drop_verified,
                still_alone=session.check,
            )
            mover.move(days, tell)
    states = ", ".join(f"{counts[state]} {state}" for state in ("verified", "dropped", "kept") if counts[state])
    print(f"{len(days)} days: {states}; {counts['rows']:,} rows, {counts['duplicates']:,} duplicates among them")
    if counts["kept"]:
        print("kept: the lake has other ticks of the day and keeps them; Postgres keeps its rows")


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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the files, change nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a load that was interrupted.")] = False,
    roll_back: Annotated[bool, typer.Option("--roll-back", help="Take an interrupted load back.")] = False,
) -> None:
    """Load files into market_ticks by COPY, with the indexes dropped meanwhile and built again without locking anybody out.

    Each file comes in whole or not at all; a bad value is named with file, line and field. Interrupted at any point, a load can
    be finished or taken back, and `ticks status` says how far it is.

        market-platform ticks load eurusd-2018.csv eurusd-2019.csv --pair dukascopy/EURUSD --manage-indexes

        market-platform ticks load --resume

        market-platform ticks load --roll-back
    """
    from market_platform.pipeline.bulk_load import checked_files, count_file, load_files, resume_load, roll_back_load
    from market_platform.warehouse.market_ticks import ticks_session

    if resume and roll_back:
        raise BadRequestError("--resume and --roll-back exclude each other")
    if (resume or roll_back) and (files or pair or dry_run):
        raise BadRequestError(
            "--resume and --roll-back go on with the load that was interrupted; give nothing beside them"
        )
    with _open_warehouse(get_settings()) as warehouse:
        warehouse.check_role()
        if resume or roll_back:
            with ticks_session(warehouse.url, _SESSION) as session:
                done = (resume_load if resume else roll_back_load)(session, _say)
        else:
            if pair is None:
                raise BadRequestError("name the pair that the files are of, as in --pair dukascopy/EURUSD")
            row = _pair(warehouse, pair)
            paths = checked_files(files or [])
            if dry_run:
                for path in paths:
                    print(f"{path}: {count_file(path, accept_floats=accept_floats):,} rows")
                return
            with ticks_session(warehouse.url, _SESSION) as session:
                try:
                    done = load_files(
                        session, row, paths, _say, manage_indexes=manage_indexes, accept_floats=accept_floats
                    )
                except MarketPlatformError:
                    _tell_interrupted(warehouse)
                    raise
    print(f"load {done.id} is {done.state.replace('_', ' ')}: {done.rows:,} rows of {done.pair}")


def status() -> None:
    """Show how far the days of market_ticks are on their way, and a load that is not over.

    Tab-separated for a pipe: pair, state, how the rows relate to the lake's own, days, rows, first and last day.

        market-platform ticks status
    """
    from market_platform.pipeline.bulk_load import described
    from market_platform.warehouse.bulk_loads import load_open
    from market_platform.warehouse.market_ticks import ticks_session_holder
    from market_platform.warehouse.tick_moves import count_moves

    with _open_warehouse(get_settings()) as warehouse, warehouse.connect() as conn:
        moves, interrupted, holder = count_moves(conn), load_open(conn), ticks_session_holder(conn)
    if not moves:
        print("no day has been moved; `market-platform ticks to-lake --dry-run` says what there is")
    for each in moves:
        print(
            f"{each.pair}\t{each.state}\t{each.relation.replace('_', ' ')}\t{each.days} days\t{each.rows} rows"
            f"\t{each.first}\t{each.last}"
        )
    if holder:
        print(f"at work: {holder}")
    elif interrupted:
        print(described(interrupted))


def _days(warehouse: Warehouse, names: Sequence[str], first: date, last: date) -> list[tuple[PairRow, date]]:
    """The days there are rows of. A load that is not over is refused: it dropped the index that finds them."""
    from market_platform.pipeline.bulk_load import described
    from market_platform.warehouse.bulk_loads import load_open
    from market_platform.warehouse.market_ticks import count_without_day, days_with_ticks, pair_ids_with_ticks
    from market_platform.warehouse.reference import load_pairs

    wanted = {_pair(warehouse, name).id for name in names}
    with warehouse.connect() as conn:
        interrupted = load_open(conn)
        if interrupted is not None:
            raise BadRequestError(described(interrupted))
        known = {pair.id: pair for pair in load_pairs(conn)}
        found = []
        for pair_id in pair_ids_with_ticks(conn):
            pair = known.get(pair_id)
            if pair is None:
                typer.echo(f"rows of trading_pair_id {pair_id} stay: there is no such pair", err=True)
                continue
            if wanted and pair_id not in wanted:
                continue
            found += [(pair, day) for day in days_with_ticks(conn, pair_id, first, last)]
            outside = count_without_day(conn, pair_id)
            if outside:
                typer.echo(f"{pair.name}: {outside:,} rows stay: their time is infinite or beyond any day", err=True)
    return found


def _print_days(warehouse: Warehouse, days: Sequence[tuple[PairRow, date]]) -> None:
    """What there is to move, a line a day, tab-separated: pair, day, rows, state so far, the lake's day."""
    from market_platform.warehouse.lake_days import load_lake_days
    from market_platform.warehouse.market_ticks import count_day
    from market_platform.warehouse.tick_moves import load_move

    rows = 0
    with warehouse.connect() as conn:
        for pair, day in days:
            count, move = count_day(conn, pair.id, day), load_move(conn, pair.id, day)
            lake = load_lake_days(conn, pair.id, day, day).get(day)
            rows += count
            there = f"{lake.rows} {lake.condition} in the lake" if lake else "not in the lake"
            print(f"{pair.name}\t{day}\t{count} rows\t{move.state if move else 'not moved'}\t{there}")
    print(f"{len(days)} days, {rows:,} rows" if days else "there is nothing to move")


def _told(moved: MovedDay) -> str:
    move = moved.move
    words = [f"{moved.pair} {move.day}: {move.rows:,} rows {move.state}{' (before)' if moved.again else ''}"]
    counted = {
        "duplicates": move.duplicates,
        "times cut": move.truncated,
        "merged by that": move.merged,
        "NULL volumes taken as 0": move.zeroed,
    }
    words += [f"{count:,} {what}" for what, count in counted.items() if count]
    if move.relation != "moved":
        words.append(f"lake: {move.relation.replace('_', ' ')}")
        if moved.missing:
            words.append(
                f"the lake's {moved.lake_rows:,} ({moved.lake_condition or 'empty'}) lacked {moved.missing:,} of them"
            )
    lines = ["; ".join(words), *(f"    duplicate: {example}" for example in moved.examples)]
    return "\n".join(lines)


def _tell_interrupted(warehouse: Warehouse) -> None:
    from market_platform.pipeline.bulk_load import described
    from market_platform.warehouse.bulk_loads import load_open

    with warehouse.connect() as conn:
        interrupted = load_open(conn)
    if interrupted is not None:
        _say(described(interrupted))


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise BadRequestError("--drop-verified deletes rows; say --yes as well")
    typer.confirm(question, abort=True)


def _pair(warehouse: Warehouse, name: str) -> PairRow:
    from market_platform.domain.pairs import normalise_symbol
    from market_platform.warehouse.reference import load_pair

    exchange, slash, symbol = name.partition("/")
    if not slash or not exchange:
        raise BadRequestError(f"{name!r} is not a pair; write it as exchange/SYMBOL, like dukascopy/EURUSD")
    with warehouse.connect() as conn:
        return load_pair(conn, exchange.lower(), normalise_symbol(symbol))


def _bar(what: str, total: int) -> Bar:
    """A progress bar on standard error; where that is no terminal, only what is said beside it is printed."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    bar.add_task(what, total=total)
    return bar


def _open_lake(settings: Settings) -> Lake:
    from market_platform.lake.store import Lake

    key, secret = settings.r2_access_key_id, settings.r2_secret_access_key
    return Lake.open(
        settings.resolved_lake_url,
        access_key_id=key.get_secret_value() if key else None,
        secret_access_key=secret.get_secret_value() if secret else None,
        endpoint=settings.resolved_r2_endpoint,
        region=settings.r2_region,
    )


@contextmanager
def _open_warehouse(settings: Settings) -> Iterator[Warehouse]:
    from market_platform.embedded.databases import open_database

    with open_database(settings, pool_size=4) as warehouse:
        yield warehouse
