"""The supervisor over scripted services: starting, watching, starting again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys

import psutil
import psycopg
import pytest

from market_platform.embedded.postgres import find_database_url
from market_platform.embedded.processes import identity, wait_until
from market_platform.embedded.record import is_locked, stack_status
from market_platform_tests.unit.embedded.fake_stack import MakeStack


def test_links_and_states_are_shown_and_recorded(make_stack: MakeStack) -> None:
    stack = make_stack({"code": {"phase": 2}, "web": {"after": ["code"]}})
    stack.up()
    text = stack.text()
    assert text.index("code is ready") < text.index("web is ready")
    assert f"fake web: http://127.0.0.1:{stack.services['web']['port']}" in text
    states = {each.name: each for each in stack_status(stack.settings)}
    assert list(states) == ["code", "web"]
    assert [states["web"].pid] == stack.all_pids("web")
    assert states["web"].ready
    assert states["web"].url == f"http://127.0.0.1:{stack.services['web']['port']}"


def test_a_service_that_ends_is_started_again_and_that_is_said(make_stack: MakeStack) -> None:
    stack = make_stack({"code": {"phase": 2, "worker": True}, "web": {"after": ["code"]}})
    stack.up()
    (first,) = stack.all_pids("code")
    (worker,) = stack.all_pids("code-worker")
    os.kill(first, signal.SIGKILL)
    stack.wait_for("code was ended by SIGKILL; starting it again")
    stack.wait_for("code is ready", count=2)
    assert wait_until(lambda: identity(worker) is None, 60), "what a dead service had started is told to end"
    state = {each.name: each for each in stack_status(stack.settings)}["code"]
    assert (state.ready, state.restarts) == (True, 1)
    assert state.pid not in (None, first)
    assert stack.stop()[0] == 0


def test_a_service_that_keeps_ending_fails_the_stack_with_its_last_words(make_stack: MakeStack) -> None:
    stack = make_stack({"code": {"fail": True}, "web": {}}, postgres=True)
    code, text = stack.run_to_end()
    assert code == 1
    assert "code ended with code 1, 3 times without ever being ready" in text
    assert "no luck today" in text
    assert stack.living() == []
    assert not is_locked(stack.settings)


def test_a_ready_service_that_dies_again_and_again_fails_the_stack(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.up()
    assert stack.process is not None
    for death in range(5):
        assert wait_until(lambda: bool(stack.living()), 10)
        os.kill(stack.living()[0], signal.SIGKILL)
        assert wait_until(lambda seen=death: len(stack.all_pids()) > seen + 1 or stack.process.poll() is not None, 10)  # type: ignore[misc]
    assert stack.process.wait(10) == 1
    assert "5 times within 60 s" in stack.text()


def test_a_second_up_says_who_runs_and_harms_nothing(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.up()
    assert stack.process is not None
    first, pids = stack.process, stack.living()
    code, text = stack.run_to_end()
    assert code == 1
    assert f"already running, pid {first.pid}" in text
    assert f"fake web: http://127.0.0.1:{stack.services['web']['port']}" in text
    assert (first.poll(), stack.living()) == (None, pids)
    stack.process = first


def test_ports_in_use_are_all_named_before_anything_starts(make_stack: MakeStack) -> None:
    stack = make_stack({"web": {}, "api": {}}, postgres=True)
    with socket.socket() as one, socket.socket() as two:
        for each, port in ((one, stack.services["web"]["port"]), (two, stack.environment["EMBEDDED_POSTGRES_PORT"])):
            each.bind(("127.0.0.1", int(port)))
            each.listen()
        code, text = stack.run_to_end()
    assert code == 1
    assert f"port {stack.services['web']['port']} on 127.0.0.1 can't be used" in text
    assert f"(pid {os.getpid()}) has it): end that program, or set WEB_PORT" in text
    assert "set EMBEDDED_POSTGRES_PORT" in text
    assert stack.all_pids() == []
    assert not (stack.folder / "data" / "postgres").exists()


def test_the_same_port_given_twice_is_named(make_stack: MakeStack) -> None:
    stack = make_stack({"web": {}, "api": {}})
    stack.services["api"]["port"] = stack.services["web"]["port"]
    code, text = stack.run_to_end()
    assert code == 1
    assert f"API_PORT and WEB_PORT are both {stack.services['web']['port']}" in text


def test_postgres_that_ends_is_started_again_with_all_data(make_stack: MakeStack) -> None:
    stack = make_stack(postgres=True)
    stack.up()
    url = find_database_url(stack.settings)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    before = stack_status(stack.settings)[0]
    assert before.pid is not None
    psutil.Process(before.pid).kill()
    stack.wait_for("postgres ended by itself; starting it again")
    assert wait_until(lambda: stack_status(stack.settings)[0].restarts == 1, 20)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
    assert stack.stop()[0] == 0
    assert identity(before.pid) is None


def test_a_failed_preparation_is_shown_and_nothing_is_left(make_stack: MakeStack) -> None:
    stack = make_stack(postgres=True, prepare=[sys.executable, "-c", "import sys; sys.exit('line 12 is wrong')"])
    code, text = stack.run_to_end()
    assert code == 1
    assert "error: line 12 is wrong" in text
    assert stack.all_pids() == []
    assert not is_locked(stack.settings)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_fills_up_stops_the_stack_with_a_clear_message_and_loses_nothing(make_stack: MakeStack) -> None:
    stack = make_stack(postgres=True)
    data = stack.folder / "data"
    data.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m,mode=755", "none", str(data)], check=False).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        stack.up()
        with psycopg.connect(find_database_url(stack.settings), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        with (data / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(data).free)
        postgres = stack_status(stack.settings)[0]
        assert postgres.pid is not None
        psutil.Process(postgres.pid).kill()
        assert stack.process is not None
        assert stack.process.wait(60) == 1
        assert "MB free on the disk" in stack.text()
        assert stack.living() == []
        code, text = stack.run_to_end()
        assert code == 1
        assert "MARKET_DATA_DIR" in text
        assert "Traceback" not in stack.text()
        (data / "ballast").unlink()
        stack.up()
        with psycopg.connect(find_database_url(stack.settings)) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
        assert stack.stop()[0] == 0
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


def test_what_keeps_a_service_from_being_ready_is_said_once(make_stack: MakeStack) -> None:
    stack = make_stack({"web": {"trouble": "web can't load the assets"}, "api": {}})
    stack.start()
    stack.wait_for("web can't load the assets")
    stack.wait_for("api is ready")
    assert stack.stop()[0] == 0
    assert stack.said("web can't load the assets") == 1
    assert stack.said("web is ready") == 0
