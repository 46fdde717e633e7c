"""`make bench`: run the measurements, print one table, write `build/bench.json`, and fail when a limit is missed.

Every module `bench_*.py` beside this one has `measure(...) -> list[BenchRow]`, plain or async. Its parameters name what it
needs: `database_url` (a migrated database of an embedded Postgres, durable as in production) and `folder` (an empty
folder). A module whose data is not on this machine skips, saying so, as tests do.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import platform
import re
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from market_platform.domain.clock import utc_now
from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform.settings import PROJECT_ROOT
from market_platform.warehouse.migrations import migrate
from market_platform_tests.bench.rows import BenchRow

RESULT = PROJECT_ROOT / "build" / "bench.json"
PAGE = PROJECT_ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen measurements; 0 when every row is within its limit."""
    names = bench_names()
    parser = argparse.ArgumentParser(prog="bench", description="Measure the platform against its limits and its peers.")
    parser.add_argument(
        "--only", action="append", choices=names, help="measure this alone; may be given more than once"
    )
    parser.add_argument(
        "--update-docs", action="store_true", help=f"rewrite the table in {PAGE.relative_to(PROJECT_ROOT)}"
    )
    options = parser.parse_args(arguments)

    console = Console(width=None if sys.stdout.isatty() else 160)
    rows: list[BenchRow] = []
    broken: list[str] = []
    with ExitStack() as stack:
        resources = Resources(stack)
        for name in options.only or names:
            started = time.perf_counter()
            try:
                measured = run(name, resources)
            except pytest.skip.Exception as reason:
                console.print(f"{name}: skipped, {reason}")
                continue
            except Exception:  # noqa: BLE001  the other measurements still count
                traceback.print_exc()
                broken.append(name)
                continue
            rows += measured
            console.print(f"{name}: {len(measured)} rows in {time.perf_counter() - started:.0f} s")

    console.print(as_table(rows))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([as_record(row) for row in rows], indent=2) + "\n")
    if options.update_docs:
        update_page(PAGE, rows)
    missed = [row.name for row in rows if not row.ok]
    for name in missed:
        console.print(f"over its limit: {name}", style="red")
    for name in broken:
        console.print(f"did not finish: {name}", style="red")
    return 1 if missed or broken else 0


def bench_names() -> list[str]:
    """The measurements there are: `lake` for `bench_lake.py`, and so on."""
    return sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def run(name: str, resources: Resources) -> list[BenchRow]:
    """Call a module's `measure` with what its parameters name."""
    measure: Callable[..., Any] = importlib.import_module(f"market_platform_tests.bench.bench_{name}").measure
    measured = measure(**{parameter: resources.get(parameter) for parameter in inspect.signature(measure).parameters})
    rows: list[BenchRow] = asyncio.run(measured) if inspect.iscoroutine(measured) else measured
    return rows


class Resources:
    """What measurements may ask for by name; made when first asked for, gone with `stack`."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._server_url: str | None = None
        self._databases = 0

    def get(self, name: str) -> Any:
        """The resource of that name.

        Raises:
            LookupError: when there is none.
        """
        if name == "folder":
            return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        if name == "database_url":
            return self._database_url()
        raise LookupError(f"measure() asks for {name!r}; there are `database_url` and `folder`")

    def _database_url(self) -> str:
        if self._server_url is None:
            self._server_url = self._stack.enter_context(postgres())
        self._databases += 1
        url = f"{self._server_url.rsplit('/', 1)[0]}/bench_{self._databases}"
        migrate(url)
        return url


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an embedded Postgres that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-postgres-", ignore_cleanup_errors=True) as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        server = EmbeddedPostgres(Path(folder), port)
        try:
            yield server.start()
        finally:
            server.stop()


def as_record(row: BenchRow) -> dict[str, Any]:
    """A row of `build/bench.json`."""
    return {**asdict(row), "ok": row.ok}


def shown(value: float) -> str:
    """A number with three significant digits, thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(row: BenchRow) -> tuple[str, ...]:
    """A row as words: what, value, unit, limit, against."""
    limit = "" if row.bound is None else f"{'≤' if row.better == 'lower' else '≥'} {shown(row.bound)}"
    return row.name, shown(row.value), row.unit, limit, row.peer


def as_table(rows: Sequence[BenchRow]) -> Table:
    """The rows for a terminal."""
    table = Table("what", "value", "unit", "limit", "against", "ok")
    for row in rows:
        table.add_row(*map(escape, cells(row)), "[green]yes[/]" if row.ok else "[red]no[/]")
    return table


def update_page(page: Path, rows: Sequence[BenchRow]) -> None:
    """Rewrite the table between the markers of a Markdown page, with the machine it was measured on."""
    lines = ["| what | value | unit | limit | against | ok |", "|---|---|---|---|---|---|"]
    for row in rows:
        words = (*cells(row), "yes" if row.ok else "**no**")
        lines.append("| " + " | ".join(word.replace("|", "\\|") for word in words) + " |")
    block = "\n".join([BEGIN, f"Measured on {utc_now():%Y-%m-%d}: {machine()}.", "", *lines, END])
    before, rest = page.read_text().split(BEGIN)
    page.write_text(before + block + rest.split(END)[1])


def machine() -> str:
    """This machine in a line: cores, processor, memory, system, Python."""
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else []
    processor = models[0] if models else platform.processor() or platform.machine()
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{psutil.cpu_count()} cores of {processor}, {memory:.0f} GB of memory, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main())
