"""`market-platform ticks to-lake`: rows of `market_ticks` into the lake.

Belongs here: arguments, progress, words, exit codes. Does not: SQL (warehouse/), moving (pipeline/legacy_moves.py).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.commands.progress import progress_bar
from market_platform.commands.ticks_table import SESSION, days_with_rows, open_warehouse, pair_named
from market_platform.domain.clock import utc_now
from market_platform.domain.errors import BadRequestError
from market_platform.settings import get_settings

if TYPE_CHECKING:
    from market_platform.pipeline.legacy_store import MovedDay
    from market_platform.warehouse.engine import Warehouse
    from market_platform.warehouse.reference import PairRow


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
    from market_platform.pipeline.bulk_load import described
    from market_platform.pipeline.lakes import open_lake
    from market_platform.pipeline.legacy_day import Allowances
    from market_platform.pipeline.legacy_moves import Mover
    from market_platform.pipeline.platform import Provenance
    from market_platform.pipeline.versions import TICKS_VERSION
    from market_platform.warehouse.bulk_loads import load_open
    from market_platform.warehouse.market_ticks import ticks_session

    if first and last and first > last:
        raise BadRequestError(f"--from {first:%Y-%m-%d} is after --to {last:%Y-%m-%d}")
    settings = get_settings()
    with open_warehouse(settings) as warehouse:
        wanted = {pair_named(warehouse, name).id for name in pairs or ()}
        with warehouse.connect() as conn:
            interrupted = load_open(conn)
            if interrupted is not None:  # it may have dropped the index that finds the days
                raise BadRequestError(described(interrupted))
            days = days_with_rows(conn, wanted, first.date() if first else date.min, last.date() if last else date.max)
        if dry_run or not days:
            _print_days(warehouse, days)
            return
        if drop_verified and not yes:
            _confirm(f"delete the rows of up to {len(days)} days from market_ticks once they are verified?")
        warehouse.check_role()
        counts: Counter[str] = Counter()
        with ticks_session(warehouse.url, SESSION) as session, progress_bar(remaining=True) as bar:
            task = bar.add_task("moving ticks", total=len(days))

            def tell(moved: MovedDay) -> None:
                counts[moved.move.state] += 1
                counts["rows"] += moved.move.rows
                counts["duplicates"] += moved.move.duplicates
                bar.console.print(_told(moved), markup=False, highlight=False, soft_wrap=True)
                bar.advance(task)

            mover = Mover(
                open_lake(settings),
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


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise BadRequestError("--drop-verified deletes rows; say --yes as well")
    typer.confirm(question, abort=True)
