"""The embedded Postgres: a real server from a wheel, on 127.0.0.1, under our own supervision.

Belongs here: starting, adopting, stopping and recovering the one server of a state folder. Does not: its data folder
(postgres_data.py), its settings and its process (postgres_launch.py), tables (sql/), what to do when the server ends by
itself (kept_postgres.py).

Two locks keep a data folder safe. `start.lock` lets one program start or stop at a time. `server.lock` is inherited by
every process of the server, so whoever gets it knows that none is left, even after `kill -9` and whatever postmaster.pid says.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from market_platform.domain.errors import ConfigError, MarketPlatformError
from market_platform.embedded.binaries import find_binaries
from market_platform.embedded.databases import find_database_url
from market_platform.embedded.errors import EmbeddedPostgresError, FolderNotUsableError
from market_platform.embedded.files import is_held, locked
from market_platform.embedded.postgres_answers import answers
from market_platform.embedded.postgres_data import check_version
from market_platform.embedded.postgres_home import (
    SERVER_LOCK,
    PostgresHome,
    home_of,
    open_home,
    read_state,
    remove_home,
)
from market_platform.embedded.postgres_launch import ServerProcess, launch_server
from market_platform.embedded.postgres_processes import clear_pid_file, pid_file, port_of, postmaster, processes_in
from market_platform.embedded.processes import (
    ProcessIdentity,
    end_processes,
    identity,
    lives,
    send_signal,
    wait_until,
)

__all__ = ["EmbeddedPostgres", "find_database_url"]

_READY_TIMEOUT_S = 180.0  # crash recovery replays at most max_wal_size
_ENDING_S = 5.0
_AT_ONCE_S = 1.5


class EmbeddedPostgres:
    """The server of one state folder. Safe to construct anywhere: nothing is touched before `start()`.

    Args:
        state_dir: folder of the state file; the data is there too, or where the state file says.
        port: TCP port on 127.0.0.1.
        durable: False turns fsync off, for tests that throw the data away.
        log_file: where the server writes what happens (default: `postgres.log` in `state_dir`).
    """

    def __init__(self, state_dir: Path, port: int, *, durable: bool = True, log_file: Path | None = None) -> None:
        self._state_dir = state_dir.absolute()
        self._port = port
        self._durable = durable
        #: where the server writes what happens
        self.log = (log_file or state_dir / "postgres.log").absolute()
        self._child: ServerProcess | None = None

    def start(self) -> str:
        """Start the server, or adopt it when it runs already; the URL of database `market`, with its password.

        The server is told to stop when this process dies (Linux, started from the main thread).

        Raises:
            PortTakenError, PostgresVersionError, FolderNotUsableError, DiskFullError: as they say; nothing was changed.
            EmbeddedPostgresError: it did not come up; the message has the end of its log.
        """
        with self._exclusive():
            home = open_home(self._state_dir, self._port, temporary=not self._durable)
            binaries = find_binaries(home.user, home.path)
            check_version(home, binaries)
            deadline = time.monotonic() + _READY_TIMEOUT_S
            while True:
                server = self._running(home)
                if server is not None:
                    home = home.remember_port(port_of(home.data) or self._port)
                else:
                    home = home.remember_port(self._port)
                    self._child = launch_server(home, binaries, self.log, durable=self._durable)
                    server = identity(self._child.pid)
                    if server is None:
                        raise self._failure(self._child)
                if self._wait_ready(home, server, deadline):
                    return home.state.url()

    def stop(self, timeout_s: float = 8.0) -> None:
        """Stop the server: cleanly within `timeout_s`, else at once (the next start recovers; nothing committed is lost).

        Raises:
            EmbeddedPostgresError: a process of it does not end.
        """
        self._reap()
        state = read_state(self._state_dir)
        if state is None:
            return
        home = home_of(self._state_dir, state)
        deadline = time.monotonic() + timeout_s
        if self._end(home, signal.SIGINT, max(0.1, timeout_s - _AT_ONCE_S)):
            return
        if self._end(home, signal.SIGQUIT, max(0.1, deadline - time.monotonic())):
            return
        leftovers = processes_in(home / "data")
        end_processes(leftovers, first=signal.SIGKILL, grace_s=2.0)
        self._reap()
        left = [each for each in leftovers if lives(each)]
        if left:
            raise EmbeddedPostgresError(
                f"Postgres (pid {left[0].pid}, data in {home / 'data'}) does not end, not even by SIGKILL"
            )

    def _end(self, home: Path, number: signal.Signals, timeout_s: float) -> bool:
        """Send `number` to the server, as soon as there is one if it is just being launched; whether all of it ends in time.

        Children of a dead server have nothing to lose and are killed.
        """
        told: set[ProcessIdentity] = set()

        def ended() -> bool:
            self._reap()
            server = postmaster(home / "data") or (identity(self._child.pid) if self._child is not None else None)
            if server is None and not told:
                end_processes(processes_in(home / "data"), first=signal.SIGKILL, grace_s=2.0)
            elif server is not None and server not in told and send_signal(server, number):
                told.add(server)
            return self._child is None and not is_held(home / SERVER_LOCK) and not any(lives(each) for each in told)

        return wait_until(ended, timeout_s)

    def url(self) -> str:
        """URL of database `market`, as of the state file.

        Raises:
            ConfigError: it was never started here.
        """
        state = read_state(self._state_dir)
        if state is None:
            raise ConfigError(f"no embedded Postgres was started in {self._state_dir} yet; run `market-platform up`")
        return state.url()

    def is_running(self) -> bool:
        """Whether the server of this state folder lives (it may still be starting)."""
        return self.pid() is not None

    def pid(self) -> int | None:
        """The server's process, None when it does not run."""
        self._reap()
        state = read_state(self._state_dir)
        server = postmaster(home_of(self._state_dir, state) / "data") if state else None
        return server.pid if server else None

    @property
    def child_pid(self) -> int | None:
        """The process we started and have not collected yet, None when we adopted the server."""
        return self._child.pid if self._child is not None else None

    def destroy(self) -> None:
        """Stop the server and delete its data. For tests and `market-platform reset`."""
        self.stop()
        if self._state_dir.is_dir():
            with self._exclusive():
                remove_home(self._state_dir)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self._state_dir / "start.lock", 60.0) as got:
                if not got:
                    raise EmbeddedPostgresError(
                        f"another program has been starting Postgres in {self._state_dir} for a minute; end it and try again"
                    )
                yield
        except PermissionError as error:
            raise FolderNotUsableError(
                f"can't use {error.filename or self._state_dir}: {error.strerror}; run as the user it belongs to (or root), "
                "or set MARKET_DATA_DIR to a folder of your own"
            ) from None

    def _running(self, home: PostgresHome) -> ProcessIdentity | None:
        """The living server of this home. Ends what a dead server left behind, and only that."""
        server = postmaster(home.data)
        if server is not None:
            return server
        self._collect()
        # a child of a dead server notices within moments, or is stuck in a query; a server may just be launched, or ending
        wait_until(lambda: not is_held(home.lock_file) or postmaster(home.data) is not None, _ENDING_S)
        server = postmaster(home.data)
        if server is None:
            end_processes(processes_in(home.data), first=signal.SIGKILL, grace_s=2.0)
            clear_pid_file(home.data)
        return server

    def _wait_ready(self, home: PostgresHome, server: ProcessIdentity, deadline: float) -> bool:
        """Wait until a query is answered; False when an adopted server ended meanwhile (start again).

        Raises:
            EmbeddedPostgresError: our own child ended, or time is up.
        """
        while True:
            if self._child is not None and self._child.has_ended():
                raise self._failure(self._child)
            if not lives(server):
                if self._child is not None and self._child.pid == server.pid:
                    raise self._failure(self._child)
                return False
            status = pid_file(home.data)[7:8]
            if status and status[0].strip() == "ready" and answers(home):
                return True
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"Postgres (pid {server.pid}) is not ready after {_READY_TIMEOUT_S:.0f} s; it goes on. "
                    f"See {self.log}, then try again"
                )
            time.sleep(0.02)

    def _failure(self, child: ServerProcess) -> MarketPlatformError:
        self._child = None
        return child.failure()

    def _collect(self) -> None:
        """Our child is no server any more, but may still be dying: until it is reaped, Postgres takes its pid for a server."""

        def reaped() -> bool:
            self._reap()
            return self._child is None

        wait_until(reaped, 5.0)

    def _reap(self) -> None:
        if self._child is not None and self._child.has_ended():
            self._child = None
