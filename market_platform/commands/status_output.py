"""What `market-platform status` prints: tables for people, a document for programs.

Belongs here: the picture and the JSON. Does not: knowing anything that it is not given (status_pairs.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from market_platform.commands.database import DatabaseState
from market_platform.commands.status_pairs import FailedRun, PairStatus
from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition

if TYPE_CHECKING:
    from rich.text import Text

    from market_platform.embedded.record import ServiceState

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


def show_services(services: Sequence[ServiceState]) -> None:
    """Print what runs, a line each."""
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


def show_pairs(pairs: Sequence[PairStatus], now: datetime, days: int) -> None:
    """Print a line for each pair, with a sign for each of its newest `days` days, and its gaps below."""
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


def _strip(pair: PairStatus) -> Text:
    from rich.text import Text

    strip = Text()
    for day in days_between(pair.first, pair.last):
        block, colour = ("!", "bold red") if day in pair.gaps else _BLOCKS[pair.conditions.get(day)]
        strip.append(block, colour)
    return strip


def _summary(pair: PairStatus) -> str:
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


def show_failures(failures: Sequence[FailedRun] | None) -> None:
    """Print the newest few of them; None says that Dagster could not be asked."""
    if failures is None:
        typer.echo("\nDagster does not answer, so failed runs are not shown")
        return
    if failures:
        typer.echo(f"\n{len(failures)} runs failed lately, the newest first:")
        for each in failures[:5]:
            typer.echo(f"  {each.run_id[:8]}  {each.pairs or 'no pair'}  {each.days}")


def status_document(
    services: Sequence[ServiceState],
    databases: Sequence[DatabaseState],
    pairs: Sequence[PairStatus],
    failures: Sequence[FailedRun] | None,
    now: datetime,
) -> dict[str, Any]:
    """What `--json` prints; times are ISO 8601 in UTC."""
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
