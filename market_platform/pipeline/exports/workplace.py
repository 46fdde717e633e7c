"""A folder for files that are not kept, and the removal of those that killed processes left.

Belongs here: that. Does not: files that stay (writing.py has their partial ones).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

_PREFIX = "market-export-"
_NEW_S = 60
"""A folder younger than this may not be locked yet."""


@contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder, which goes with its content at the end; first go those of processes that were killed.

    Its process holds a lock on it, which no process outlives.
    """
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*"):
        _remove_if_abandoned(folder)
    with TemporaryDirectory(prefix=_PREFIX) as made:
        lock = os.open(made, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(made)
        finally:
            os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        if time.time() - folder.stat().st_mtime < _NEW_S:
            return
        lock = os.open(folder, os.O_RDONLY)
    except OSError:  # gone meanwhile, or another user's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
