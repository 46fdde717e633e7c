"""What runs, written down: so that others can show it, stop it, and end what a killed supervisor left behind.

`run/up.lock` is locked for as long as a supervisor lives; `run/stack.json` says who that is and what it started. Every child
carries the record's token in its environment, and so does whatever it starts: that, and nothing weaker, proves that a
process is ours.

Belongs here: the record and who is ours. Does not: starting or watching.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from market_platform.embedded.errors import AlreadyRunningError, FolderNotUsableError
from market_platform.embedded.files import is_held, lock_within, read_json, write_json
from market_platform.embedded.processes import ProcessIdentity, end_processes, identity, lives
from market_platform.settings import Settings

TOKEN_VARIABLE = "MARKET_PLATFORM_STACK"  # noqa: S105 - the variable's name
_LOOKED_S = 0.5


@dataclass(frozen=True)
class ServiceState:
    """One service as `market-platform status` shows it. `since`: when it became ready, or was started."""

    name: str
    pid: int | None
    url: str | None
    ready: bool
    since: datetime
    restarts: int = 0
    what: str = ""


@dataclass(frozen=True)
class StackRecord:
    """Content of `run/stack.json`."""

    supervisor: ProcessIdentity
    token: str
    services: tuple[ServiceState, ...] = field(default=())


def run_folder(settings: Settings) -> Path:
    """Folder of the record and its lock."""
    return settings.market_data_dir.absolute() / "run"


def log_folder(settings: Settings) -> Path:
    """Folder of the logs, one file a service."""
    return settings.market_data_dir.absolute() / "logs"


def lock_stack(settings: Settings) -> int | None:
    """Become the one supervisor of this data folder: the descriptor to keep open, or None when there is one already.

    Waits a moment for it: who only looks (`is_locked`) holds it for an instant, too.

    Raises:
        FolderNotUsableError: it belongs to another user.
    """
    with _ours(settings):
        return lock_within(_lock_file(settings), _LOOKED_S)


def is_locked(settings: Settings) -> bool:
    """Whether a supervisor lives.

    Raises:
        FolderNotUsableError: it belongs to another user.
    """
    with _ours(settings):
        return is_held(_lock_file(settings))


def _lock_file(settings: Settings) -> Path:
    return run_folder(settings) / "up.lock"


@contextlib.contextmanager
def _ours(settings: Settings) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise FolderNotUsableError(
            f"{run_folder(settings)} belongs to another user; run as that user (or root), or set MARKET_DATA_DIR to your own folder"
        ) from None


def write_record(settings: Settings, record: StackRecord) -> None:
    """Replace the record."""
    services = [{**asdict(each), "since": each.since.isoformat()} for each in record.services]
    content = {"supervisor": list(record.supervisor), "token": record.token, "services": services}
    write_json(run_folder(settings) / "stack.json", content)


def read_record(settings: Settings) -> StackRecord | None:
    """The record, whether or not anything of it still runs; None when there is none.

    Raises:
        FolderNotUsableError: it belongs to another user.
    """
    with _ours(settings):
        content = read_json(run_folder(settings) / "stack.json")
    if content is None:
        return None
    try:
        pid, started = content["supervisor"]
        services = tuple(_service(each) for each in content["services"])
        return StackRecord(ProcessIdentity(int(pid), str(started)), str(content["token"]), services)
    except (KeyError, TypeError, ValueError):
        return None


def _service(content: dict[str, Any]) -> ServiceState:
    return ServiceState(**{**content, "since": datetime.fromisoformat(content["since"])})


def remove_record(settings: Settings) -> None:
    """Say that nothing runs any more."""
    (run_folder(settings) / "stack.json").unlink(missing_ok=True)


def stack_status(settings: Settings) -> list[ServiceState]:
    """What `market-platform up` runs now, Postgres first; empty when it does not run."""
    record = read_record(settings)
    if record is None or not lives(record.supervisor):
        return []
    return list(record.services)


def processes_of(token: str) -> list[ProcessIdentity]:
    """Every living process that carries this token, but ourselves."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(TOKEN_VARIABLE) == token:
                found.append(identity(process.pid))
        except (psutil.Error, OSError):
            continue
    return [each for each in found if each is not None]


def end_leftovers(record: StackRecord | None) -> list[int]:
    """End what a killed supervisor left running; the pids that were ended. Only for the holder of the lock."""
    if record is None:
        return []
    leftovers = processes_of(record.token)
    end_processes(leftovers, first=signal.SIGTERM, grace_s=4.0)
    late = processes_of(record.token)  # started by a leftover while it was ending
    end_processes(late, first=signal.SIGKILL, grace_s=1.0)
    return sorted({each.pid for each in [*leftovers, *late]})


def members(processes: Iterable[ProcessIdentity], session: int) -> list[ProcessIdentity]:
    """Those in the session that a child leads (every child leads its own)."""
    found = []
    for process in processes:
        try:
            if os.getsid(process.pid) == session:
                found.append(process)
        except OSError:
            continue
    return found


def already_running(settings: Settings) -> AlreadyRunningError:
    """The error for a second supervisor: who runs already, and its links."""
    record = read_record(settings)
    if record is None or not lives(record.supervisor):
        return AlreadyRunningError(
            f"another `market-platform up` is just starting or stopping in {run_folder(settings)}"
        )
    links = "".join(f"\n    {each.what}: {each.url}" for each in record.services if each.url)
    pid = record.supervisor.pid
    return AlreadyRunningError(f"already running, pid {pid}; `market-platform down` stops it{links}", pid=pid)
