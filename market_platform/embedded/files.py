"""Small files that must survive a crash, and locks that a crash releases.

Belongs here: atomic writes, flock, free space, bounded logs. Does not: what the files mean.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from market_platform.embedded.errors import DiskFullError, FolderNotUsableError
from market_platform.embedded.processes import wait_until

MEGABYTE = 1024 * 1024


def make_folder(folder: Path, *, setting: str = "MARKET_DATA_DIR") -> Path:
    """Create a folder and prove that we may write in it; returns it absolute.

    Raises:
        FolderNotUsableError: naming `setting`, the environment variable that moves the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-test-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"the disk of {folder} is full; make room, or set {setting} to a folder elsewhere"
            ) from None
        raise FolderNotUsableError(
            f"can't write in {folder}: {error.strerror}; give this user the right to, or set {setting} to another folder"
        ) from None
    return folder.absolute()


def check_free_space(folder: Path, needed_mb: int, *, setting: str = "MARKET_DATA_DIR") -> None:
    """Raise DiskFullError unless `needed_mb` megabytes are free where `folder` is."""
    free = shutil.disk_usage(folder).free // MEGABYTE
    if free < needed_mb:
        raise DiskFullError(
            f"only {free} MB free on the disk of {folder}, {needed_mb} MB are needed; nothing was changed. "
            f"Make room, or set {setting} to a folder elsewhere"
        )


def write_json(path: Path, content: dict[str, Any], *, mode: int = 0o600) -> None:
    """Replace a file in one step, durably: readers see the old content or the new, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None when there is no such file or it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Lock a file without waiting: the descriptor that holds the lock (close it to release), or None when it is held."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                os.close(descriptor)
                return None
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):  # a file system without locks has none to respect
                os.close(descriptor)
                raise
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # deleted since it was opened: a lock on it would keep nobody out


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_held(path: Path) -> bool:
    """Whether somebody holds a file's lock."""
    if not path.exists():
        return False
    descriptor = try_lock(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def lock_within(path: Path, timeout_s: float) -> int | None:
    """Lock a file, waiting for it at most `timeout_s`; as `try_lock`."""
    held: list[int] = []

    def attempt() -> bool:
        descriptor = try_lock(path)
        if descriptor is not None:
            held.append(descriptor)
        return bool(held)

    wait_until(attempt, timeout_s)
    return held[0] if held else None


@contextlib.contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[bool]:
    """Hold a file's lock, waiting for it at most `timeout_s`; yields whether we got it."""
    descriptor = lock_within(path, timeout_s)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def rotate(log: Path, limit_bytes: int) -> bool:
    """Keep a log that others append to below a limit: its content moves to `<name>.1`. Whether it did."""
    try:
        if log.stat().st_size <= limit_bytes:
            return False
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)  # writers opened it for appending, so they go on at the new end
    except OSError:
        return False
    return True


def last_lines(log: Path, count: int = 8, *, since: int = 0) -> list[str]:
    """The last lines of a log, from byte `since` on; empty when there is no log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(min(since, size), size - 64 * 1024)
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def folder_bytes(folder: Path) -> int:
    """Bytes on disk below a folder (what a reset would give back)."""
    total = 0
    for parent, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += Path(parent, name).lstat().st_blocks * 512
    return total
