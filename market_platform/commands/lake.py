"""`market-platform lake stats | verify | rebuild | import`: what the lake holds, and whether it is what it says.

Belongs here: arguments, exit codes. Does not: tables and words (lake_output.py), reading files (lake/), manifests (pipeline/).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.commands.databases import DatabaseOption, choose_database, open_to_read
from market_platform.commands.known_pairs import require_known_pair
from market_platform.commands.lake_output import Verification, print_rebuild, print_statistics, print_verification
from market_platform.commands.progress import progress_bar
from market_platform.domain.databases import Database
from market_platform.domain.errors import BadRequestError, ConfigError, WarehouseError
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from market_platform.lake.store import Lake
    from market_platform.lake.survey import Survey
    from market_platform.pipeline.manifests import ManifestDifference

_PAIR = typer.Argument(
    help="One pair, as in dukascopy/EURUSD or binance/BTCUSDT; all without it.", metavar="PAIR", show_default=False
)
_JSON = typer.Option("--json", help="Print JSON for programs instead of a table for people.")
_First = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")]
_Last = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, included.")]


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    lake = typer.Typer(
        no_args_is_help=True,
        help="The lake of ticks (quotes) and trades: what it holds, and whether it is what it says.",
    )
    lake.command("stats")(stats)
    lake.command("verify")(verify)
    lake.command("rebuild")(rebuild)
    lake.command("import")(import_parts)
    app.add_typer(lake, name="lake")


def stats(
    pair: Annotated[str | None, _PAIR] = None,
    database: DatabaseOption = "realtime",
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Count ticks, trades, days, bytes and gaps of every pair in the lake.

    `ticks` are quotes (Dukascopy, OANDA), `trades` those of Binance and Hyperliquid; parts of days that are still streamed wait
    for their compaction and are counted apart. It reads the descriptions of the files, so it needs no database. Days absent
    between a pair's first and last count as gaps: Mondays to Fridays of quotes, holidays too, and all days of trades. The lake
    does not know an exchange's calendar (`market-platform status` does).

        market-platform lake stats

        market-platform lake stats dukascopy/EURUSD --json
    """
    from market_platform.lake.statistics import symbol_statistics, waiting_parts

    wanted = _wanted(pair)
    settings = get_settings()
    lake = _open_lake(settings, database)
    found = _survey(settings, database, lake, wanted)
    print_statistics(lake.url, found, symbol_statistics(found), waiting_parts(found), as_json=as_json)


def verify(
    pair: Annotated[str | None, _PAIR] = None,
    first: _First = None,
    last: _Last = None,
    database: DatabaseOption = "realtime",
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Check that the lake's files hold what they and the manifests say.

    Day files and parts of ticks (quotes) and trades alike: SHA-256 and number of the rows, that they are in order, of their
    day, and none twice; then what the rows of `lake_days` in Postgres say. Every problem is named with what to do; there being
    one is exit code 1. Without a database the files are checked alone, and it says so. A day of 60,000 ticks takes some ten
    milliseconds from a local folder; a large one is read piece by piece.

        market-platform lake verify

        market-platform lake verify binance/BTCUSDT --from 2026-03-01 --to 2026-03-31
    """
    wanted = _wanted(pair, first, last)
    settings = get_settings()
    lake = _open_lake(settings, database)
    found = _survey(settings, database, lake, wanted)
    problems = [(each.object_key, each.reason) for each in found.foreign]
    problems += _file_problems(lake, found)
    manifests = "compared"
    differences: list[ManifestDifference] = []
    try:
        differences = _differences(settings, database, lake, found, wanted)
    except (ConfigError, WarehouseError) as error:
        manifests = f"not compared: {error}"
    print_verification(Verification(lake.url, found, problems, manifests, differences), as_json=as_json)
    if problems or differences:
        raise typer.Exit(1)


def rebuild(
    pair: Annotated[str | None, _PAIR] = None,
    database: DatabaseOption = "realtime",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added, change nothing.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Make the manifests of a lost database again from the lake's files.

    The files of ticks and trades say of themselves what is needed. Days that have a manifest keep it. Days without ticks have
    no file: materialise them again, which is quick. Parts of streamed days have no manifest: their compaction makes it. Pairs
    must be in the database first:

        market-platform config sync

        market-platform lake rebuild --dry-run

        market-platform lake rebuild
    """
    from market_platform.embedded.databases import open_database
    from market_platform.pipeline.manifests import rebuild_manifests

    wanted = _wanted(pair)
    settings = get_settings()
    choose_database(settings, database)
    lake = _open_lake(settings, database)
    found = _survey(settings, database, lake, wanted)
    with open_database(settings, database) as warehouse:
        done = rebuild_manifests(warehouse, found, dry_run=dry_run)
    print_rebuild(lake.url, found, done, dry_run=dry_run, as_json=as_json)
    if done.unknown_pairs:
        raise typer.Exit(1)


def import_parts(
    pair: Annotated[str, typer.Argument(help="The pair the parts are of, as in dukascopy/EURUSD.", metavar="PAIR")],
    first: _First = None,
    last: _Last = None,
) -> None:
    """Take over JSON tick parts of the old layout as day files.

    They are `ticks/SYMBOL/YYYY/MM/DD/part-*.json`. Only days that have no ticks yet are taken; the parts stay. A day so taken
    is `degraded`, because parts do not say whether they are all there: it is served, and a backfill replaces it once the
    exchange gives the whole day.

        market-platform lake import dukascopy/EURUSD

        market-platform lake import dukascopy/EURUSD --from 2018-01-01 --to 2018-12-31
    """
    from market_platform.embedded.databases import open_database
    from market_platform.pipeline.legacy import ImportedDay, import_legacy_days
    from market_platform.pipeline.platform import Provenance
    from market_platform.pipeline.versions import TICKS_VERSION

    wanted = _wanted(pair, first, last)
    assert wanted.exchange is not None
    assert wanted.symbol is not None
    settings = get_settings()

    def tell(day: ImportedDay) -> None:
        print(f"{day.day}: {day.rows:,} ticks of {day.parts} parts, {day.duplicates} duplicates dropped")

    with open_database(settings) as warehouse:
        imported = import_legacy_days(
            _open_lake(settings, "realtime"),
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


def _survey(settings: Settings, database: Database, lake: Lake, wanted: _Wanted) -> Survey:
    """What the lake has of what is wanted.

    Raises:
        ConfigError: it has nothing at all of the pair, and nobody knows it.
    """
    from market_platform.lake.survey import survey

    found = survey(lake, exchange=wanted.exchange, symbol=wanted.symbol, first=wanted.first, last=wanted.last)
    if wanted.exchange and wanted.symbol and not _has_files(found):
        bounded = wanted.first or wanted.last
        if not (bounded and _has_files(survey(lake, exchange=wanted.exchange, symbol=wanted.symbol))):
            require_known_pair(settings, database, wanted.exchange, wanted.symbol)
    return found


def _has_files(found: Survey) -> bool:
    return bool(found.current or found.superseded or found.parts or found.foreign)


def _open_lake(settings: Settings, database: Database) -> Lake:
    """The lake of that database; training data is in the realtime one's where it has no database of its own."""
    from market_platform.embedded.databases import has_training_database
    from market_platform.pipeline.lakes import open_lake

    return open_lake(settings, database if has_training_database(settings) else "realtime")


def _file_problems(lake: Lake, found: Survey) -> list[tuple[str, str]]:
    """Object key and problem of every file and part that is not what it says."""
    from market_platform.lake.day_checks import check_days, check_parts

    files = (*found.current, *found.superseded)
    problems = []
    with progress_bar(remaining=True) as bar:
        task = bar.add_task("files", total=len(files) + len(found.parts))
        for checked in (check_days(lake, files), check_parts(lake, found.parts)):
            for file, problem in checked:
                bar.advance(task)
                if problem:
                    problems.append((file.object_key, problem))
    return problems


def _differences(
    settings: Settings, database: Database, lake: Lake, found: Survey, wanted: _Wanted
) -> list[ManifestDifference]:
    from market_platform.pipeline.manifests import compare_manifests

    with open_to_read(settings, database) as warehouse:
        return compare_manifests(
            lake,
            warehouse,
            found,
            exchange=wanted.exchange,
            symbol=wanted.symbol,
            first=wanted.first or date.min,
            last=wanted.last or date.max,
        )
