"""The progress bar of every command that shows one.

Belongs here: how it looks, and where it is drawn. Does not: what a command counts.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


def progress_bar(*, percent: bool = False, remaining: bool = False) -> Bar:
    """A bar on standard error, gone when it ends; where that is no terminal, nothing is drawn.

    It shows how many of how many are done, or `percent`; and the time `remaining`, where the pace is even enough to tell.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TaskProgressColumn() if percent else MofNCompleteColumn(),
        TimeElapsedColumn(),
        *([TimeRemainingColumn()] if remaining else []),
        console=console,
        transient=True,
        disable=not (sys.stderr.isatty() and console.is_interactive),
    )
