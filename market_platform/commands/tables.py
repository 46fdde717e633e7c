"""Rows of text: a table on a terminal, lines with tabs between the columns for a pipe. Does not: what the rows say."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[str] = (),
    wraps: Collection[str] = (),
    marked: Collection[int] = (),
) -> None:
    """Print rows below their headings; on a terminal `numbers` are to the right, `wraps` may take lines, `marked` rows are red."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in columns:
        table.add_column(heading, justify="right" if heading in numbers else "left", no_wrap=heading not in wraps)
    for position, row in enumerate(rows):
        table.add_row(*row, style="red" if position in marked else None)
    Console().print(table, markup=False)
