"""Running and stopping the stack as commands do: here, in the background, from another terminal.

Belongs here: putting the supervisor together from settings; talking to one that runs. Does not: the supervising.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from market_platform.domain.clock import utc_now
from market_platform.embedded.errors import AlreadyRunningError, FolderNotUsableError, NotRunningError, StackFailedError
from market_platform.embedded.files import last_lines, make_folder, rotate
from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform.embedded.preflight import check_project
from market_platform.embedded.processes import lives, send_signal, signal_on_parent_death, wait_until
from market_platform.embedded.record import (
    already_running,
    end_leftovers,
    is_locked,
    lock_stack,
    log_folder,
    read_record,
    remove_record,
    stack_status,
)
from market_platform.embedded.screen import open_screen
from market_platform.embedded.services import stack_services
from market_platform.embedded.supervisor import Supervisor
from market_platform.settings import Settings

_DETACHED_READY_S = 300.0
_DOWN_S = 20.0
_NOTED_S = 10.0
_LOG_LIMIT = 8 * 1024 * 1024


def embedded_postgres(settings: Settings) -> EmbeddedPostgres:
    """The embedded server of these settings' data folder."""
    log = log_folder(settings) / "postgres.log"
    return EmbeddedPostgres(settings.postgres_dir.absolute(), settings.embedded_postgres_port, log_file=log)


def run_here(settings: Settings, *, plain: bool, end_with: int | None = None) -> None:
    """Run the stack in this process until a stop signal; the end of our parent, whose pid is `end_with`, is one.

    Raises:
        MarketPlatformError: as `Supervisor.run`.
    """
    if end_with is not None:
        signal_on_parent_death(signal.SIGTERM, end_with)
    check_project(settings)
    folder = Path.cwd()
    supervisor = Supervisor(
        settings,
        stack_services(settings, folder=folder),
        open_screen(sys.stdout, utc_now, plain=plain),
        postgres=None if settings.database_url is not None else embedded_postgres(settings),
        folder=folder,
    )
    supervisor.run()


def run_detached(settings: Settings) -> None:
    """Run the stack in the background; returns when everything is ready.

    Raises:
        AlreadyRunningError: it runs already.
        StackFailedError: it ended, or is not ready in time; with the end of its log.
    """
    logs = make_folder(log_folder(settings))
    if is_locked(settings):
        raise already_running(settings)
    log = logs / "up.log"
    rotate(log, _LOG_LIMIT)
    with log.open("ab") as output:
        shown = output.tell()
        child = subprocess.Popen(  # lives on after us, by design
            [sys.executable, "-m", "market_platform", "up", "--plain"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_ready(settings, child, log, shown)
    except KeyboardInterrupt:
        sys.stdout.write(f"\nit goes on starting in the background, pid {child.pid}; `market-platform down` stops it\n")
        raise


def _wait_ready(settings: Settings, child: subprocess.Popen[bytes], log: Path, shown: int) -> None:
    """Wait until what the child starts is ready, showing what it writes into `log` from byte `shown` on."""
    deadline = time.monotonic() + _DETACHED_READY_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            lines = "\n".join(last_lines(log, 12, since=shown))
            raise StackFailedError(f"it ended with code {child.returncode} while starting ({log}):\n{lines}")
        shown = _pass_on(log, shown)
        states = stack_status(settings)
        record = read_record(settings)
        ours = record is not None and record.supervisor.pid == child.pid
        if ours and states and all(each.ready for each in states):
            time.sleep(0.1)  # the links are written just after the record
            _pass_on(log, shown)
            sys.stdout.write(f"runs in the background, pid {child.pid}; `market-platform down` stops it\n")
            return
        time.sleep(0.1)
    raise StackFailedError(f"not everything is ready after {_DETACHED_READY_S:.0f} s; it goes on, see {log}")


def _pass_on(log: Path, position: int) -> int:
    """Print what was added to a log since `position`; the new position."""
    with log.open("rb") as file:
        file.seek(position)
        added = file.read()
    sys.stdout.write(added.decode("utf-8", "replace"))
    sys.stdout.flush()
    return position + len(added)


def stop_stack(settings: Settings) -> list[str]:
    """Stop a running stack and wait for its end, or end what a killed one left; what was done, a line each.

    Raises:
        FolderNotUsableError: it belongs to another user.
        NotRunningError: it does not end.
    """
    wait_until(lambda: _can_be_stopped(settings), _NOTED_S)
    record = read_record(settings)
    if is_locked(settings):
        if record is None or not lives(record.supervisor):
            raise NotRunningError("`market-platform up` is just starting or stopping; try again in a moment")
        try:
            send_signal(record.supervisor, signal.SIGTERM)
        except PermissionError:
            raise FolderNotUsableError(
                f"`market-platform up` (pid {record.supervisor.pid}) belongs to another user; stop it as that user or as root"
            ) from None
        names = ", ".join(each.name for each in record.services if each.pid is not None)
        if not wait_until(lambda: not is_locked(settings), _DOWN_S, every_s=0.05):
            raise NotRunningError(
                f"`market-platform up` (pid {record.supervisor.pid}) did not end within {_DOWN_S:.0f} s"
            )
        return [f"stopped pid {record.supervisor.pid} and what it ran: {names}"]
    return _end_what_is_left(settings) or ["nothing runs"]


def _can_be_stopped(settings: Settings) -> bool:
    """Whether nothing runs, or a supervisor that says who it is; one that was only just started has yet to."""
    record = read_record(settings)
    return (record is not None and lives(record.supervisor)) or not is_locked(settings)


def _end_what_is_left(settings: Settings) -> list[str]:
    if not settings.market_data_dir.is_dir() or not (settings.market_data_dir / "run").is_dir():
        return []
    lock = lock_stack(settings)
    if lock is None:
        raise AlreadyRunningError("`market-platform up` was started just now; try again")
    try:
        done = []
        ended = end_leftovers(read_record(settings))
        if ended:
            done.append(f"ended what a killed `up` had left: pids {', '.join(map(str, ended))}")
        postgres = embedded_postgres(settings)
        pid = postgres.pid()
        postgres.stop()  # also one that was only just launched and has no pid file yet
        if pid is not None:
            done.append(f"stopped Postgres, pid {pid}")
        remove_record(settings)
        return done
    finally:
        os.close(lock)
