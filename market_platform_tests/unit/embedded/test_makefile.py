"""The Makefile's own work: finding a Python, installing from the locks once, saying what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from market_platform_tests.recordings import PROJECT_ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

PYTHON = """#!/bin/sh
# a Python that notes what it is asked, and makes "virtual environments" whose Python is itself
case "$1 $2" in
    "-c "*) exit {code} ;;
    "--version "*) echo "Python 3.{minor}.0"; exit 0 ;;
    "-m venv") {venv}; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; printf '#!/bin/sh\\necho "up in $PWD"' >"$4/bin/market-platform"
        chmod +x "$4/bin/market-platform" ;;
esac
echo "$@" >>"{log}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with the real Makefile and small locks, and an empty PATH beside it."""
    folder = tmp_path / "a project"
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "Makefile", folder)
    for name in (
        "requirements/build.txt",
        "requirements/runtime.txt",
        "requirements/dev.txt",
        "requirements/bench.txt",
        "pyproject.toml",
    ):
        (folder / name).write_text(f"# {name}\n")
    (tmp_path / "bin").mkdir()
    for name in ("sh", "echo", "cat", "cksum", "tr", "mkdir", "touch", "cp", "chmod", "rm", "find", "flock", "uname"):
        found = shutil.which(name)
        if found:
            (tmp_path / "bin" / name).symlink_to(found)
    return folder


def add_python(project: Path, name: str, *, code: int = 0, minor: int = 12, venv: str = ":") -> None:
    path = project.parent / "bin" / name
    path.write_text(PYTHON.format(code=code, minor=minor, venv=venv, log=project.parent / "log"))
    path.chmod(0o755)


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with nothing in the environment but a PATH: no HOME, no locale."""
    program = shutil.which("make")
    assert program is not None
    return subprocess.run(
        [program, *arguments],
        cwd=project,
        env={"PATH": str(project.parent / "bin")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def asked(project: Path) -> list[str]:
    log = project.parent / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_without_a_target_it_explains_itself(project: Path) -> None:
    done = make(project)
    assert done.returncode == 0
    assert {line.split()[1] for line in done.stdout.splitlines() if line.startswith("make ")} == {
        "up",
        "test",
        "check",
        "bench",
        "clean",
    }


def test_no_python_is_a_clear_message(project: Path) -> None:
    add_python(project, "python3", code=1)
    done = make(project, "up")
    assert done.returncode == 2
    assert "Python 3.11 or later is needed" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_no_venv_module_is_a_clear_message(project: Path) -> None:
    add_python(project, "python3", venv="echo ensurepip is not available; exit 1")
    done = make(project, "up")
    assert done.returncode == 2
    assert "ensurepip is not available" in done.stderr
    assert "apt-get install python3-venv" in done.stderr


def test_up_installs_from_the_hashed_locks_once(project: Path) -> None:
    add_python(project, "python3.12")
    first = make(project, "up")
    assert first.returncode == 0, first.stderr
    assert f"up in {project}" in first.stdout
    installs = [line for line in asked(project) if "pip" in line]
    assert [line.rpartition(" ")[2] for line in installs] == ["requirements/build.txt", "requirements/runtime.txt", "."]
    assert all("--require-hashes" in line for line in installs[:2])
    assert "--no-index" in installs[2]

    count = len(asked(project))
    second = make(project, "up")
    assert (second.returncode, len(asked(project))) == (0, count)
    for path in project.rglob("*.txt"):
        os.utime(path, (0, 0))
    make(project, "up")
    assert len(asked(project)) == count, "times don't matter, contents do"
    (project / "requirements" / "runtime.txt").write_text("# newer\n")
    make(project, "up")
    assert len(asked(project)) > count


def test_dev_packages_are_enough_to_go_up(project: Path) -> None:
    add_python(project, "python3")
    assert make(project, "install-dev").returncode == 0
    count = len(asked(project))
    assert make(project, "up").returncode == 0
    assert len(asked(project)) == count


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed")
def test_jobs_side_by_side_make_one_environment(project: Path) -> None:
    add_python(project, "python3")
    done = make(project, "-j", "4", "install", "install-dev")
    assert done.returncode == 0, done.stderr
    assert sum("-m venv" in line for line in asked(project)) == 1


def test_a_moved_project_gets_a_new_environment(project: Path) -> None:
    add_python(project, "python3")
    make(project, "install")
    moved = project.rename(project.parent / "moved")
    make(moved, "install")
    assert sum("-m venv" in line for line in asked(moved)) == 2


def test_clean_keeps_the_data(project: Path) -> None:
    add_python(project, "python3")
    make(project, "install")
    (project / ".market" / "lake").mkdir(parents=True)
    assert make(project, "clean").returncode == 0
    assert not (project / ".venv").exists()
    assert (project / ".market" / "lake").is_dir()
