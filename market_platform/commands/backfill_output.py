"""What a backfill prints: what would be asked for, and what failed.

Belongs here: text. Does not: what is asked for (backfill_request.py), waiting for it (backfill_watch.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from market_platform.defs.plan import Target


def show_plan(targets: Mapping[str, Sequence[Target]]) -> None:
    """What would be asked for, a line a layer."""
    width = max((len(target.path[-1]) for mine in targets.values() for target in mine), default=0)
    for pair, mine in targets.items():
        typer.echo(pair)
        for target in mine:
            layer = target.path[-1].ljust(max(12, width))
            typer.echo(f"  {layer} {target.first} to {target.last}  {target.partitions:>5} partitions")
    typer.echo(f"{count(targets):,} partitions; nothing was asked for")


def count(targets: Mapping[str, Sequence[Target]]) -> int:
    """Partitions of all targets."""
    return sum(target.partitions for mine in targets.values() for target in mine)


def fail(done: int, total: int, failures: Mapping[str, str], pages: Sequence[str]) -> None:
    """Say what failed and end with exit code 1."""
    typer.echo(f"{done:,} of {total:,} partitions materialised; failed:", err=True)
    for what, error in sorted(failures.items()):
        typer.echo(f"  {what}: {_without(error, what)}", err=True)
    for page in pages:
        typer.echo(f"  more: {page}", err=True)
    raise typer.Exit(1)


def _without(error: str, what: str) -> str:
    """An error without the pair and the day that `what` names already (`dukascopy/EURUSD/ticks 2024-03-05`)."""
    asset, _, day = what.partition(" ")
    pair = asset.rpartition("/")[0]
    for known in (f"{pair} {day}", pair, day):
        if known.strip() and error.startswith(known):
            return error[len(known) :].lstrip(" :") or error
    return error
