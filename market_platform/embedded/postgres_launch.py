"""Launching the server process: with which settings, on which port, and why it ended when it did.

Belongs here: the command line of `postgres`, what must hold before it is run, what its log says afterwards. Does not: whether
one runs already, waiting for it, stopping it (postgres.py).
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from market_platform.embedded.binaries import Binaries
from market_platform.embedded.errors import EmbeddedPostgresError, PortTakenError
from market_platform.embedded.files import check_free_space, last_lines, rotate, try_lock
from market_platform.embedded.ports import why_not_free
from market_platform.embedded.postgres_data import explain, make_data
from market_platform.embedded.postgres_home import PostgresHome
from market_platform.embedded.processes import launch_command
from market_platform.embedded.unprivileged import bare_environment

PORT_SETTING = "EMBEDDED_POSTGRES_PORT"
HOST = "127.0.0.1"
_LOG_LIMIT = 8 * 1024 * 1024
_OLD_FOLDER_MB = 48

# Small, because the whole stack should idle below 900 MB; enough connections for Dagster (which opens one per call), its
# run workers and the API's pool.
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "150",
    "shared_buffers": "96MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "io_method": "sync",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "2",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "checkpoint_completion_target": "0.9",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%d ",
    "password_encryption": "scram-sha-256",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


class ServerProcess:
    """A server that we launched, and where its part of the log begins."""

    def __init__(self, process: subprocess.Popen[bytes], home: PostgresHome, log: Path, log_start: int) -> None:
        self._process = process
        self._home = home
        self._log = log
        self._log_start = log_start

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether it has ended (and collect it)."""
        return self._process.poll() is not None

    def failure(self) -> EmbeddedPostgresError | PortTakenError:
        """What the log says about its end; waits for that."""
        code = self._process.wait()
        lines = last_lines(self._log, since=self._log_start)
        if "could not bind" in "\n".join(lines):
            port = self._home.state.port
            return _port_taken(port, why_not_free(HOST, port) or "it was in use a moment ago")
        return explain(f"Postgres ended with code {code} while starting (log: {self._log})", lines, self._home.path)


def launch_server(home: PostgresHome, binaries: Binaries, log: Path, *, durable: bool) -> ServerProcess:
    """Run the server of a home where none runs, on the port its state file says; makes its data first when there are none.

    Raises:
        PortTakenError, FolderNotUsableError, DiskFullError: as they say.
        EmbeddedPostgresError: it could not be run.
    """
    reason = why_not_free(HOST, home.state.port)
    if reason is not None:
        raise _port_taken(home.state.port, reason)
    if not (home.data / "PG_VERSION").exists():
        make_data(home, binaries, durable=durable)
    check_free_space(home.path, _OLD_FOLDER_MB)
    lock = try_lock(home.lock_file)
    if lock is None:
        raise EmbeddedPostgresError(f"processes of an earlier Postgres still use {home.data}; end them and try again")
    rotate(log, _LOG_LIMIT)
    uid, gid = (home.user.uid, home.user.gid) if home.user.drops else (-1, -1)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            log_start = output.tell()
            process = subprocess.Popen(
                launch_command(
                    _server_command(home, binaries, durable=durable), on_parent_death=signal.SIGINT, uid=uid, gid=gid
                ),
                cwd=home.path,
                env=bare_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(lock,),
            )
    except OSError as error:
        raise explain(f"can't start Postgres with its log in {log}", [str(error)], log.parent) from None
    finally:
        os.close(lock)
    return ServerProcess(process, home, log, log_start)


def _server_command(home: PostgresHome, binaries: Binaries, *, durable: bool) -> list[str]:
    settings = _SETTINGS | {"port": str(home.state.port)} | ({} if durable else _NOT_DURABLE)
    command = [binaries.program("postgres"), "-D", str(home.data)]
    return command + [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _port_taken(port: int, reason: str) -> PortTakenError:
    return PortTakenError(
        f"Postgres can't listen on port {port} of {HOST} ({reason}): "
        f"end that program, or set {PORT_SETTING} to another port",
        port=port,
        setting=PORT_SETTING,
    )
