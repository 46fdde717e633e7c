"""`market-platform gaps [repair]`: what the streams missed, and fetching it now.

Belongs here: arguments, progress, exit codes. Does not: how gaps are shown (gaps_output.py), SQL (warehouse/), the repair
(pipeline/).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.commands.gaps_output import gap_record, print_table
from market_platform.commands.known_pairs import require_pair
from market_platform.commands.progress import progress_bar
from market_platform.domain.clock import utc_now
from market_platform.domain.errors import BadRequestError
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from market_platform.domain.gaps import GapState
    from market_platform.pipeline.gap_outcomes import Outcome
    from market_platform.pipeline.platform import Platform
    from market_platform.warehouse.gaps import Gap, GapFilter

_HELP = """What the streams missed: every disconnect, hole in trade ids, silent subscription and start is a gap, until it is repaired.

A gap is `open` (being repaired, or the stream is still away), `repaired`, or `unrepairable`: the exchange does not serve it
any more, and the gap says why. A running streamer repairs its gaps by itself within seconds; Dagster takes over what it
can't. Without a subcommand, the gaps are listed, the last found first:

\b
    market-platform gaps --open
    market-platform gaps --pair binance/BTCUSDT --since 24h
    market-platform gaps --unrepairable --json | jq '.[].unrepairable'

Repair them now, from this terminal:

\b
    market-platform gaps repair --dry-run
    market-platform gaps repair 17 18
"""

_EXCHANGE = typer.Option("--exchange", help="Only of this exchange.", metavar="CODE", show_default=False)
_PAIR = typer.Option("--pair", help="Only of this pair, as in binance/BTCUSDT.", show_default=False)
_JSON = typer.Option("--json", help="Print JSON for programs instead of a table for people.")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    gaps = typer.Typer(invoke_without_command=True, help=_HELP)
    gaps.callback()(list_them)
    gaps.command("repair")(repair)
    app.add_typer(gaps, name="gaps")


def list_them(
    context: typer.Context,
    exchange: Annotated[str | None, _EXCHANGE] = None,
    pair: Annotated[str | None, _PAIR] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    unrepairable: Annotated[bool, typer.Option("--unrepairable", help="Only what is lost for good.")] = False,
    since: Annotated[
        str | None, typer.Option(help="Only those found since then: 30m, 24h, 7d, or 2026-11-01.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 200,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """List the gaps; see the help of the topic."""
    if context.invoked_subcommand is not None:
        return
    if only_open and unrepairable:
        raise BadRequestError("--open and --unrepairable exclude each other; give one, or neither for all gaps")
    state: GapState | None = "open" if only_open else "unrepairable" if unrepairable else None
    wanted = _filter(exchange, pair, state=state, since=None if since is None else _moment(since))
    found = _load(get_settings(), wanted, limit + 1)
    more, found = len(found) > limit, found[:limit]
    if as_json:
        print(json.dumps([gap_record(gap) for gap in found], indent=2))
        return
    print_table(found)
    if more:
        typer.echo(f"only the newest {limit} are shown; --limit shows more", err=True)


def repair(
    ids: Annotated[
        list[int] | None, typer.Argument(help="Ids of gaps; all open ones without any.", metavar="[ID]...")
    ] = None,
    exchange: Annotated[str | None, _EXCHANGE] = None,
    pair: Annotated[str | None, _PAIR] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be repaired, ask no exchange.")] = False,
) -> None:
    """Fetch what open gaps miss, write it, and close them, now and from here.

    One attempt at each gap: candles go to Postgres, trades to the lake. Harmless beside a running streamer, whose own
    repairs do the same. A gap whose stream is still away can't be repaired yet.

        market-platform gaps repair --dry-run

        market-platform gaps repair --exchange binance

        market-platform gaps repair 17 18

    Exit code 1 when an attempt failed; each is named with its error, and tried again by the streamer or Dagster.
    """
    from market_platform.pipeline.gap_repair import overlapping_gaps

    settings = get_settings()
    wanted = _filter(exchange, pair, ids=tuple(ids or ()))
    found = _load(settings, wanted, 100_000)
    unknown = set(ids or ()) - {gap.id for gap in found}
    if unknown:
        raise BadRequestError(
            f"there is no gap {', '.join(map(str, sorted(unknown)))}; `market-platform gaps` lists them"
        )
    for gap in found if ids else ():
        if gap.state != "open":
            typer.echo(f"gap {gap.id} is {gap.state} already")
    gaps = [gap for gap in found if gap.state == "open" and gap.end is not None]
    away = sum(gap.state == "open" and gap.end is None for gap in found)
    if away:
        named = "1 gap can't be repaired yet: its" if away == 1 else f"{away} gaps can't be repaired yet: their"
        typer.echo(f"{named} stream is still away")
    if not gaps:
        typer.echo("nothing to repair")
        return
    if dry_run:
        print_table(gaps)
        typer.echo(f"would make {len(overlapping_gaps(gaps))} repairs of {len(gaps)} gaps")
        return
    _repair(settings, gaps)


def _repair(settings: Settings, gaps: Sequence[Gap]) -> None:
    from market_platform.exchanges.registry import live_exchange
    from market_platform.pipeline.gap_takeover import repair_chosen
    from market_platform.pipeline.platform import Provenance
    from market_platform.pipeline.versions import REPAIR_VERSION

    counts: Counter[str] = Counter()
    rows = 0
    with _open_platform(settings) as platform, progress_bar() as bar:
        task = bar.add_task("repairing", total=len(gaps))

        def told(group: Sequence[Gap], outcome: Outcome) -> None:
            nonlocal rows
            state = "failed" if outcome.error else "unrepairable" if outcome.unrepairable else "repaired"
            counts[state] += len(group)
            rows += outcome.rows
            why = outcome.error or outcome.unrepairable or outcome.note
            names = ", ".join(str(gap.id) for gap in group)
            bar.console.print(
                f"gap {names}: {group[0].pair} {group[0].kind} {state}, {outcome.rows:,} rows{f'; {why}' if why else ''}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
            bar.advance(task, len(group))

        for code in sorted({gap.exchange for gap in gaps}):
            mine = [gap.id for gap in gaps if gap.exchange == code]
            provenance = Provenance(f"direct-{utc_now():%Y%m%dT%H%M%S}", REPAIR_VERSION)
            asyncio.run(repair_chosen(platform, live_exchange(code, settings), mine, provenance, told))
    summary = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    typer.echo(f"{summary or 'nothing was open any more'}; {rows:,} rows")
    if counts["failed"]:
        raise typer.Exit(1)


def _filter(
    exchange: str | None,
    pair: str | None,
    *,
    state: GapState | None = None,
    since: datetime | None = None,
    ids: Sequence[int] = (),
) -> GapFilter:
    from market_platform.domain.pairs import normalise_symbol
    from market_platform.exchanges.codes import LIVE_EXCHANGES
    from market_platform.warehouse.gaps import GapFilter

    symbol = None
    if pair is not None:
        code, slash, name = pair.partition("/")
        if not slash or not code:
            raise BadRequestError(f"{pair!r} is not a pair; write it as exchange/SYMBOL, like binance/BTCUSDT")
        if exchange is not None and exchange.lower() != code.lower():
            raise BadRequestError(f"--pair {pair} is not of --exchange {exchange}; give one of the two")
        exchange, symbol = code, normalise_symbol(name)
    if exchange is not None and exchange.lower() not in LIVE_EXCHANGES:
        raise BadRequestError(f"{exchange!r} is not streamed, so it has no gaps; there are {', '.join(LIVE_EXCHANGES)}")
    return GapFilter(ids, None if exchange is None else exchange.lower(), symbol, state, since)


def _moment(text: str) -> datetime:
    """`24h` ago, or the start of a day, or a moment in ISO 8601 (UTC when it does not say)."""
    ago = re.fullmatch(r"(\d{1,6})([mhd])", text.strip())
    if ago:
        return utc_now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequestError(f"--since {text!r} is no time; write 30m, 24h, 7d, or a day such as 2026-11-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _load(settings: Settings, wanted: GapFilter, limit: int) -> list[Gap]:
    from market_platform.embedded.postgres import find_database_url
    from market_platform.warehouse.engine import create_warehouse
    from market_platform.warehouse.gaps import list_gaps

    warehouse = create_warehouse(find_database_url(settings), pool_size=1, timeout_s=settings.database_timeout_s)
    try:
        with warehouse.connect() as conn:
            if wanted.exchange is not None and wanted.symbol is not None:
                require_pair(conn, wanted.exchange, wanted.symbol)
            return list_gaps(conn, wanted, limit)
    finally:
        warehouse.close()


@contextmanager
def _open_platform(settings: Settings) -> Iterator[Platform]:
    from market_platform.embedded.postgres import find_database_url
    from market_platform.pipeline.platform import Platform

    platform = Platform.from_settings(settings, find_database_url(settings))
    try:
        yield platform
    finally:
        platform.close()
