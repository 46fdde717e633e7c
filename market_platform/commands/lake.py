"""`market-platform lake stats | verify | rebuild | import`: what the lake holds, and whether it is what it says.

Belongs here: arguments, tables, exit codes. Does not: reading files (lake/), manifests (pipeline/).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from market_platform.domain.errors import BadRequestError, ConfigError, WarehouseError
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from rich.table import Table

    from market_platform.lake.statistics import SymbolStatistics
    from market_platform.lake.store import Lake
    from market_platform.lake.survey import Survey
    from market_platform.warehouse.engine import Warehouse

_PAIR = typer.Argument(help="One pair, as in dukascopy/EURUSD; all without it.", metavar="PAIR", show_default=False)
_JSON = typer.Option("--json", help="Print JSON for programs instead of a table for people.")


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    lake = typer.Typer(no_args_is_help=True, help="The lake of ticks: what it holds, and whether it is what it says.")
    lake.command("stats")(stats)
    lake.command("verify")(verify)
    lake.command("rebuild")(rebuild)
    lake.command("import")(import_parts)
    app.add_typer(lake, name="lake")


def stats(pair: Annotated[str | None, _PAIR] = None, as_json: Annotated[bool, _JSON] = False) -> None:
    """Count ticks, days, bytes and gaps of every pair in the lake.

    It reads the descriptions of the files, so it needs no database. An absent Monday to Friday counts as a gap, holidays
    too: the lake does not know an exchange's calendar (`market-platform status` does).

        market-platform lake stats

        market-platform lake stats dukascopy/EURUSD --json
    """
    from market_platform.lake.statistics import symbol_statistics
    from market_platform.lake.survey import survey

    wanted = _wanted(pair)
    lake = _open_lake(get_settings())
    found = survey(lake, exchange=wanted.exchange, symbol=wanted.symbol)
    rows = symbol_statistics(found)
    if as_json:
        _print_json({"lake": lake.url, "pairs": [_record(row) for row in rows], **_leftovers(found)})
        return
    _print_statistics(lake, rows)
    _print_leftovers(found)


def verify(
    pair: Annotated[str | None, _PAIR] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Read day files whole and compare their ticks with their own hash, and with the manifests in Postgres.

    Every problem is named with what to do; there being one is exit code 1. Without a database the files are checked alone,
    and it says so. A day takes some five milliseconds from a local folder.

        market-platform lake verify

        market-platform lake verify dukascopy/EURUSD --from 2024-03-01 --to 2024-03-31
    """
    from market_platform.lake.day_checks import check_days
    from market_platform.lake.survey import survey
    from market_platform.pipeline.manifests import compare_manifests

    wanted = _wanted(pair, first, last)
    settings = get_settings()
    lake = _open_lake(settings)
    found = survey(lake, exchange=wanted.exchange, symbol=wanted.symbol, first=wanted.first, last=wanted.last)
    problems = [{"object_key": each.object_key, "problem": each.reason} for each in found.foreign]
    for file, problem in check_days(lake, (*found.current, *found.superseded)):
        if problem:
            problems.append({"object_key": file.object_key, "problem": problem})
    manifests, differences = "compared", []
    try:
        with _open_warehouse(settings) as warehouse:
            compared = compare_manifests(
                lake,
                warehouse,
                found,
                exchange=wanted.exchange,
                symbol=wanted.symbol,
                first=wanted.first or date.min,
                last=wanted.last or date.max,
            )
        differences = [{"pair": each.pair, "day": each.day.isoformat(), "problem": each.problem} for each in compared]
    except (ConfigError, WarehouseError) as error:
        manifests = f"not compared: {error}"
    checked = len(found.current) + len(found.superseded)
    if as_json:
        report = {"lake": lake.url, "files": checked, "problems": problems, "manifests": manifests}
        _print_json({**report, "differences": differences})
    else:
        _print_problems(checked, manifests, [each["problem"] for each in problems], differences)
    if problems or differences:
        raise typer.Exit(1)


def rebuild(
    pair: Annotated[str | None, _PAIR] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added, change nothing.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Make the manifests of a lost database again, from what the files say of themselves.

    Days that have a manifest keep it. Days without ticks have no file: materialise them again, which is quick. Pairs must
    be in the database first:

        market-platform config sync

        market-platform lake rebuild --dry-run

        market-platform lake rebuild
    """
    from market_platform.lake.survey import survey
    from market_platform.pipeline.manifests import rebuild_manifests

    wanted = _wanted(pair)
    settings = get_settings()
    lake = _open_lake(settings)
    found = survey(lake, exchange=wanted.exchange, symbol=wanted.symbol)
    with _open_warehouse(settings) as warehouse:
        done = rebuild_manifests(warehouse, found, dry_run=dry_run)
    by_pair: dict[str, list[date]] = {}
    for file in done.added:
        by_pair.setdefault(f"{file.exchange}/{file.symbol}", []).append(file.day)
    if as_json:
        added = {name: [day.isoformat() for day in days] for name, days in by_pair.items()}
        report = {"lake": lake.url, "dry_run": dry_run, "added": added, "kept": done.kept}
        _print_json({**report, "unknown_pairs": done.unknown_pairs, **_leftovers(found)})
    else:
        for name, days in by_pair.items():
            print(f"{name}: {len(days)} days, {min(days)} to {max(days)}")
        print(f"{'would add' if dry_run else 'added'} {len(done.added)} manifests; {done.kept} days had theirs")
        _print_leftovers(found)
        for name in done.unknown_pairs:
            print(
                f"{name} is not in the database: add it to config/starlistings.yaml, run `market-platform config sync`"
            )
    if done.unknown_pairs:
        raise typer.Exit(1)


def import_parts(
    pair: Annotated[str, typer.Argument(help="The pair the parts are of, as in dukascopy/EURUSD.", metavar="PAIR")],
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")] = None,
) -> None:
    """Take over JSON tick parts of the old layout, `ticks/SYMBOL/YYYY/MM/DD/part-*.json`, as day files.

    Only days that have no ticks yet are taken; the parts stay. A day so taken is `degraded`, because parts do not say
    whether they are all there: it is served, and a backfill replaces it once the exchange gives the whole day.

        market-platform lake import dukascopy/EURUSD

        market-platform lake import dukascopy/EURUSD --from 2018-01-01 --to 2018-12-31
    """
    from market_platform.pipeline.legacy import ImportedDay, import_legacy_days
    from market_platform.pipeline.platform import Provenance
    from market_platform.pipeline.versions import TICKS_VERSION

    wanted = _wanted(pair, first, last)
    assert wanted.exchange is not None
    assert wanted.symbol is not None
    settings = get_settings()

    def tell(day: ImportedDay) -> None:
        print(f"{day.day}: {day.rows:,} ticks of {day.parts} parts, {day.duplicates} duplicates dropped")

    with _open_warehouse(settings) as warehouse:
        imported = import_legacy_days(
            _open_lake(settings),
            warehouse,
            wanted.exchange,
            wanted.symbol,
            Provenance("lake-import", TICKS_VERSION),
            tell,
            first=wanted.first or date.min,
            last=wanted.last or date.max,
        )
    print(f"{len(imported)} days taken over; build their candles with `market-platform backfill`")


@dataclass(frozen=True, slots=True)
class _Wanted:
    exchange: str | None
    symbol: str | None
    first: date | None
    last: date | None


def _wanted(pair: str | None, first: datetime | None = None, last: datetime | None = None) -> _Wanted:
    from market_platform.domain.pairs import normalise_symbol

    first_day, last_day = first.date() if first else None, last.date() if last else None
    if first_day and last_day and first_day > last_day:
        raise BadRequestError(f"--from {first_day} is after --to {last_day}")
    if pair is None:
        return _Wanted(None, None, first_day, last_day)
    exchange, slash, symbol = pair.partition("/")
    if not slash or not exchange:
        raise BadRequestError(f"{pair!r} is not a pair; write it as exchange/SYMBOL, like dukascopy/EURUSD")
    return _Wanted(exchange.lower(), normalise_symbol(symbol), first_day, last_day)


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
    from market_platform.embedded.postgres import find_database_url
    from market_platform.warehouse.engine import create_warehouse

    warehouse = create_warehouse(find_database_url(settings), timeout_s=settings.database_timeout_s, role="realtime")
    try:
        yield warehouse
    finally:
        warehouse.close()


def _record(row: SymbolStatistics) -> dict[str, Any]:
    gaps = [{"first": str(gap.first), "last": str(gap.last), "days": gap.days} for gap in row.gaps]
    days = {"first_day": str(row.first_day), "last_day": str(row.last_day)}
    return {**asdict(row), **days, "gaps": gaps, "bytes_per_tick": round(row.bytes_per_tick, 3)}


def _leftovers(found: Survey) -> dict[str, Any]:
    foreign = [{"object_key": each.object_key, "bytes": each.bytes, "reason": each.reason} for each in found.foreign]
    return {"foreign": foreign, "legacy_parts": dict(found.legacy)}


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2))


def _print_statistics(lake: Lake, rows: list[SymbolStatistics]) -> None:
    from rich.console import Console

    console = Console()
    if not rows:
        console.print(
            f"no day files in the lake at {lake.url}; fill it with `market-platform backfill`", soft_wrap=True
        )
        return
    console.print(f"lake at {lake.url}\n", soft_wrap=True, markup=False, highlight=False)
    unlimited = console.options.update_width(10_000)
    table = _statistics_table(rows, two_lines=False)
    if console.measure(table, options=unlimited).maximum > console.width:
        table = _statistics_table(rows, two_lines=True)
    needed = console.measure(table, options=unlimited).maximum
    Console(width=max(console.width, needed)).print(table)


def _statistics_table(rows: list[SymbolStatistics], *, two_lines: bool) -> Table:
    """No number is ever cut; for a narrow terminal a pair takes two lines."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in (
        "pair",
        "days",
        "ticks",
        "MB",
        "bytes/\ntick",
        "first and\nlast",
        "weekdays\nabsent",
        "not\navailable",
    ):
        table.add_column(heading, justify="left" if heading == "pair" else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row.exchange}/\n{row.symbol}" if two_lines else f"{row.exchange}/{row.symbol}",
            f"{row.days:,}",
            f"{row.ticks:,}",
            f"{row.bytes / 1e6:,.1f}",
            f"{row.bytes_per_tick:.2f}",
            f"{row.first_day}\n{row.last_day}" if two_lines else f"{row.first_day} {row.last_day}",
            f"{row.days_missing:,}",
            f"{row.days - row.conditions.get('available', 0):,}",
        )
    return table


def _print_leftovers(found: Survey) -> None:
    for each in found.foreign:
        print(f"not used: {each.object_key}: {each.reason}")
    for symbol, parts in sorted(found.legacy.items()):
        print(f"{symbol}: {parts} JSON parts of the old layout")


def _print_problems(checked: int, manifests: str, problems: list[str], differences: list[dict[str, str]]) -> None:
    for problem in problems:
        print(problem)
    for each in differences:
        print(f"{each['pair']} {each['day']}: {each['problem']}")
    print(f"{checked:,} files read, {len(problems)} problems; manifests {manifests}, {len(differences)} differences")
