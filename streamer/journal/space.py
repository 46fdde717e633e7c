"""Room on the journal's disk: looking, saying when there is too little, giving back what is not needed any more.

Belongs here: that. Does not: what follows from too little (journal.py).
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

FreeBytes = Callable[[Path], int]

CHECK_S = 1.0
VACUUM_S = 1.0
VACUUM_PAGES = 2_000
"""Pages given back at once; twice as many may be free."""


def free_bytes(path: Path) -> int:
    """What is left for us on the disk of a path."""
    return shutil.disk_usage(path).free


class DiskSpace:
    """Too little is less than `min_free_mb`; enough again is a tenth more, so that it doesn't flicker."""

    def __init__(self, folder: Path, min_free_mb: int, free: FreeBytes = free_bytes) -> None:
        self.problem: str | None = None
        self._folder = folder
        self._least_mb = min_free_mb
        self._free = free
        self._next_look = 0.0

    def look_sometimes(self) -> bool:
        """Look, unless that was just done; whether the answer changed."""
        return time.monotonic() >= self._next_look and self.look()

    def look(self) -> bool:
        """Ask the disk; whether the answer changed."""
        self._next_look = time.monotonic() + CHECK_S
        before = self.problem
        try:
            free = self._free(self._folder)
        except OSError as error:
            self.problem = f"the disk of the journal {self._folder} can't be asked for its room: {error}"
        else:
            self._judge(free)
        changed = (before is None) != (self.problem is None)
        if changed:
            log.warning("intake_resumed" if self.problem is None else "intake_stopped", reason=self.problem)
        return changed

    def _judge(self, free: int) -> None:
        least = self._least_mb << 20
        if free < least:
            self.problem = (
                f"the disk of the journal {self._folder} has only {free >> 20} MB left, less than JOURNAL_MIN_FREE_MB = "
                f"{self._least_mb}; nothing more is taken until there is room"
            )
        elif free >= least * 11 // 10:
            self.problem = None


class Vacuum:
    """Gives pages back to the disk after a long outage was delivered, a few at a time."""

    def __init__(self) -> None:
        self._next = 0.0

    def run_sometimes(self, connection: sqlite3.Connection) -> None:
        """Do so, unless that was just done."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + VACUUM_S
        with contextlib.suppress(sqlite3.Error):  # it is only tidying up
            if connection.execute("PRAGMA freelist_count").fetchone()[0] <= 2 * VACUUM_PAGES:
                return
            connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")  # execute frees only one page
