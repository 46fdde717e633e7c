"""What only a lake in a local folder needs: writes that survive power loss, and the leftovers of killed writers.

obstore's LocalStore writes `<name>#1` beside the object and hard-links it to its name, so a killed writer never leaves
half an object; but it syncs nothing, and the `#1` of a killed writer stays (hidden from listings).
"""

from __future__ import annotations

import errno
import os
import re
from datetime import datetime
from pathlib import Path

_LEFTOVER = re.compile(r"#\d+$")


def sync_to_disk(root: Path, key: str) -> None:
    """Make an object and every folder entry that leads to it durable.

    Raises:
        OSError: the disk refused.
    """
    _sync(root / key)
    for folder in (root / key).parents:
        _sync(folder)
        if folder == root.parent:
            break


def remove_leftovers(root: Path, prefix: str, before: datetime) -> list[str]:
    """Delete what killed writers left below a folder of the lake and nobody touched since `before`; names them.

    Raises:
        OSError: the disk refused.
    """
    removed = []
    for path in sorted((root / prefix).rglob("*#*")):
        if _LEFTOVER.search(path.name) and path.is_file() and path.stat().st_mtime < before.timestamp():
            path.unlink(missing_ok=True)
            removed.append(path.relative_to(root).as_posix())
    return removed


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if path.is_dir():
            return  # a folder above the lake that is not ours to open: it was there before
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS, errno.ENOTSUP) or not path.is_dir():
            raise  # some file systems can't sync folders; files they must
    finally:
        os.close(descriptor)
