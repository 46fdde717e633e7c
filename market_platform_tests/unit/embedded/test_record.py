"""The record of what runs and its lock: one supervisor at a time, whoever looks meanwhile."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from pathlib import Path

import pytest

from market_platform.embedded.processes import ProcessIdentity, identity
from market_platform.embedded.record import (
    StackRecord,
    already_running,
    is_locked,
    lock_stack,
    run_folder,
    write_record,
)
from market_platform.embedded.stack import stop_stack
from market_platform.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = load_settings(_env_file=None, market_data_dir=tmp_path)
    run_folder(made).mkdir()
    return made


def test_somebody_who_only_looked_keeps_nobody_from_getting_the_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = [lock_stack(settings)]
    assert looking[0] is not None

    def looked(_seconds: float) -> None:
        os.close(looking.pop() or -1)

    monkeypatch.setattr("market_platform.embedded.processes.time.sleep", looked)
    lock = lock_stack(settings)
    assert lock is not None
    assert looking == []
    os.close(lock)


def test_one_supervisor_at_a_time(settings: Settings) -> None:
    lock = lock_stack(settings)
    assert lock is not None
    assert is_locked(settings)
    assert lock_stack(settings) is None
    os.close(lock)
    assert not is_locked(settings)


def test_a_lock_file_deleted_by_a_reset_meanwhile_is_not_taken_for_the_lock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run_folder(settings) / "up.lock"
    real = fcntl.flock
    deleted = False

    def deleted_meanwhile(descriptor: int, operation: int) -> None:
        nonlocal deleted
        if not deleted:
            path.unlink()
            deleted = True
        real(descriptor, operation)

    monkeypatch.setattr("market_platform.embedded.files.fcntl.flock", deleted_meanwhile)
    lock = lock_stack(settings)
    assert lock is not None
    assert os.fstat(lock).st_ino == path.stat().st_ino
    os.close(lock)


@pytest.mark.parametrize("left_by_a_killed_one", [True, False])
def test_an_up_that_has_not_noted_itself_yet_is_not_called_by_another_s_pid(
    settings: Settings, left_by_a_killed_one: bool
) -> None:
    if left_by_a_killed_one:
        write_record(settings, StackRecord(ProcessIdentity(os.getpid(), "long ago"), "token"))
    assert "is just starting or stopping" in str(already_running(settings))
    me = identity(os.getpid())
    assert me is not None
    write_record(settings, StackRecord(me, "token"))
    assert f"already running, pid {me.pid}" in str(already_running(settings))


def test_a_down_waits_until_an_up_that_was_only_just_started_says_who_it_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = lock_stack(settings)
    assert lock is not None
    with subprocess.Popen(["sleep", "600"], pass_fds=(lock,)) as supervisor:
        os.close(lock)

        def noted(_seconds: float) -> None:
            me = identity(supervisor.pid)
            if me is not None:
                write_record(settings, StackRecord(me, "token"))

        monkeypatch.setattr("market_platform.embedded.processes.time.sleep", noted)
        assert stop_stack(settings) == [f"stopped pid {supervisor.pid} and what it ran: "]
        assert supervisor.wait(60) == -signal.SIGTERM
