"""`market-platform up` with its real parts: first and second start, memory, stopping, being killed, an external database."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from market_platform.embedded.postgres import EmbeddedPostgres, find_database_url
from market_platform.embedded.record import ServiceState, processes_of, read_record, stack_status
from market_platform_tests.e2e.stack import CLI, Stack, pss_mb, wait_until
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.recordings import PROJECT_ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

IDLE_MB = 900
STREAMER_MB = 250
"""Of the streamer beside it, which is never idle."""
EVERYTHING = ["postgres", "replay", "code", "daemon", "webserver", "api", "streamer"]


@pytest.fixture
def make_stack() -> Iterator[Callable[..., Stack]]:
    """Makes stacks with folders of their own; each is stopped and deleted after the test."""
    made: list[Stack] = []

    def make(**extra: str) -> Stack:
        folder = Path(tempfile.mkdtemp(prefix="stack-e2e-"))
        folder.chmod(0o755)
        made.append(Stack(folder, extra))
        return made[-1]

    yield make
    for stack in made:
        stack.run("down", check=False)
        stack.kill()
        stack.run("reset", "--yes", check=False)
        shutil.rmtree(stack.home)


def states(stack: Stack) -> dict[str, ServiceState]:
    return {each.name: each for each in stack_status(stack.settings)}


def token(stack: Stack) -> str:
    record = read_record(stack.settings)
    assert record is not None
    return record.token


def all_ready(stack: Stack) -> bool:
    return bool(states(stack)) and all(each.ready for each in states(stack).values())


def test_twice_up_with_all_data_and_memory_to_spare(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    stack.up()
    wait_until("every service is ready", lambda: all_ready(stack), 60)
    assert list(states(stack)) == EVERYTHING
    assert stack.run("logs", "api").stdout.startswith("---")
    with psycopg.connect(find_database_url(stack.settings), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")

    supervisor = psutil.Process(stack.process.pid)  # type: ignore[union-attr]
    streamer = pss_mb(psutil.Process(states(stack)["streamer"].pid))
    memory = sum(pss_mb(each) for each in [supervisor, *supervisor.children(recursive=True)]) - streamer
    assert memory < IDLE_MB, f"{memory:.0f} MB"
    assert streamer < STREAMER_MB, f"{streamer:.0f} MB"

    second = stack.run("up", check=False)
    assert second.returncode == 1
    assert f"already running, pid {supervisor.pid}" in second.stderr
    assert stack.dagster_url in second.stderr
    assert all_ready(stack)

    mine, began = token(stack), time.monotonic()
    assert stack.down() == 0
    assert time.monotonic() - began < 40  # ten seconds alone on the machine, which the bench measures
    assert processes_of(mine) == []
    assert states(stack) == {}

    stack.up()
    with psycopg.connect(find_database_url(stack.settings)) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
    assert stack.down() == 0


def test_ctrl_c_ends_runs_in_flight_too(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    stack.up()
    wait_until("every service is ready", lambda: all_ready(stack), 60)
    stack.run("backfill", "dukascopy/EURUSD", "--from", "2024-01-01", "--to", "2024-03-31", "--no-wait")
    wait_until("a run is in flight", lambda: runs(stack, "STARTED") > 0, 120)
    mine, began = token(stack), time.monotonic()
    assert stack.down() == 0
    assert time.monotonic() - began < 40  # ten seconds alone on the machine, which the bench measures
    assert processes_of(mine) == []
    stack.up()
    wait_until("no run is left in flight", lambda: runs(stack, "STARTED", "STARTING", "CANCELING") == 0, 60)
    assert stack.down() == 0


def runs(stack: Stack, *statuses: str) -> int:
    query = f"{{ runsOrError(filter: {{statuses: [{', '.join(statuses)}]}}) {{ ... on Runs {{ count }} }} }}"
    return int(stack.graphql(query)["runsOrError"]["count"])


def test_killed_parts_come_back_and_a_killed_up_leaves_nothing_in_the_way(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    stack.up()
    wait_until("every service is ready", lambda: all_ready(stack), 60)
    before = states(stack)
    for name in ("api", "postgres", "daemon"):
        pid = before[name].pid
        assert pid is not None
        psutil.Process(pid).kill()
        wait_until(f"{name} is back", lambda name=name, pid=pid: states(stack)[name].pid not in (None, pid), 60)  # type: ignore[misc]
    wait_until("every service is ready again", lambda: all_ready(stack), 120)
    assert httpx.get(f"{stack.api_url}/readyz", timeout=10).status_code == 200
    killed = token(stack)
    stack.kill()
    stack.up()
    assert processes_of(killed) == []
    mine = token(stack)
    assert stack.down() == 0
    assert processes_of(mine) == []


def test_in_the_background_and_down(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    up = stack.run("up", "--detach")
    assert stack.dagster_url in up.stdout
    assert "runs in the background" in up.stdout
    assert all_ready(stack)
    mine = token(stack)
    down = stack.run("down")
    assert "and what it ran: postgres, replay, code, daemon, webserver, api" in down.stdout
    assert processes_of(mine) == []
    assert stack.run("down").stdout == "nothing runs\n"


def test_an_external_database_is_used_and_left_running(make_stack: Callable[..., Stack]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="external-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder, free_port(), durable=False)
    try:
        url = server.start()
        stack = make_stack(DATABASE_URL=url)
        stack.env["DATABASE_URL"] = url
        stack.up()
        wait_until("every service is ready", lambda: all_ready(stack), 60)
        assert list(states(stack)) == EVERYTHING[1:]
        assert stack.down() == 0
        assert server.is_running()
        assert not (stack.settings.postgres_dir / "state.json").exists()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) > 0 FROM starlistings").fetchone() == (True,)
        stack.run("reset", "--yes")
        assert server.is_running()
    finally:
        server.destroy()
        shutil.rmtree(folder)


def test_it_ends_with_the_program_that_started_it_when_asked_to(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    with subprocess.Popen(
        ["sh", "-c", f"{CLI[0]} -m market_platform up --end-with-parent & wait"], cwd=PROJECT_ROOT, env=stack.env
    ) as shell:
        wait_until("every service is ready", lambda: all_ready(stack), 120)
        mine = token(stack)
        shell.send_signal(signal.SIGKILL)
    wait_until("everything has ended", lambda: states(stack) == {} and processes_of(mine) == [], 15)
