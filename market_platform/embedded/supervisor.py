"""The supervisor behind `market-platform up`: one process that starts everything, watches it, and ends all of it.

Order: the lock, leftovers of a killed supervisor, checks, Postgres, migrations and pairs, then the services, as many at
once as their order allows. It is the parent of every orphan below it, so nothing it started can outlive it unseen; if it is
killed itself, the kernel tells the children to end, and the next `up` ends what did not.

Stopping, within ten seconds: first what starts work (daemon, UI, API), then the code server and the runs in flight, then the
replay exchange, Postgres last.

Belongs here: order, time limits, signals. Does not: what the services are (services.py), one child's life (child.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.errors import MarketPlatformError
from market_platform.embedded.child import LOG_LIMIT, Child, RestartPolicy
from market_platform.embedded.errors import (
    AlreadyRunningError,
    DiskFullError,
    EmbeddedPostgresError,
    PortTakenError,
    StackFailedError,
)
from market_platform.embedded.files import MEGABYTE, folder_bytes, rotate
from market_platform.embedded.postgres import HOST, PORT_SETTING, EmbeddedPostgres, find_database_url
from market_platform.embedded.postgres_home import ROLE, abandoned_homes
from market_platform.embedded.preflight import check_folders, check_ports
from market_platform.embedded.processes import adopt_orphans, end_processes, identity, wait_until
from market_platform.embedded.record import (
    TOKEN_VARIABLE,
    ServiceState,
    StackRecord,
    end_leftovers,
    lock_stack,
    log_folder,
    members,
    processes_of,
    read_record,
    remove_record,
    run_folder,
    write_record,
)
from market_platform.embedded.screen import LostScreen, Screen
from market_platform.embedded.services import Port, Service, child_environment
from market_platform.settings import PROJECT_ROOT, Settings

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOP_BUDGET_S = 9.0
_PHASE_STOP_S = 3.0
_POSTGRES_STOP_S = 2.0
_STARTING_PAUSE_S = 0.1
_RUNNING_PAUSE_S = 2.0


class _StopRequestedError(BaseException):
    """A stop signal arrived while something blocking was under way."""


class Supervisor:
    """Runs a stack until told to stop.

    Args:
        settings: whose data folder, ports and database.
        services: what to run (`stack_services`).
        screen: where to report to.
        postgres: the embedded server, or None when DATABASE_URL names an external one.
        prepare: command to run to its end before the services start; empty for none.
        folder: working folder of the children.
        policy: how often a child may end by itself.
    """

    def __init__(
        self,
        settings: Settings,
        services: Sequence[Service],
        screen: Screen,
        *,
        postgres: EmbeddedPostgres | None,
        prepare: Sequence[str] = ("python", "-m", "market_platform.embedded.prepare"),
        folder: Path = PROJECT_ROOT,
        policy: RestartPolicy | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._settings = settings
        self._screen = LostScreen(screen)
        self._postgres = postgres
        self._prepare_command = list(prepare)
        self._folder = folder
        self._clock = clock
        self._token = secrets.token_hex(16)
        self._environment: dict[str, str] = {}
        logs = log_folder(settings)
        self._children = [
            Child(each, log=logs / f"{each.name}.log", folder=folder, policy=policy or RestartPolicy(), clock=clock)
            for each in services
        ]
        self._postgres_state: ServiceState | None = None
        self._postgres_ends: list[float] = []
        self._stop_signals = 0
        self._interruptible = False
        self._recorded: tuple[ServiceState, ...] | None = None
        self._ready_once = False
        self._began = time.monotonic()

    def run(self) -> None:
        """Run until a stop signal; returns when everything has ended.

        Raises:
            AlreadyRunningError: another supervisor owns this data folder; nothing was done.
            MarketPlatformError: it could not start, or a part could not be kept running; everything was stopped.
        """
        check_folders(self._settings)
        lock = lock_stack(self._settings)
        if lock is None:
            raise already_running(self._settings)
        try:
            with self._signals() as wakeup:
                adopt_orphans()
                try:
                    self._start()
                    while not self._stop_signals:
                        self._turn(wakeup)
                except _StopRequestedError:
                    pass
                except OSError as error:
                    raise self._failed(error) from error
                finally:
                    self._interruptible = False
                    self._stop()
        finally:
            self._screen.close()
            os.close(lock)

    def _failed(self, error: OSError) -> MarketPlatformError:
        """What to tell of an error of the machine."""
        folder = self._settings.market_data_dir.absolute()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFullError(f"the disk of {folder} is full; nothing committed is lost. Make room and start again")
        return StackFailedError(f"{error.filename or folder}: {error.strerror or error}")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Count stop signals, and wake up from waiting at any signal; yields what becomes readable then."""
        reader, writer = os.pipe()
        for each in (reader, writer):
            os.set_blocking(each, False)

        def on_stop(_number: int, _frame: FrameType | None) -> None:
            self._stop_signals += 1
            if self._interruptible:
                self._interruptible = False
                raise _StopRequestedError

        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        heeded = [number for number in _STOP_SIGNALS if not (nohup and number is signal.SIGHUP)]
        before = {number: signal.signal(number, on_stop) for number in heeded}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(previous)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    # ------------------------------------------------------------------------------------------------------ starting

    def _start(self) -> None:
        self._interruptible = True
        ended = end_leftovers(read_record(self._settings))
        if ended:
            self._screen.event(f"ended what an earlier, killed `up` had left: pids {', '.join(map(str, ended))}")
        me = identity(os.getpid())
        assert me is not None
        self._record = StackRecord(me, self._token)
        write_record(self._settings, self._record)
        self._check_ports()
        url = self._start_postgres()
        self._environment = {**child_environment(self._settings, url), TOKEN_VARIABLE: self._token}
        _link_dagster_home(self._settings)
        self._interruptible = False
        for child in self._children:
            child.start_early(self._environment)
        self._interruptible = True
        self._prepare()
        self._interruptible = False
        for child in self._children:
            if not child.service.after:
                child.start(self._environment)
        self._report()

    def _check_ports(self) -> None:
        mine = (
            ()
            if self._postgres is None or self._postgres.is_running()
            else (Port(HOST, self._settings.embedded_postgres_port, PORT_SETTING),)
        )
        check_ports([child.service for child in self._children], *mine)

    def _start_postgres(self) -> str:
        if self._postgres is None:
            return find_database_url(self._settings)
        self._postgres_state = ServiceState(
            "postgres", None, None, ready=False, since=self._clock(), what="Embedded Postgres"
        )
        self._report()
        url = self._postgres.start()
        for each in abandoned_homes(self._settings.postgres_dir.absolute()):
            size = folder_bytes(each) // MEGABYTE
            self._screen.event(
                f"{each} ({size} MB) holds the database of a data folder deleted earlier; delete it if not needed"
            )
        self._note_postgres(url)
        return url

    def _note_postgres(self, url: str, restarts: int = 0) -> None:
        assert self._postgres is not None
        shown = f"postgresql://{ROLE}@{url.rpartition('@')[2]}"
        pid = self._postgres.pid()
        self._postgres_state = ServiceState(
            "postgres", pid, shown, ready=True, since=self._clock(), restarts=restarts, what="Embedded Postgres"
        )
        self._report()

    def _prepare(self) -> None:
        if not self._prepare_command:
            return
        self._screen.event("migrations and pairs …")
        try:
            done = subprocess.run(
                self._prepare_command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=900,
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StackFailedError(f"could not prepare the database: {error}") from None
        for line in done.stdout.splitlines():
            self._screen.event(line)
        if done.returncode != 0:
            raise StackFailedError(done.stderr.strip() or f"preparing the database ended with code {done.returncode}")

    # ------------------------------------------------------------------------------------------------------- running

    def _turn(self, wakeup: int) -> None:
        """Look at everything once, then wait for a signal or a moment."""
        self._collect()
        self._keep_postgres()
        ready = {child.service.name for child in self._children if child.was_ready}
        for child in self._children:
            happened = child.reap()
            if happened is not None:
                self._screen.event(happened)
                if child.failed is not None:
                    raise StackFailedError(
                        "\n".join([f"{happened}; its last lines ({child.log}):", *child.last_lines()])
                    )
            due = child.start_at is not None and time.monotonic() >= child.start_at
            if due and child.session is not None:  # what the dead one had started was told to end; now it must
                self._kill_session(child.session)
            if due or (child.waits and ready.issuperset(child.service.after)):
                child.start(self._environment)
            if self._stop_signals:
                return
            child.probe()
            if (trouble := child.trouble()) is not None:
                self._screen.event(trouble)
            rotate(child.log, LOG_LIMIT)
        if self._postgres is not None:
            rotate(self._postgres.log, LOG_LIMIT)
        self._report()
        if not self._ready_once and all(child.ready for child in self._children):
            self._ready_once = True
            self._screen.ready(self._states(), self._notes(), time.monotonic() - self._began)
        calm = all(child.ready for child in self._children)
        select.select([wakeup], [], [], _RUNNING_PAUSE_S if calm else _STARTING_PAUSE_S)
        with contextlib.suppress(BlockingIOError):
            os.read(wakeup, 4096)

    def _keep_postgres(self) -> None:
        """Start Postgres again when it ended by itself."""
        if self._postgres is None or self._postgres.is_running():
            return
        assert self._postgres_state is not None
        now = time.monotonic()
        self._postgres_ends = [each for each in self._postgres_ends if now - each < 60.0] + [now]
        if len(self._postgres_ends) >= 5:
            raise StackFailedError(
                f"Postgres ended {len(self._postgres_ends)} times within a minute; see {self._postgres.log}"
            )
        self._screen.event("postgres ended by itself; starting it again")
        self._interruptible = True
        url = self._postgres_again(self._postgres, attempts=3)
        self._interruptible = False
        self._note_postgres(url, self._postgres_state.restarts + 1)

    def _postgres_again(self, postgres: EmbeddedPostgres, attempts: int) -> str:
        while True:
            attempts -= 1
            try:
                return postgres.start()
            except (EmbeddedPostgresError, PortTakenError) as error:
                if not attempts:
                    raise
                self._screen.event(f"{error}\ntrying again")

    def _collect(self) -> None:
        """Reap orphans that became our children; our own children are left to those who wait for them."""
        own = {child.pid for child in self._children} | {self._postgres.child_pid if self._postgres else None}
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if ended.si_pid in own:
                    return  # it hides those behind it until it was waited for, a moment from now
                os.waitpid(ended.si_pid, os.WNOHANG)

    def _states(self) -> list[ServiceState]:
        first = [self._postgres_state] if self._postgres_state is not None else []
        return [*first, *(child.state() for child in self._children)]

    def _report(self) -> None:
        states = tuple(self._states())
        if states == self._recorded:
            return
        self._recorded = states
        self._screen.show(states)
        try:
            write_record(self._settings, StackRecord(self._record.supervisor, self._token, states))
        except OSError as error:  # a full disk; what runs goes on
            self._screen.event(
                f"could not note the state of the stack in {run_folder(self._settings)}: {error.strerror}"
            )

    def _notes(self) -> list[tuple[str, str]]:
        return [
            ("data folder", str(self._settings.market_data_dir.absolute())),
            ("lake", self._settings.resolved_lake_url),
            ("logs", str(log_folder(self._settings))),
        ]

    # ------------------------------------------------------------------------------------------------------ stopping

    def _stop(self) -> None:
        began = time.monotonic()
        deadline = began + _STOP_BUDGET_S
        self._screen.event("stopping: services first, Postgres last")
        for phase in sorted({child.service.stop_phase for child in self._children}):
            group = [child for child in self._children if child.service.stop_phase == phase]
            for child in group:
                child.signal_group(signal.SIGTERM)
            sessions = [child.pid for child in group if child.pid is not None]
            limit = min(_PHASE_STOP_S, max(0.2, deadline - _POSTGRES_STOP_S - time.monotonic()))
            wait_until(self._gone_or_hurried(sessions), limit)
            ours = processes_of(self._token)
            end_processes(
                [each for leader in sessions for each in members(ours, leader)], first=signal.SIGKILL, grace_s=0
            )
        end_processes(
            processes_of(self._token), first=signal.SIGKILL, grace_s=1.0
        )  # strays of children that died before
        if self._postgres is not None:
            self._postgres.stop(timeout_s=max(_POSTGRES_STOP_S, min(5.0, deadline - time.monotonic())))
        self._collect()
        remove_record(self._settings)
        self._screen.event(f"everything has ended, after {time.monotonic() - began:.1f} s")

    def _kill_session(self, leader: int) -> None:
        end_processes(members(processes_of(self._token), leader), first=signal.SIGKILL, grace_s=0)

    def _gone_or_hurried(self, sessions: Sequence[int]) -> Callable[[], bool]:
        """Whether no process is left in these sessions, or a further Ctrl-C asks not to wait."""

        def gone() -> bool:
            for child in self._children:
                child.poll()
            self._collect()
            return self._stop_signals > 1 or not any(_group_exists(each) for each in sessions)

        return gone


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _link_dagster_home(settings: Settings) -> None:
    """Make DAGSTER_HOME, with the repository's own dagster.yaml in it."""
    home = settings.dagster_home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    source, link = PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml"
    if link.is_symlink() and link.readlink() == source:
        return
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(source)
    except OSError:  # a file system without symbolic links
        shutil.copyfile(source, link)


def already_running(settings: Settings) -> AlreadyRunningError:
    """The error for a second supervisor: who runs already, and its links."""
    record = read_record(settings)
    if record is None:
        return AlreadyRunningError(
            f"another `market-platform up` is just starting or stopping in {run_folder(settings)}"
        )
    links = "".join(f"\n    {each.what}: {each.url}" for each in record.services if each.url)
    pid = record.supervisor.pid
    return AlreadyRunningError(f"already running, pid {pid}; `market-platform down` stops it{links}", pid=pid)
