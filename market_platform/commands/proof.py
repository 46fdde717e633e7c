"""`market-platform proof`: what the nightly proof found.

Belongs here: arguments, tables, exit codes. Does not: SQL (warehouse/), proving (pipeline/proof.py, run by Dagster).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from market_platform.commands.day_options import read_day
from market_platform.commands.known_pairs import require_pair
from market_platform.commands.tables import print_rows
from market_platform.domain.errors import BadRequestError
from market_platform.settings import get_settings

if TYPE_CHECKING:
    from market_platform.warehouse.proofs import ProofDay, ProofFilter, StoredDifference

_DAYS = ("day", "pair", "minutes", "differences", "unexplained", "reasons", "not compared")
_DIFFERENCES = ("time (UTC)", "pair", "sides", "field", "left", "right", "reason", "detail")
_NUMBERS = frozenset({"minutes", "differences", "unexplained"})


def _day_option(name: str, text: str) -> Any:
    return typer.Option(name, metavar="DAY", help=text, show_default=False)


def register(app: typer.Typer) -> None:
    """Add this topic's command to the command line."""
    app.command("proof")(proof)


def proof(
    pairs: Annotated[
        list[str] | None,
        typer.Argument(help="Pairs, as in binance/BTCUSDT; all without any.", metavar="[PAIR]...", show_default=False),
    ] = None,
    day: Annotated[str | None, _day_option("--day", "Only this day, YYYY-MM-DD.")] = None,
    first: Annotated[str | None, _day_option("--from", "First day.")] = None,
    last: Annotated[str | None, _day_option("--to", "Last day, included.")] = None,
    differences: Annotated[
        bool, typer.Option("--differences", help="List every difference, with both values, instead of the days.")
    ] = False,
    unexplained: Annotated[
        bool, typer.Option("--unexplained", help="Only days with unexplained differences, and only those.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many rows at most.")] = 200,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")
    ] = False,
) -> None:
    """Show what the nightly proof found: candles as streamed = made of the lake's trades = the exchange's own.

    The newest days are first. A terminal gets a table, a pipe columns with tabs. What a reason means: docs/proof.md.

        market-platform proof

        market-platform proof binance/BTCUSDT --day 2026-11-16 --differences

        market-platform proof --from 2026-11-01 --to 2026-11-30 --unexplained

    Exit code 0, whatever was found; Dagster's check `candles_agree` is what fails.
    """
    from market_platform.domain.proof import Reason
    from market_platform.embedded.postgres import find_database_url
    from market_platform.warehouse.engine import create_warehouse
    from market_platform.warehouse.proofs import list_differences, list_proofs

    wanted = _filter(pairs or [], day, first, last, unexplained=unexplained)
    settings = get_settings()
    warehouse = create_warehouse(find_database_url(settings), pool_size=1, timeout_s=settings.database_timeout_s)
    try:
        with warehouse.connect() as conn:
            for exchange, symbol in wanted.pairs:
                require_pair(conn, exchange, symbol)
            days = [] if differences else list_proofs(conn, wanted, limit + 1)
            found = list_differences(conn, wanted, limit + 1) if differences else []
    finally:
        warehouse.close()
    more = max(len(days), len(found)) > limit
    days, found = days[:limit], found[:limit]
    if as_json:
        records = [_difference_record(each) for each in found] if differences else [_day_record(each) for each in days]
        print(json.dumps(records, indent=2))
    elif differences:
        marked = [not Reason(each.reason).is_explained for each in found]
        _print(_DIFFERENCES, [_difference_cells(each) for each in found], marked, "no differences")
    else:
        marked = [each.unexplained > 0 for each in days]
        _print(
            _DAYS, [_day_cells(each) for each in days], marked, "nothing was proved; the schedule prove_yesterday does"
        )
    if more:
        typer.echo(f"only the newest {limit} are shown; --limit shows more", err=True)


def _filter(
    names: Sequence[str], day: str | None, first: str | None, last: str | None, *, unexplained: bool
) -> ProofFilter:
    from market_platform.domain.pairs import normalise_symbol
    from market_platform.exchanges.codes import LIVE_EXCHANGES
    from market_platform.warehouse.proofs import ProofFilter

    if day is not None and (first is not None or last is not None):
        raise BadRequestError("--day and --from or --to exclude each other; give one day, or a range")
    only = None if day is None else read_day(day, "--day")
    start = only if first is None else read_day(first, "--from")
    end = only if last is None else read_day(last, "--to")
    if start is not None and end is not None and start > end:
        raise BadRequestError(f"--from {start} is after --to {end}")
    pairs: list[tuple[str, str]] = []
    for name in names:
        code, slash, symbol = name.partition("/")
        if not slash or not code:
            raise BadRequestError(f"{name!r} is not a pair; write it as exchange/SYMBOL, like binance/BTCUSDT")
        if code.lower() not in LIVE_EXCHANGES:
            raise BadRequestError(
                f"{code!r} is not streamed, so nothing of it is proved; there are {', '.join(LIVE_EXCHANGES)}"
            )
        pairs.append((code.lower(), normalise_symbol(symbol)))
    return ProofFilter(pairs, start, end, unexplained=unexplained)


def _day_record(each: ProofDay) -> dict[str, Any]:
    """A day for programs."""
    return {
        "pair": each.pair,
        "day": each.day.isoformat(),
        "minutes": each.minutes,
        "differences": each.differences,
        "unexplained": each.unexplained,
        "reasons": dict(each.reasons),
        "compared": dict(each.compared),
        "left_out": dict(each.left_out),
        "inputs": dict(each.inputs),
        "proved_at": each.proved_at.isoformat() if each.proved_at else None,
        "run_id": each.run_id,
        "code_version": each.code_version,
    }


def _difference_record(each: StoredDifference) -> dict[str, Any]:
    """A difference for programs; values are exact texts."""
    return {
        "pair": each.pair,
        "time": each.time.isoformat(),
        "sides": each.sides,
        "field": each.field,
        "left": each.left_value,
        "right": each.right_value,
        "reason": each.reason,
        "detail": each.detail,
    }


def _day_cells(each: ProofDay) -> tuple[str, ...]:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(each.reasons.items()))
    left_out = "; ".join(f"{side}: {' '.join(why.split())}" for side, why in each.left_out.items())
    note = each.inputs.get("note")
    told = "; ".join(part for part in (left_out, f"note: {note}" if note else "") if part)
    numbers = (f"{each.minutes}", f"{each.differences}", f"{each.unexplained}")
    return (each.day.isoformat(), each.pair, *numbers, reasons, told)


def _difference_cells(each: StoredDifference) -> tuple[str, ...]:
    values = ("nothing" if value is None else value for value in (each.left_value, each.right_value))
    return (f"{each.time:%Y-%m-%d %H:%M}", each.pair, each.sides, each.field, *values, each.reason, each.detail)


def _print(columns: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool], nothing: str) -> None:
    """A table on a terminal, in which what nothing explains is red; lines with tabs between the columns for a pipe."""
    if not rows:
        typer.echo(nothing, err=not sys.stdout.isatty())
        return
    print_rows(
        columns,
        rows,
        numbers=_NUMBERS,
        wraps=("reasons", "not compared", "left", "right", "detail"),
        marked=[position for position, is_marked in enumerate(marked) if is_marked],
    )
