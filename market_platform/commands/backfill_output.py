"""What a backfill prints: what would be asked for, what came of it, and what failed.

Belongs here: text, JSON, the exit code. Does not: what is asked for (backfill_request.py), waiting for it (backfill_watch.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from market_platform.domain.conditions import Condition

if TYPE_CHECKING:
    from market_platform.defs.made_days import MadeDay
    from market_platform.defs.plan import Target

NOT_WHOLE = 3
"""Exit code with --strict when nothing failed, and a day is missing or degraded."""
_WORST = (Condition.MISSING, Condition.DEGRADED, Condition.PENDING)
_SHOWN_DAYS = 10
_SHOWN_LAYERS = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a backfill: partitions that were made, of how many, each one's condition, errors by pair and day.

    `pages` are where a person finds more of what failed.
    """

    done: int
    total: int
    days: Sequence[MadeDay]
    failures: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False
    pages: Sequence[str] = ()


def show_plan(targets: Mapping[str, Sequence[Target]], *, as_json: bool = False) -> None:
    """What would be asked for, a line a layer."""
    if as_json:
        listed = [
            {
                "pair": pair,
                "layer": target.path[-1],
                "first": target.first.isoformat(),
                "last": target.last.isoformat(),
                "partitions": target.partitions,
            }
            for pair, mine in targets.items()
            for target in mine
        ]
        typer.echo(json.dumps({"partitions": count(targets), "layers": listed}, indent=2))
        return
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


def finish(result: Result, *, as_json: bool, strict: bool) -> None:
    """Say what came of it; exit code 1 when something failed, `NOT_WHOLE` when it is `strict` and a day is missing or degraded."""
    if as_json:
        typer.echo(json.dumps(_document(result), indent=2))
    else:
        _show(result)
    if result.failed:
        raise typer.Exit(1)
    if strict and any(each.condition in (Condition.MISSING, Condition.DEGRADED) for each in result.days):
        raise typer.Exit(NOT_WHOLE)


def _show(result: Result) -> None:
    counts = _counts(result.days)
    parts = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    conditions = f": {parts}" if any(not each.is_whole for each in result.days) else ""
    if not result.failed:
        typer.echo(f"{result.done:,} partitions materialised{conditions}")
    elif conditions:
        typer.echo(f"{result.done:,} partitions{conditions}")
    lines = _day_lines(result.days)
    for line in lines[:_SHOWN_DAYS]:
        typer.echo(f"  {line}")
    if len(lines) > _SHOWN_DAYS:
        typer.echo(f"  and {len(lines) - _SHOWN_DAYS} more; --json lists every day")
    if not result.failed:
        return
    typer.echo(f"{result.done:,} of {result.total:,} partitions materialised; failed:", err=True)
    for what, error in sorted(result.failures.items()):
        typer.echo(f"  {what}: {_without(error, what)}", err=True)
    for page in result.pages:
        typer.echo(f"  more: {page}", err=True)


def _day_lines(days: Sequence[MadeDay]) -> list[str]:
    """A line for days in a row that are alike of the same layers of a pair; the worst condition first."""
    alike: dict[tuple[int, str, str], list[MadeDay]] = {}
    for each in days:
        if not each.is_whole:
            alike.setdefault((_WORST.index(Condition(each.condition)), each.pair, each.day), []).append(each)
    told = sorted(
        (worst, pair, tuple(sorted(each.layer for each in mine)), _reasons(mine), day)
        for (worst, pair, day), mine in alike.items()
    )
    spans: list[tuple[str, str]] = []
    for (worst, pair, mine, reason), same in groupby(told, key=lambda each: each[:4]):
        names = ", ".join(mine[:_SHOWN_LAYERS]) + (
            f" and {len(mine) - _SHOWN_LAYERS} more" if mine[_SHOWN_LAYERS:] else ""
        )
        for first, last in _spans([each[4] for each in same]):
            when = first if first == last else f"{first} to {last}"
            why = f": {reason}" if reason else ""
            spans.append((f"{worst}{first}", f"{pair} {when} {_WORST[worst]} ({names}){why}"))
    return [line for _, line in sorted(spans)]


def _reasons(alike: Sequence[MadeDay]) -> str:
    """Each reason once; candles built from ticks have none of their own."""
    return "; ".join(dict.fromkeys(each.reason for each in alike if each.reason))


def _spans(days: Sequence[str]) -> list[tuple[str, str]]:
    """First and last of days in a row."""
    spans: list[tuple[str, str]] = []
    for day in days:
        if spans and (date.fromisoformat(day) - date.fromisoformat(spans[-1][1])).days == 1:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans


def _counts(days: Sequence[MadeDay]) -> dict[str, int]:
    counts = Counter(each.condition for each in days)
    return {condition.value: counts[condition.value] for condition in Condition if counts[condition.value]}


def _document(result: Result) -> dict[str, object]:
    """What `--json` prints; days are those that are not whole."""
    return {
        "partitions": result.total,
        "materialised": result.done,
        "conditions": _counts(result.days),
        "days": [asdict(each) for each in sorted(result.days, key=lambda each: each.day) if not each.is_whole],
        "failures": dict(result.failures),
        "pages": list(result.pages),
    }


def _without(error: str, what: str) -> str:
    """An error without the pair and the day that `what` names already (`dukascopy/EURUSD/ticks 2024-03-05`)."""
    asset, _, day = what.partition(" ")
    pair = asset.rpartition("/")[0]
    for known in (f"{pair} {day}", pair, day):
        if known.strip() and error.startswith(known):
            return error[len(known) :].lstrip(" :") or error
    return error
