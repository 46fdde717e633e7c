"""The supervisor behind `market-platform up`: one process that starts everything, watches it, and ends all of it.

Order: the lock, leftovers of a killed supervisor, checks, Postgres, migrations and pairs, then the services, as many at
once as their order allows. It is the parent of every orphan below it, so nothing it started can outlive it unseen; if it is
killed itself, the kernel tells the children to end, and the next `up` ends what did not.

Belongs here: the order of a stack's life. Does not: what the services are (services.py), one child's life (child.py),
Postgres's (kept_postgres.py), signals (stop_signals.py), the order of stopping (shutdown.py).
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.errors import MarketPlatformError
from market_platform.embedded.child import LOG_LIMIT, Child, RestartPolicy
from market_platform.embedded.databases import find_database_url
from market_platform.embedded.errors import DiskFullError, StackFailedError
from market_platform.embedded.files import rotate
from market_platform.embedded.groundwork import PREPARE, link_dagster_home, run_preparation
from market_platform.embedded.kept_postgres import KeptPostgres
from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform.embedded.preflight import check_folders, check_ports
from market_platform.embedded.processes import adopt_orphans, identity, reap_orphans
from market_platform.embedded.record import (
    TOKEN_VARIABLE,
    ServiceState,
    StackRecord,
    already_running,
    end_leftovers,
    lock_stack,
    log_folder,
    read_record,
    remove_record,
    run_folder,
    write_record,
)
from market_platform.embedded.screen import LostScreen, Screen
from market_platform.embedded.services import Service, child_environment
from market_platform.embedded.shutdown import StopBudget, end_services, kill_session
from market_platform.embedded.stop_signals import StopRequestedError, StopSignals
from market_platform.settings import PROJECT_ROOT, Settings

_STARTING_PAUSE_S = 0.1
_RUNNING_PAUSE_S = 2.0


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
        prepare: Sequence[str] = PREPARE,
        folder: Path = PROJECT_ROOT,
        policy: RestartPolicy | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._settings = settings
        self._screen = LostScreen(screen)
        self._postgres = KeptPostgres(postgres, settings, clock, self._screen.event) if postgres is not None else None
        self._prepare_command = list(prepare)
        self._folder = folder
        self._token = secrets.token_hex(16)
        self._environment: dict[str, str] = {}
        logs = log_folder(settings)
        self._children = [
            Child(each, log=logs / f"{each.name}.log", folder=folder, policy=policy or RestartPolicy(), clock=clock)
            for each in services
        ]
        self._stop_signals = StopSignals()
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
            with self._stop_signals.heeded():
                adopt_orphans()
                try:
                    self._start()
                    while not self._stop_signals.count:
                        self._turn()
                except StopRequestedError:
                    pass
                except OSError as error:
                    raise self._failed(error) from error
                finally:
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

    def _start(self) -> None:
        with self._stop_signals.interruptible():
            self._begin_record()
            check_ports(
                [child.service for child in self._children], *(self._postgres.ports() if self._postgres else ())
            )
            url = self._start_postgres()
            self._environment = {**child_environment(self._settings, url), TOKEN_VARIABLE: self._token}
            link_dagster_home(self._settings)
        for child in self._children:
            child.start_early(self._environment)
        if self._prepare_command:
            with self._stop_signals.interruptible():
                run_preparation(self._prepare_command, self._environment, folder=self._folder, tell=self._screen.event)
        for child in self._children:
            if not child.service.after:
                child.start(self._environment)
        self._report()

    def _begin_record(self) -> None:
        """End what an earlier, killed supervisor had left, then say that it is us now."""
        ended = end_leftovers(read_record(self._settings))
        if ended:
            self._screen.event(f"ended what an earlier, killed `up` had left: pids {', '.join(map(str, ended))}")
        me = identity(os.getpid())
        assert me is not None
        self._record = StackRecord(me, self._token)
        write_record(self._settings, self._record)

    def _start_postgres(self) -> str:
        if self._postgres is None:
            return find_database_url(self._settings)
        self._report()
        url = self._postgres.start()
        self._report()
        return url

    def _turn(self) -> None:
        """Look at everything once, then wait for a signal or a moment."""
        self._collect()
        if self._postgres is not None and not self._postgres.runs:
            with self._stop_signals.interruptible():
                self._postgres.start_again()
            self._report()
        ready = {child.service.name for child in self._children if child.was_ready}
        for child in self._children:
            self._look_at(child, ready)
            with self._stop_signals.interruptible():
                child.probe()
                trouble = child.trouble()
            if trouble is not None:
                self._screen.event(trouble)
            rotate(child.log, LOG_LIMIT)
        if self._postgres is not None:
            self._postgres.rotate_log()
        self._report()
        calm = all(child.ready for child in self._children)
        if calm and not self._ready_once:
            self._ready_once = True
            self._screen.ready(self._states(), self._notes(), time.monotonic() - self._began)
        self._stop_signals.wait(_RUNNING_PAUSE_S if calm else _STARTING_PAUSE_S)

    def _look_at(self, child: Child, ready: set[str]) -> None:
        """Notice a child's end, and start the child when its time has come; `ready` names those that have ever been."""
        happened = child.reap()
        if happened is not None:
            self._screen.event(happened)
            if child.failed is not None:
                raise StackFailedError("\n".join([f"{happened}; its last lines ({child.log}):", *child.last_lines()]))
        if not child.may_start(ready):
            return
        if child.start_at is not None and child.session is not None:
            kill_session(self._token, child.session)  # what the dead one had started was told to end; now it must
        child.start(self._environment)

    def _collect(self) -> None:
        reap_orphans({child.pid for child in self._children} | {self._postgres.child_pid if self._postgres else None})

    def _states(self) -> list[ServiceState]:
        first = [self._postgres.state] if self._postgres is not None else []
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

    def _stop(self) -> None:
        budget = StopBudget()
        self._screen.event("stopping: services first, Postgres last")
        try:
            end_services(self._children, self._token, budget, self._in_a_hurry)
        finally:
            if self._postgres is not None:
                self._postgres.stop(budget.postgres_s)
        self._collect()
        remove_record(self._settings)
        self._screen.event(f"everything has ended, after {budget.spent_s:.1f} s")

    def _in_a_hurry(self) -> bool:
        """Whether a further Ctrl-C asks not to wait; orphans are collected meanwhile."""
        self._collect()
        return self._stop_signals.insisted
