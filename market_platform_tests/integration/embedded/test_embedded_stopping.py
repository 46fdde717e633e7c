"""Stopping a stack: by signals, by `down`, by kill -9, and what `reset` deletes afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from market_platform.domain.clock import utc_now
from market_platform.embedded import supervisor
from market_platform.embedded.errors import AlreadyRunningError
from market_platform.embedded.postgres import EmbeddedPostgres
from market_platform.embedded.processes import identity, wait_until
from market_platform.embedded.record import is_locked, stack_status
from market_platform.embedded.reset import reset_data, what_reset_deletes
from market_platform.embedded.screen import PlainScreen
from market_platform.embedded.stack import stop_stack
from market_platform.settings import load_settings
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.unit.embedded.fake_service import __file__ as fake_service_file
from market_platform_tests.unit.embedded.fake_stack import MakeStack


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_everything_cleanly(make_stack: MakeStack, number: signal.Signals) -> None:
    stack = make_stack({"code": {"phase": 2, "worker": True}, "daemon": {"after": ["code"]}, "web": {}})
    stack.up()
    assert len(stack.living()) == 4
    code, seconds = stack.stop(number)
    assert code == 0, stack.text()
    assert seconds < 30
    assert stack.living() == []
    assert "worker was told" in (stack.folder / "data" / "logs" / "code.log").read_text()
    assert stack_status(stack.settings) == []
    assert not is_locked(stack.settings)


def test_a_closed_terminal_does_not_keep_it_from_stopping(make_stack: MakeStack) -> None:
    stack = make_stack({"web": {}})
    reader, writer = os.pipe()
    process = stack.start(output=writer)
    os.close(writer)
    assert wait_until(lambda: any(each.ready for each in stack_status(stack.settings)), 20)
    os.close(reader)
    process.send_signal(signal.SIGHUP)
    assert process.wait(10) == 0
    assert stack.living() == []


def test_a_paused_terminal_does_not_keep_it_from_stopping(make_stack: MakeStack) -> None:
    stack = make_stack({"web": {}})
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    process = stack.start(output=writer)
    os.close(writer)
    assert wait_until(lambda: any(each.ready for each in stack_status(stack.settings)), 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert stack.living() == []
    os.close(reader)


def test_a_service_that_never_says_whether_it_is_ready_does_not_keep_it_from_stopping(make_stack: MakeStack) -> None:
    stack = make_stack({"web": {"hanging": True}, "api": {}})
    stack.start()
    assert wait_until(lambda: len(stack.living()) == 2, 60)
    assert stack.stop(signal.SIGTERM)[0] == 0
    assert stack.living() == []


def test_services_that_can_not_be_ended_do_not_keep_postgres_from_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stopped: list[float] = []

    class Server:
        log, child_pid = tmp_path / "postgres.log", None

        def start(self) -> str:
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("a stop signal interrupts this")

        def is_running(self) -> bool:
            return False

        def stop(self, timeout_s: float) -> None:
            stopped.append(timeout_s)

    def fail(*_: object) -> None:
        raise RuntimeError("the process table can't be read")

    monkeypatch.setattr(supervisor, "end_services", fail)
    monkeypatch.setattr(
        supervisor, "adopt_orphans", lambda: False
    )  # this process is the tests', not a supervisor's own
    monkeypatch.setattr(supervisor, "reap_orphans", lambda _own: None)
    settings = load_settings(_env_file=None, market_data_dir=tmp_path, embedded_postgres_port=free_port())
    screen = PlainScreen(io.StringIO(), utc_now)
    with pytest.raises(RuntimeError, match="process table"):
        supervisor.Supervisor(settings, [], screen, postgres=cast("EmbeddedPostgres", Server())).run()
    assert len(stopped) == 1
    assert not is_locked(settings)


def test_stubborn_services_and_their_orphans_are_killed_in_time(make_stack: MakeStack) -> None:
    stack = make_stack(
        {"web": {"stubborn": True}, "code": {"stubborn": True, "orphan": True, "phase": 2}, "replay": {"phase": 3}},
        postgres=True,
    )
    stack.up()
    assert wait_until(lambda: len(stack.living()) == 4, 60)
    code, seconds = stack.stop()
    assert code == 0, stack.text()
    assert seconds < 30
    assert stack.living() == []
    assert not (stack.folder / "data" / "postgres" / "data" / "postmaster.pid").exists(), (
        "Postgres was shut down cleanly"
    )


def test_a_second_ctrl_c_does_not_wait_for_the_stubborn(make_stack: MakeStack) -> None:
    stack = make_stack({"web": {"stubborn": True}, "code": {"stubborn": True, "phase": 2}})
    stack.up()
    assert stack.process is not None
    stack.process.send_signal(signal.SIGINT)
    stack.wait_for("stopping")
    code, seconds = stack.stop()
    assert (code, stack.living()) == (0, [])
    assert seconds < 2.5


def test_after_kill_9_the_next_up_ends_what_is_left_and_nothing_else(make_stack: MakeStack) -> None:
    stack = make_stack({"web": {}, "code": {"stubborn": True, "orphan": True, "phase": 2}}, postgres=True)
    stack.up()
    assert stack.process is not None
    with subprocess.Popen(
        [sys.executable, "-I", "-S", fake_service_file, "web", "--port", "0", "--pids", str(stack.folder)]
    ) as lookalike:
        stack.process.kill()
        stack.process.wait()
        left = stack.all_pids("code") + stack.all_pids("code-orphan")
        assert wait_until(lambda: stack.living() == left, 60), "the stubborn live on"
        stack.up()
        assert "ended what an earlier, killed `up` had left: pids " + ", ".join(map(str, sorted(left))) in stack.text()
        assert all(identity(pid) is None for pid in left)
        assert lookalike.poll() is None, "a process like ours that we did not start is left alone"
        lookalike.kill()
    assert stack.stop()[0] == 0
    assert stack.living() == []


def test_down_ends_what_a_killed_up_left(make_stack: MakeStack) -> None:
    stack = make_stack({"code": {"stubborn": True}})
    stack.up()
    assert stack.process is not None
    stack.process.kill()
    stack.process.wait()
    (pid,) = stack.living()
    assert stop_stack(stack.settings) == [f"ended what a killed `up` had left: pids {pid}"]
    assert stack.living() == []
    assert stop_stack(stack.settings) == ["nothing runs"]


def test_down_stops_a_running_stack_and_waits(make_stack: MakeStack) -> None:
    stack = make_stack(postgres=True)
    stack.up()
    assert stack.process is not None
    assert stop_stack(stack.settings) == [f"stopped pid {stack.process.pid} and what it ran: postgres, web"]
    assert stack.process.wait(60) == 0
    assert stack.living() == []


def test_ctrl_c_while_preparing_ends_at_once(make_stack: MakeStack) -> None:
    stack = make_stack(postgres=True, prepare=[sys.executable, "-c", "import time; time.sleep(600)"])
    stack.start()
    stack.wait_for("migrations and pairs")
    code, seconds = stack.stop()
    assert (code, stack.all_pids()) == (0, [])
    assert seconds < 30


def test_reset_refuses_while_running_and_deletes_only_what_is_embedded(make_stack: MakeStack) -> None:
    stack = make_stack(postgres=True)
    stack.up()
    data = stack.folder / "data"
    (data / "lake" / "ticks").mkdir(parents=True)
    (data / "journal").mkdir()
    (data / "mine.txt").write_text("precious")
    with pytest.raises(AlreadyRunningError):
        reset_data(stack.settings)
    assert stack.stop()[0] == 0
    deleted = {folder.name for folder, _ in what_reset_deletes(stack.settings)}
    assert deleted == {"postgres", "lake", "journal", "dagster", "logs"}
    reset_data(stack.settings, keep_lake=True)
    assert sorted(each.name for each in data.iterdir()) == ["lake", "mine.txt"]
    reset_data(stack.settings)
    assert sorted(each.name for each in data.iterdir()) == ["mine.txt"]
    assert what_reset_deletes(stack.settings) == []
