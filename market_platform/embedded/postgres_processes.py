"""Which processes are the server of a data folder: its pid file, proven by what the process is and where it works.

Belongs here: looking, and removing a pid file that lies. Does not: signals, starting.
"""

from __future__ import annotations

import contextlib
import re
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
    pid = _noted_pid(data)
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid) if pid is not None else None
        if process is not None and _is_server(process, data):
            return identity(process.pid)
    return None


def _noted_pid(data: Path) -> int | None:
    """The pid in the pid file; None when a crash left it half written, or there is none."""
    first = pid_file(data)[:1]
    return int(first[0]) if first and re.fullmatch(r"[1-9][0-9]{0,9}", first[0].strip()) else None


def clear_pid_file(data: Path) -> None:
    """Remove a pid file over which Postgres would refuse to start although no process of the server lives.

    That is one that a crash left half written, and one whose pid is another program's by now.
    """
    pid = _noted_pid(data)
    refused = pid is None or identity(pid) is not None
    if refused and not processes_in(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def processes_in(data: Path) -> list[ProcessIdentity]:
    """Every living process of a server, or of a dead server's children, in this data folder."""
    found = (identity(each.pid) for each in psutil.process_iter(["name"]) if _is_server(each, data))
    return [each for each in found if each is not None]
