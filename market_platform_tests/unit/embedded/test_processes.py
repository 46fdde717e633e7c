"""Processes: identity, launching, ending."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from market_platform.embedded.processes import (
    ProcessIdentity,
    end_processes,
    identity,
    launch_command,
    lives,
    send_signal,
    wait_until,
)
from market_platform_tests.recordings import PROJECT_ROOT

SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


def test_a_recycled_pid_is_another_process_and_is_never_signalled() -> None:
    with subprocess.Popen(SLEEP) as process:
        me = identity(process.pid)
        assert me is not None
        assert lives(me)
        other = ProcessIdentity(process.pid, "1@another-boot")
        assert not lives(other)
        assert not send_signal(other, signal.SIGKILL)
        assert process.poll() is None
        assert send_signal(me, signal.SIGKILL)
        process.wait()
        assert not lives(me)


def test_a_zombie_counts_as_dead() -> None:
    process = subprocess.Popen(SLEEP)
    process.kill()
    assert wait_until(lambda: identity(process.pid) is None, 60)
    process.wait()


def test_what_ignores_the_first_signal_is_killed() -> None:
    stubborn = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)",
    ]
    with subprocess.Popen(stubborn, stdout=subprocess.PIPE) as hard, subprocess.Popen(SLEEP) as soft:
        assert hard.stdout is not None
        hard.stdout.readline()
        both = [identity(hard.pid), identity(soft.pid)]
        assert end_processes([each for each in both if each is not None], grace_s=0.3) == [hard.pid]
        assert (hard.wait(), soft.wait()) == (-signal.SIGKILL, -signal.SIGTERM)


def test_a_launched_command_keeps_its_pid_environment_and_exit_code() -> None:
    script = "import os, sys; print(os.getpid(), os.environ['MARK']); sys.exit(7)"
    command = launch_command([sys.executable, "-c", script], on_parent_death=signal.SIGTERM)
    with subprocess.Popen(command, env={**os.environ, "MARK": "here"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate()[0].split() == [str(process.pid), "here"]
    assert process.returncode == 7


def test_a_launched_command_hears_stop_signals_that_its_parent_ignores() -> None:
    script = "import signal; print(*(int(signal.getsignal(each) == signal.SIG_IGN) for each in (2, 15, 1)))"
    command = launch_command([sys.executable, "-c", script], on_parent_death=signal.SIGTERM)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a script's `make up &` has it
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.stdout.split() == ["0", "0", "0"]


def test_a_command_that_can_t_be_run_says_so() -> None:
    command = launch_command(["no-such-program-anywhere"], on_parent_death=signal.SIGTERM)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert "can't run no-such-program-anywhere: No such file or directory" in done.stderr


def test_a_launched_command_ends_with_its_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = (
        "import signal, subprocess, sys, time; from market_platform.embedded.processes import launch_command\n"
        f"child = subprocess.Popen(launch_command({SLEEP!r}, on_parent_death=signal.SIGTERM))\n"
        f"open({str(note)!r}, 'w').write(str(child.pid) + '.'); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        assert wait_until(lambda: note.exists() and note.read_text().endswith("."), 20)
        pid = int(note.read_text()[:-1])
        assert wait_until(
            lambda: Path(f"/proc/{pid}/cmdline").read_bytes().startswith(os.fsencode(sys.executable) + b"\0-I\0-S\0-c"),
            10,
        )
        parent.kill()
    assert wait_until(lambda: identity(pid) is None, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
def test_a_parent_that_died_before_it_was_watched_is_noticed() -> None:
    script = (
        "import os, signal, sys, time; from market_platform.embedded.processes import signal_on_parent_death\n"
        "signal_on_parent_death(signal.SIGTERM, os.getppid()); print('alive', flush=True)\n"
        "signal_on_parent_death(signal.SIGTERM, int(sys.argv[1])); time.sleep(600)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(os.getpid() + 1)], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, check=False
    )
    assert (done.stdout, done.returncode) == (b"alive\n", -signal.SIGTERM)
