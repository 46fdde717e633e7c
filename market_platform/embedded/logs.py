"""Reading the stack's logs. Belongs here: finding, showing, following. Does not: writing them (child.py)."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from market_platform.embedded.files import last_lines


def find_logs(folder: Path, name: str | None) -> list[Path]:
    """The log of one service, or all of them by name; empty when there are none."""
    return [each for each in sorted(folder.glob("*.log")) if name in (None, each.stem)]


def show_logs(logs: Sequence[Path], lines: int) -> None:
    """Print the last lines of each, with its name in front when there are several."""
    for log in logs:
        if len(logs) > 1:
            sys.stdout.write(f"==> {log} <==\n")
        for line in last_lines(log, lines) if lines else []:
            sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def follow_logs(logs: Sequence[Path], *, every_s: float = 0.25) -> None:
    """Print what is added, until interrupted."""
    for lines in added_lines(logs):
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
        time.sleep(every_s)


def added_lines(logs: Sequence[Path]) -> Iterator[list[str]]:
    """What was added since the last look, for ever; lines begin with the log's name when there are several.

    A log that starts anew is read from its beginning.
    """
    width = max(len(each.stem) for each in logs)
    positions = {each: each.stat().st_size for each in logs}
    while True:
        lines: list[str] = []
        for log, position in positions.items():
            with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0 if size < position else position)
                added = file.read()
                positions[log] = file.tell()
                prefix = f"{log.stem:<{width}} | " if len(logs) > 1 else ""
                lines += [prefix + line for line in added.decode("utf-8", "replace").splitlines()]
        yield lines
