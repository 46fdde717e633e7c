"""The embedded server: started, adopted, stopped, killed, and started again with every commit."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from market_platform.domain.errors import ConfigError
from market_platform.embedded.errors import (
    DiskFullError,
    EmbeddedPostgresError,
    PortTakenError,
)
from market_platform.embedded.files import try_lock
from market_platform.embedded.postgres import EmbeddedPostgres, find_database_url
from market_platform.embedded.processes import identity, wait_until
from market_platform.settings import load_settings
from market_platform_tests.fixtures.embedded_servers import MakeServer, as_root, keep_rows, pid_of, port_of, rows_of
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.recordings import PROJECT_ROOT


def test_a_new_server_has_a_utf8_database_with_checksums_and_a_password(make_server: MakeServer, folder: Path) -> None:
    url = make_server().start()
    with psycopg.connect(url) as connection:
        answer = connection.execute(
            "SELECT current_database(), current_setting('server_encoding'), current_setting('data_checksums'),"
            " current_setting('lc_messages'), current_setting('TimeZone'), (SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM"
            " pg_authid WHERE rolname = current_user)"
        ).fetchone()
    assert answer == ("market", "UTF8", "on", "C", "UTC", True)
    assert stat.S_IMODE((folder / "postgres" / "state.json").stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://market:guess@127.0.0.1:{port_of(url)}/market")


def test_starting_twice_is_starting_once_and_data_survives_a_stop(make_server: MakeServer) -> None:
    server = make_server(durable=True)
    url = server.start()
    keep_rows(url, 3)
    pid = server.pid()
    assert server.start() == url
    assert server.pid() == pid
    server.stop()
    assert not server.is_running()
    server.stop()
    assert server.start() == url
    assert rows_of(url) == 3


def test_a_second_program_adopts_the_running_server_whatever_port_it_asks_for(make_server: MakeServer) -> None:
    server = make_server()
    url = server.start()
    assert make_server().start() == url


def test_a_port_in_use_is_named_with_its_setting_and_nothing_is_made(make_server: MakeServer, folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"port {port}.*pid {os.getpid()}.*EMBEDDED_POSTGRES_PORT") as caught:
            make_server(port=port).start()
    assert (caught.value.port, caught.value.setting) == (port, "EMBEDDED_POSTGRES_PORT")
    assert not (folder / "postgres" / "data").exists()


def test_the_port_can_be_changed_later(make_server: MakeServer) -> None:
    server = make_server()
    first = server.start()
    keep_rows(first, 1)
    server.stop()
    moved = make_server(port=free_port()).start()
    assert port_of(moved) != port_of(first)
    assert rows_of(moved) == 1


@pytest.mark.parametrize("other", ["dead", "alive"])
def test_a_stale_pid_file_does_not_stop_a_start(make_server: MakeServer, folder: Path, other: str) -> None:
    server = make_server(durable=True)
    url = server.start()
    keep_rows(url, 5)
    pid_file = folder / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as program:
        if other == "dead":
            program.kill()
            program.wait()
        pid_file.write_text("\n".join([str(program.pid), *lines[1:]]) + "\n")
        assert server.start() == url
        assert rows_of(url) == 5
        assert server.pid() != program.pid
        program.kill()


@pytest.mark.parametrize("content", ["", "\n", "\0" * 40, "nonsense\n", "-7\n/elsewhere\n", "9" * 40 + "\n"])
def test_a_pid_file_that_a_crash_left_half_written_does_not_stop_a_start(
    make_server: MakeServer, folder: Path, content: str
) -> None:
    server = make_server(durable=True)
    url = server.start()
    keep_rows(url, 5)
    server.stop()
    (folder / "postgres" / "data" / "postmaster.pid").write_text(content)
    assert server.pid() is None
    assert server.start() == url
    assert rows_of(url) == 5


def test_a_stop_ends_a_server_that_was_only_just_launched(
    make_server: MakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopError(BaseException):
        """As a signal raises it wherever the program is."""

    def interrupted(*_: object) -> bool:
        raise StopError

    server = make_server()
    server.start()
    server.stop()
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedPostgres, "_wait_ready", interrupted)
        with pytest.raises(StopError):
            server.start()
    server.stop()
    lock = try_lock(folder / "postgres" / "server.lock")
    assert lock is not None, "a process of the server lives"
    os.close(lock)
    assert server.child_pid is None


def test_the_next_start_waits_for_a_server_that_is_being_launched_and_ends(
    make_server: MakeServer, folder: Path
) -> None:
    server = make_server()
    url = server.start()
    server.stop()
    lock = try_lock(folder / "postgres" / "server.lock")
    assert lock is not None
    holder = subprocess.Popen(["sleep", "1"], pass_fds=(lock,))  # as a launcher whose supervisor was killed
    os.close(lock)
    assert server.start() == url
    assert holder.wait(60) == 0


def test_a_database_that_can_not_be_made_is_a_clear_message(make_server: MakeServer) -> None:
    server = make_server()
    url = server.start()
    elsewhere = url.rpartition("/")[0]
    with psycopg.connect(f"{elsewhere}/postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE market WITH (FORCE)")
    with psycopg.connect(f"{elsewhere}/template1"), pytest.raises(EmbeddedPostgresError, match="template1"):
        server.start()
    assert server.start() == url


def test_after_kill_9_the_next_start_recovers_every_commit(make_server: MakeServer) -> None:
    server = make_server(durable=True)
    url = server.start()
    keep_rows(url, 10_000)
    os.kill(pid_of(server), signal.SIGKILL)
    wait_until(lambda: not server.is_running(), 60)
    assert server.start() == url
    assert rows_of(url) == 10_000


def test_children_that_outlive_a_killed_server_are_ended_before_the_next_start(make_server: MakeServer) -> None:
    server = make_server(durable=True)
    url = server.start()
    keep_rows(url, 10)
    with psycopg.connect(url) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()  # as if stuck: it can't notice that its server died
        os.kill(pid_of(server), signal.SIGKILL)
        wait_until(lambda: not server.is_running(), 60)
        assert backend.is_running()
        assert server.start() == url
        assert identity(backend.pid) is None
    assert rows_of(url) == 10


def test_a_stop_interrupts_whatever_runs(make_server: MakeServer) -> None:
    server = make_server()
    with psycopg.connect(server.start()) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()
        server.stop(timeout_s=3)
        assert not server.is_running()
        assert identity(backend.pid) is None


def test_the_server_ends_with_the_program_that_started_it_even_by_kill_9(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from market_platform.embedded.postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]), int(sys.argv[2])); server.start()\n"
        "print(server.pid(), flush=True); sys.stdin.read()\n"
    )
    state_dir = folder / "postgres"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(state_dir), str(free_port())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT_ROOT,
    ) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        program.kill()
        program.wait()
    assert wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 10)
    assert not (state_dir / "data" / "postmaster.pid").exists(), "a clean shutdown, no recovery needed"


@as_root
def test_a_full_disk_is_said_and_nothing_committed_is_lost(make_server: MakeServer, folder: Path) -> None:
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m,mode=755", "none", str(disk)], check=False).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * (100 << 20))
        server = make_server(disk / "postgres", durable=True)
        with pytest.raises(DiskFullError, match=r"256 MB are needed.*MARKET_DATA_DIR"):
            server.start()
        ballast.unlink()
        url = server.start()
        keep_rows(url, 1000)
        ballast.write_bytes(b"x" * (shutil.disk_usage(disk).free - (1 << 20)))
        connection = psycopg.connect(url, autocommit=True)
        with contextlib.closing(connection), pytest.raises(psycopg.Error):
            connection.execute("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
        server.stop()
        with pytest.raises(DiskFullError):
            server.start()
        ballast.unlink()
        assert rows_of(server.start()) == 1000
        server.destroy()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_end_of_the_log_is_in_the_message(make_server: MakeServer, folder: Path) -> None:
    server = make_server()
    server.start()
    server.stop()
    hba = folder / "postgres" / "data" / "pg_hba.conf"
    hba.write_text("nonsense\n")
    with pytest.raises(EmbeddedPostgresError, match=r"pg_hba\.conf"):
        server.start()
    assert not server.is_running()


def test_the_database_url_is_the_configured_one_or_the_running_embedded_one(
    make_server: MakeServer, folder: Path
) -> None:
    def find(**values: object) -> str:
        return find_database_url(load_settings(_env_file=None, market_data_dir=folder, database_url=None, **values))

    with pytest.raises(ConfigError, match=r"market-platform up.*DATABASE_URL"):
        find()
    server = make_server()
    url = server.start()
    assert find() == url
    server.stop()
    with pytest.raises(ConfigError, match=r"does not run.*DATABASE_URL"):
        find()
    external = load_settings(_env_file=None, market_data_dir=folder, database_url="postgresql+psycopg://u:p@db/x")
    assert find_database_url(external) == "postgresql://u:p@db/x"
