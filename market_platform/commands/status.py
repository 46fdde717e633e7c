"""`market-platform status`: what runs, and how every pair is doing, at a glance.

Belongs here: gathering, the picture, the JSON. Does not: SQL (warehouse/), processes (embedded/), Dagster's API (dagster_api.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from market_platform.commands.database import DatabaseState, database_states, shown_state
from market_platform.commands.databases import DatabaseOption, choose_database
from market_platform.domain.clock import days_between, from_ms, to_ms, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import MarketPlatformError
from market_platform.domain.intervals import bucket_end, parse_interval
from market_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from rich.text import Text

    from market_platform.embedded.record import ServiceState
    from market_platform.warehouse.lake_days import LakeStatistics

_BLOCKS: dict[Condition | None, tuple[str, str]] = {
    Condition.AVAILABLE: ("█", "green"),
    Condition.DEGRADED: ("▆", "yellow"),
    Condition.PENDING: ("▃", "cyan"),
    Condition.MISSING: ("▁", "red"),
    Condition.CLOSED: ("·", "bright_black"),
    None: (" ", ""),
}
"""Height and colour say the same, so that neither is needed alone."""


_WIDE = 110


def register(app: typer.Typer) -> None:
    """Add this topic's commands to the command line."""
    app.command("status")(status)


def status(
    days: Annotated[
        int, typer.Option(min=1, max=365, help="How many days of each pair to show, up to its newest.")
    ] = 30,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs instead of tables for people.")
    ] = False,
    database: DatabaseOption = "realtime",
) -> None:
    """Show what runs, and for each pair its days by condition, its newest data, gaps and failures.

    Needs the database; services and failed runs are shown when they can be asked. A gap is a day between the first and the
    last fetched one that was not fetched although the market was open.

        market-platform status

        market-platform status --days 90 --json

        market-platform status --database training

    Exit code 1 when the database does not answer.
    """
    settings, now = get_settings(), utc_now()
    services = _services(settings)
    try:
        url = choose_database(settings, database).url
        pairs = _pairs(url, settings.database_timeout_s, now, days)
    except MarketPlatformError:
        if not as_json:
            _show_services(services)  # what runs is worth knowing all the more when the database does not answer
        raise
    databases = database_states(settings)
    failures = _failed_runs(settings, now - timedelta(days=days))
    if as_json:
        typer.echo(json.dumps(_document(services, databases, pairs, failures, now), indent=2))
        return
    _show_services(services)
    typer.echo("\n".join(shown_state(each) for each in databases) + "\n")
    _show_pairs(pairs, now, days)
    _show_failures(failures)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair's newest days, `first` to `last`: condition by day, gaps, the newest tick and candle, all its ticks.

    `last_candle` is when the newest candle opened, `known_to` up to when the newest tick or candle tells of the market.
    """

    name: str
    conditions: Mapping[date, Condition]
    gaps: Sequence[date]
    last_tick: datetime | None
    last_candle: datetime | None
    known_to: datetime | None
    ticks: int
    first: date
    last: date

    @property
    def newest(self) -> datetime | None:
        """The newest of what there is: of a pair that is streamed, mostly a candle."""
        return max((each for each in (self.last_tick, self.last_candle) if each), default=None)


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed run: for which pairs and days, and where to look."""

    run_id: str
    pairs: str
    days: str


def _services(settings: Settings) -> list[ServiceState]:
    from market_platform.embedded.record import stack_status

    return stack_status(settings)


def _pairs(url: str, timeout_s: float, now: datetime, days: int) -> list[_Pair]:
    """Every active pair's state, from the database alone."""
    from market_platform.exchanges.codes import TICK_EXCHANGES
    from market_platform.warehouse.candle_days import load_candle_days
    from market_platform.warehouse.engine import create_warehouse
    from market_platform.warehouse.lake_days import lake_statistics, load_lake_days
    from market_platform.warehouse.reference import load_instrument, load_pairs

    yesterday = now.date() - timedelta(days=1)
    window = timedelta(days=days - 1)
    warehouse = create_warehouse(url, pool_size=1, timeout_s=timeout_s)
    found = []
    try:
        with warehouse.connect() as connection:
            totals: dict[str, list[LakeStatistics]] = {}
            for each in lake_statistics(connection):
                totals.setdefault(f"{each.exchange}/{each.symbol}", []).append(each)
            for row in load_pairs(connection):
                if not row.active:
                    continue
                mine = totals.get(row.name, [])
                last_tick = max((each.last_time for each in mine if each.last_time), default=None)
                interval, shortest = next(iter(row.starlistings.items()), (None, None))
                if row.exchange in TICK_EXCHANGES:
                    newest = last_tick.date() if last_tick else yesterday
                    lake = load_lake_days(connection, row.id, newest - window, yesterday)
                    last = max(lake, default=yesterday)
                    lake = {day: each for day, each in lake.items() if day >= last - window}
                else:  # a stream's newest day is today; its gaps are in the ledger (`market-platform gaps`)
                    lake, last = {}, now.date()
                candles = load_candle_days(connection, shortest, last - window, last) if shortest is not None else {}
                last_candle = max((each.last_time for each in candles.values() if each.last_time), default=None)
                candle_end = (
                    from_ms(bucket_end(to_ms(last_candle), parse_interval(interval)))
                    if interval and last_candle
                    else None
                )
                instrument = load_instrument(connection, row.id) if row.instrument else None
                open_days = [
                    day
                    for day in (days_between(min(lake), max(lake)) if lake else [])
                    if instrument is None or instrument.calendar.is_open_on(day)
                ]
                found.append(
                    _Pair(
                        name=row.name,
                        conditions={day: each.condition for day, each in (lake or candles).items()},
                        gaps=[day for day in open_days if day not in lake],
                        last_tick=last_tick,
                        last_candle=last_candle,
                        known_to=max((each for each in (last_tick, candle_end) if each), default=None),
                        ticks=sum(each.rows for each in mine),
                        first=last - window,
                        last=last,
                    )
                )
    finally:
        warehouse.close()
    return found


def _failed_runs(settings: Settings, since: datetime) -> list[_Failure] | None:
    """Runs that failed since then, newest first; None when Dagster does not answer."""
    from market_platform.commands.dagster_api import DagsterApi, DagsterUnavailableError, webserver_url
    from market_platform.defs.names import PAIR_TAG, PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG

    api = DagsterApi(webserver_url(settings))
    try:
        failures = []
        for run in api.failed_runs(since.timestamp()):
            if run.tags.get("dagster/will_retry") == "true":
                continue  # its process died, and Dagster started it again
            first = run.tags.get(RANGE_START_TAG) or run.tags.get(PARTITION_TAG, "")
            last = run.tags.get(RANGE_END_TAG) or first
            days = f"{first} to {last}" if first != last else first
            failures.append(_Failure(run.run_id, run.tags.get(PAIR_TAG, ""), days))
        return failures
    except DagsterUnavailableError:
        return None
    finally:
        api.close()


# ------------------------------------------------------------------------------------------------------------- for people


def _show_services(services: Sequence[ServiceState]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not services:
        typer.echo("nothing runs here; start it with `make up`\n")
        return
    table = Table("service", "state", "since (UTC)", "where", box=None, pad_edge=False, header_style="bold")
    for each in services:
        state = "[green]ready[/]" if each.ready else "[yellow]starting[/]" if each.pid else "[red]stopped[/]"
        again = f", restarted {each.restarts}×" if each.restarts else ""
        table.add_row(each.name, f"{state}{again}", f"{each.since:%Y-%m-%d %H:%M}", each.url or "")
    Console().print(table, "")


def _show_pairs(pairs: Sequence[_Pair], now: datetime, days: int) -> None:
    from rich.console import Console
    from rich.table import Table

    if not pairs:
        typer.echo("no pair is in the database; run `market-platform config sync`")
        return
    console = Console()
    wide = console.width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("pair", "newest", "lag", "ticks", f"its newest {days} days", *(["conditions"] if wide else [])):
        table.add_column(title, no_wrap=True, justify="right" if title in ("lag", "ticks") else "left")
    for pair in pairs:
        newest = f"{pair.newest:%Y-%m-%d}" if pair.newest else "never"
        counts = [_summary(pair)] if wide else []
        table.add_row(pair.name, newest, _lag(pair.known_to, now), _short(pair.ticks), _strip(pair), *counts)
    console.print(table)
    for pair in pairs:
        if pair.gaps:
            shown = ", ".join(day.isoformat() for day in pair.gaps[:5])
            more = f" and {len(pair.gaps) - 5} more" if len(pair.gaps) > 5 else ""
            console.print(f"[red]{pair.name}: {len(pair.gaps)} gaps: {shown}{more}[/]", highlight=False)
    legend = "  ".join(
        f"[{colour}]{block}[/] {condition}" for condition, (block, colour) in _BLOCKS.items() if condition
    )
    console.print(f"\n{legend}  (blank: not fetched, ! gap)", highlight=False)


def _strip(pair: _Pair) -> Text:
    from rich.text import Text

    strip = Text()
    for day in days_between(pair.first, pair.last):
        block, colour = ("!", "bold red") if day in pair.gaps else _BLOCKS[pair.conditions.get(day)]
        strip.append(block, colour)
    return strip


def _summary(pair: _Pair) -> str:
    counts = Counter(pair.conditions.values())
    parts = [f"{counts[condition]} {condition}" for condition in Condition if counts[condition]]
    return ", ".join(parts)


def _short(count: int) -> str:
    """`2.8M`, `232k`: a number at a glance; the JSON has all digits."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.{1 if count < 10 * size else 0}f}{unit}"
    return str(count)


def _lag(moment: datetime | None, now: datetime) -> str:
    """`3 h`, `2 d`: how old the newest data is."""
    if moment is None:
        return ""
    hours = int((now - moment).total_seconds() // 3600)
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"


def _show_failures(failures: Sequence[_Failure] | None) -> None:
    if failures is None:
        typer.echo("\nDagster does not answer, so failed runs are not shown")
        return
    if failures:
        typer.echo(f"\n{len(failures)} runs failed lately, the newest first:")
        for each in failures[:5]:
            typer.echo(f"  {each.run_id[:8]}  {each.pairs or 'no pair'}  {each.days}")


# ----------------------------------------------------------------------------------------------------------- for programs


def _document(
    services: Sequence[ServiceState],
    databases: Sequence[DatabaseState],
    pairs: Sequence[_Pair],
    failures: Sequence[_Failure] | None,
    now: datetime,
) -> dict[str, Any]:
    return {
        "time": now.isoformat(timespec="seconds"),
        "services": [
            {"name": each.name, "ready": each.ready, "pid": each.pid, "url": each.url, "restarts": each.restarts}
            for each in services
        ],
        "databases": [asdict(each) for each in databases],
        "pairs": [
            {
                "pair": pair.name,
                "ticks": pair.ticks,
                "last_tick": pair.last_tick.isoformat() if pair.last_tick else None,
                "last_candle": pair.last_candle.isoformat() if pair.last_candle else None,
                "lag_seconds": round((now - pair.known_to).total_seconds()) if pair.known_to else None,
                "conditions": dict(Counter(each.value for each in pair.conditions.values())),
                "days": {day.isoformat(): condition.value for day, condition in sorted(pair.conditions.items())},
                "gaps": [day.isoformat() for day in pair.gaps],
            }
            for pair in pairs
        ],
        "failed_runs": None
        if failures is None
        else [{"run_id": each.run_id, "pairs": each.pairs, "days": each.days} for each in failures],
    }
