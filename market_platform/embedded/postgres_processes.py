"""Which processes are the server of a data folder: its pid file, proven by what the process is and where it works.

Belongs here: looking. Does not: signals, starting.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from market_platform.embedded.processes import ProcessIdentity, identity


def pid_file(data: Path) -> list[str]:
    """Lines of postmaster.pid: pid, data folder, start time, port, socket folder, address, shared memory, status."""
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def port_of(data: Path) -> int | None:
    """The port the server listens on, by its pid file."""
    lines = pid_file(data)
    return int(lines[3]) if len(lines) > 3 and lines[3].strip().isdigit() else None


def _is_server(process: psutil.Process, data: Path) -> bool:
    """Whether a process is Postgres working in this data folder: every process of a server stays in that folder."""
    try:
        return process.name() == "postgres" and Path(process.cwd()) == data.resolve()
    except (psutil.Error, OSError):
        return False


def postmaster(data: Path) -> ProcessIdentity | None:
    """The living server of a data folder, by its pid file, proven by its name and working folder."""
    lines = pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return None
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(int(lines[0]))
        if _is_server(process, data):
            return identity(process.pid)
    return None


def processes_in(data: Path) -> list[ProcessIdentity]:
    """Every living process of a server, or of a dead server's children, in this data folder."""
    found = (identity(each.pid) for each in psutil.process_iter(["name"]) if _is_server(each, data))
    return [each for each in found if each is not None]
