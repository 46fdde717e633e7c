"""Exports as they are written: progress, a line a file, what failed.

Belongs here: text and bars. Does not: which files (export.py), what is in them (pipeline/exports).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from market_platform.commands.progress import progress_bar
from market_platform.domain.errors import MarketPlatformError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from market_platform.pipeline.exports.request import ExportResult, OnProgress
    from market_platform.pipeline.exports.selection import ExportPlan
    from market_platform.warehouse.engine import Warehouse

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]


def write_files(warehouse: Warehouse, plans: Sequence[ExportPlan], *, overwrite: bool) -> None:
    """Write each file and print what it is; one that fails is told, the others go on, and the exit code is 1 then."""
    from market_platform.pipeline.exports.export import export

    done: Counter[str] = Counter()
    rows = size = 0
    for plan in plans:
        request = plan.request
        try:
            with progress_bar(percent=True) as bar:  # gone before its file is told
                told = on_bar(bar, request.name, request.start.timestamp(), request.end.timestamp())
                result = export(warehouse, request, plan.path, overwrite=overwrite, on_progress=told)
        except MarketPlatformError as error:
            if len(plans) == 1:
                raise
            done["failed"] += 1
            typer.echo(f"failed: {error}", err=True)
            continue
        done[str(result.state)] += 1
        rows, size = rows + result.rows, size + result.bytes
        typer.echo(_summary(result))
    if len(plans) > 1:
        counts = ", ".join(f"{count} {state}" for state, count in sorted(done.items()))
        typer.echo(f"{len(plans)} files ({counts}): {rows:,} rows, {_shown_size(size)}")
    if done["failed"]:
        raise typer.Exit(1)


def _summary(result: ExportResult) -> str:
    """A file in a line: path, rows, span, size, and the days that are not available."""
    if result.first is None or result.last is None:
        return f"{result.path}: empty, {result.state_reason}"
    line = (
        f"{result.path}: {result.rows:,} rows, {result.first:%Y-%m-%d %H:%M} to {result.last:%Y-%m-%d %H:%M}, "
        f"{_shown_size(result.bytes)}"
    )
    others = {name: count for name, count in result.conditions.items() if name != "available"}
    if others:
        line += "; days not available: " + ", ".join(f"{count} {name}" for name, count in sorted(others.items()))
    return line


def _shown_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"


def on_bar(bar: Bar, name: str, start: float, end: float) -> OnProgress:
    """A task of the bar that goes from `start` to `end`, and what tells it how far an export is."""
    from market_platform.pipeline.exports.request import ExportProgress

    task = bar.add_task(name, total=end - start)

    def told(progress: ExportProgress) -> None:
        bar.update(task, completed=progress.until.timestamp() - start, description=f"{name} {progress.rows:,} rows")

    return told
