"""What `market-platform lake` found, as tables and lines for people and as JSON for programs.

Belongs here: words, columns, the shape of the JSON. Does not: arguments and exit codes (lake.py), finding it (lake/, pipeline/).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from market_platform.lake.statistics import SymbolStatistics, WaitingParts
    from market_platform.lake.survey import Survey, SurveyedDay
    from market_platform.pipeline.manifests import ManifestDifference, ManifestRebuild

_HEADINGS = (
    "pair",
    "kind",
    "days",
    "count",
    "MB",
    "bytes\neach",
    "first and\nlast",
    "days\nabsent",
    "not\navailable",
)


@dataclass(frozen=True, slots=True)
class Verification:
    """What `lake verify` read: problems are (object key, words); `manifests` says whether they were compared."""

    lake_url: str
    found: Survey
    problems: Sequence[tuple[str, str]]
    manifests: str
    differences: Sequence[ManifestDifference]

    @property
    def files(self) -> int:
        """How many day files and parts were read."""
        return sum(each["day_files"] + each["parts"] for each in self.kinds.values())

    @property
    def kinds(self) -> dict[str, dict[str, int]]:
        """Day files and parts of each kind."""
        found = self.found
        days = Counter(each.kind for each in (*found.current, *found.superseded))
        parts = Counter(each.kind for each in found.parts)
        return {kind: {"day_files": days[kind], "parts": parts[kind]} for kind in sorted({*days, *parts})}


def print_statistics(
    lake_url: str, found: Survey, rows: Sequence[SymbolStatistics], waiting: Sequence[WaitingParts], *, as_json: bool
) -> None:
    """`lake stats`: a row a pair and kind, then what waits and what is not used."""
    if as_json:
        parts = [{**asdict(row), "first_day": str(row.first_day), "last_day": str(row.last_day)} for row in waiting]
        _print_json({"lake": lake_url, "pairs": [_record(row) for row in rows], "parts": parts, **_leftovers(found)})
        return
    _print_table(lake_url, rows)
    for row in waiting:
        days = f"{row.first_day}" if row.first_day == row.last_day else f"{row.first_day} to {row.last_day}"
        print(
            f"{row.exchange}/{row.symbol}: {row.parts:,} parts of {row.kind}, {row.bytes / 1e6:,.1f} MB, "
            f"of {days} wait for their compaction"
        )
    _print_leftovers(found)


def print_verification(report: Verification, *, as_json: bool) -> None:
    """`lake verify`: every problem and difference, then what was read."""
    if as_json:
        _print_json(
            {
                "lake": report.lake_url,
                "files": report.files,
                "kinds": report.kinds,
                "problems": [{"object_key": key, "problem": problem} for key, problem in report.problems],
                "manifests": report.manifests,
                "differences": [{**asdict(each), "day": each.day.isoformat()} for each in report.differences],
            }
        )
        return
    for _, problem in report.problems:
        print(problem)
    for each in report.differences:
        print(f"{each.pair} {each.day}, {each.kind}: {each.problem}")
    for kind, count in report.kinds.items():
        print(f"{kind}: {count['day_files']:,} day files, {count['parts']:,} parts of streamed days")
    print(
        f"{report.files:,} files read, {len(report.problems)} problems; manifests {report.manifests}, "
        f"{len(report.differences)} differences"
    )


def print_rebuild(lake_url: str, found: Survey, done: ManifestRebuild, *, dry_run: bool, as_json: bool) -> None:
    """`lake rebuild`: the days that got manifests, or would."""
    if as_json:
        kinds = Counter(file.kind for file in done.added)
        added = {pair: [day.isoformat() for day in days] for (pair,), days in _days_of(done.added, "pair").items()}
        report = {"lake": lake_url, "dry_run": dry_run, "added": added, "kinds": kinds, "kept": done.kept}
        _print_json({**report, "unknown_pairs": done.unknown_pairs, **_leftovers(found)})
        return
    for (pair, kind), days in _days_of(done.added, "pair", "kind").items():
        print(f"{pair}: {len(days)} days of {kind}, {min(days)} to {max(days)}")
    print(f"{'would add' if dry_run else 'added'} {len(done.added)} manifests; {done.kept} days had theirs")
    _print_leftovers(found)
    for name in done.unknown_pairs:
        print(f"{name} is not in the database: add it to config/starlistings.yaml, run `market-platform config sync`")


def _days_of(files: Sequence[SurveyedDay], *names: str) -> Mapping[tuple[str, ...], list[date]]:
    days: dict[tuple[str, ...], list[date]] = {}
    for file in files:
        of = {"pair": f"{file.exchange}/{file.symbol}", "kind": file.kind}
        days.setdefault(tuple(of[name] for name in names), []).append(file.day)
    return days


def _record(row: SymbolStatistics) -> dict[str, Any]:
    gaps = [{"first": str(gap.first), "last": str(gap.last), "days": gap.days} for gap in row.gaps]
    days = {"first_day": str(row.first_day), "last_day": str(row.last_day)}
    return {**asdict(row), **days, "gaps": gaps, "bytes_per_tick": round(row.bytes_per_tick, 3)}


def _leftovers(found: Survey) -> dict[str, Any]:
    foreign = [{"object_key": each.object_key, "bytes": each.bytes, "reason": each.reason} for each in found.foreign]
    return {"foreign": foreign, "legacy_parts": dict(found.legacy)}


def _print_leftovers(found: Survey) -> None:
    for each in found.foreign:
        print(f"not used: {each.object_key}: {each.reason}")
    for symbol, parts in sorted(found.legacy.items()):
        print(f"{symbol}: {parts} JSON parts of the old layout")


def _print_json(document: Mapping[str, Any]) -> None:
    print(json.dumps(document, indent=2))


def _print_table(lake_url: str, rows: Sequence[SymbolStatistics]) -> None:
    from rich.console import Console

    console = Console()
    if not rows:
        console.print(
            f"no day files in the lake at {lake_url}; fill it with `market-platform backfill`", soft_wrap=True
        )
        return
    console.print(f"lake at {lake_url}\n", soft_wrap=True, markup=False, highlight=False)
    unlimited = console.options.update_width(10_000)
    table = _table(rows, two_lines=False)
    if console.measure(table, options=unlimited).maximum > console.width:
        table = _table(rows, two_lines=True)
    needed = console.measure(table, options=unlimited).maximum
    Console(width=max(console.width, needed)).print(table)
    print("\ndays absent: weekdays of ticks (quotes), any day of trades")


def _table(rows: Sequence[SymbolStatistics], *, two_lines: bool) -> Table:
    """No number is ever cut; for a narrow terminal a pair takes two lines."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading in ("pair", "kind") else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row.exchange}/\n{row.symbol}" if two_lines else f"{row.exchange}/{row.symbol}",
            row.kind,
            f"{row.days:,}",
            f"{row.ticks:,}",
            f"{row.bytes / 1e6:,.1f}",
            f"{row.bytes_per_tick:.2f}",
            f"{row.first_day}\n{row.last_day}" if two_lines else f"{row.first_day} {row.last_day}",
            f"{row.days_missing:,}",
            f"{row.days - row.conditions.get('available', 0):,}",
        )
    return table
