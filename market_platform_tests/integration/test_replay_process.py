"""The replay exchange as a process of its own: how it starts, what it says, how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from market_platform_tests.fixtures.live_replay import listen, read_until
from market_platform_tests.recordings import PROJECT_ROOT

MODULE = [sys.executable, "-m", "market_platform.replay"]
COMMAND = [sys.executable, "-m", "market_platform", "replay"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(command: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The process, ended by force if the test leaves it."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_up(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout and process.stdout.read()
        try:
            assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        except httpx.TransportError:
            time.sleep(0.05)  # between two looks at a condition
        else:
            return
    raise AssertionError("not up within 30 s")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_from_settings_and_stops_cleanly_when_asked(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    with started(MODULE, tmp_path, REPLAY_PORT=str(port), REPLAY_SEED="42") as process:
        wait_until_up(port, process)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").json()["source"] == "generator, seed 42"
        process.send_signal(number)
        said, _ = process.communicate(timeout=10)
        assert process.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["event"] for line in lines] == ["replay exchange is up", "replay exchange has stopped"]
    assert lines[0]["json_api"] == f"http://127.0.0.1:{port}/dukascopy/v1"
    assert lines[0]["source"] == "generator, seed 42"


def test_a_request_that_hangs_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    port = free_port()
    with started(MODULE, tmp_path, REPLAY_PORT=str(port)) as process:
        wait_until_up(port, process)
        root = f"http://127.0.0.1:{port}"
        httpx.post(f"{root}/_faults", json={"kind": "hang", "times": 5}).raise_for_status()
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(b"GET /dukascopy/v1/instruments HTTP/1.1\r\nHost: x\r\n\r\n")
            while httpx.get(f"{root}/_requests").json()["in_flight"] == 0:
                pass
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in said


def test_open_streams_do_not_keep_it_from_stopping_and_are_closed(tmp_path: Path) -> None:
    port = free_port()
    root = f"127.0.0.1:{port}"
    prices = f"http://{root}/oanda/v3/accounts/1/pricing/stream?instruments=EUR_USD"
    with started(MODULE, tmp_path, REPLAY_PORT=str(port), REPLAY_SPEED="10") as process:
        wait_until_up(port, process)
        assert httpx.get(f"http://{root}/healthz").json()["live"]["speed"] == 10
        with (
            listen(f"ws://{root}/binance/spot/stream?streams=btcusdt@aggTrade") as trades,
            listen(f"ws://{root}/hyperliquid/ws") as silent,
            httpx.stream("GET", prices, headers={"authorization": "Bearer any"}) as quotes,
        ):
            lines = quotes.iter_lines()
            assert next(lines)
            read_until(trades, any)
            httpx.post(f"http://{root}/_faults", json={"match": "hyperliquid", "kind": "half_open"})
            process.send_signal(signal.SIGTERM)
            process.wait(10)
            assert process.returncode == 0
            assert [line for line in lines if "HEARTBEAT" not in line and "PRICE" not in line] == []
            for socket in (trades, silent):
                with pytest.raises(ConnectionClosed):
                    read_until(socket, lambda _: False)


def test_a_port_that_is_taken_is_a_clear_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started(MODULE, tmp_path, REPLAY_PORT=str(port)) as process:
            said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.strip() == (
        f"error: port {port} is taken by another program; stop it, or choose another port with REPLAY_PORT or --port"
    )


def test_a_folder_without_recordings_is_a_clear_message(tmp_path: Path) -> None:
    with started(MODULE, tmp_path, RECORDINGS=str(tmp_path), REPLAY_PORT=str(free_port())) as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.startswith("error: there are no recordings in ")


def test_the_command_takes_port_seed_and_recordings(tmp_path: Path) -> None:
    (tmp_path / "dukascopy").mkdir()
    port = free_port()
    with started([*COMMAND, "--port", str(port), "--recordings", str(tmp_path)], tmp_path) as process:
        wait_until_up(port, process)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").json()["source"] == f"recordings in {tmp_path}"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == 0


def test_the_command_teaches(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--help"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}, capture_output=True, text=True,
        timeout=30, check=True,
    )  # fmt: skip
    for word in ("--port", "--seed", "--recordings", "/_faults", "curl", "truncate", "bi5"):
        assert word in done.stdout


def test_it_is_small_when_idle_and_knows_nothing_of_its_clients(tmp_path: Path) -> None:
    port = free_port()
    with started(MODULE, tmp_path, REPLAY_PORT=str(port)) as process:
        wait_until_up(port, process)
        assert psutil.Process(process.pid).memory_info().rss < 110 * 2**20
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, market_platform.replay.__main__; print(*sys.modules)"],
        cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=30, check=True,
    ).stdout.split()  # fmt: skip
    for module in ("dagster", "polars", "pyarrow", "sqlalchemy", "obstore", "market_platform.exchanges"):
        assert module not in loaded


def test_it_listens_where_it_is_told(tmp_path: Path) -> None:
    port = free_port()
    with started(MODULE, tmp_path, REPLAY_PORT=str(port), REPLAY_HOST="0.0.0.0") as process:
        wait_until_up(port, process)
        assert httpx.get(f"http://127.0.0.2:{port}/healthz").status_code == 200  # another address than the usual one
    with started(MODULE, tmp_path, REPLAY_PORT=str(port), REPLAY_HOST="192.0.2.1") as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.startswith(f"error: the replay exchange can't listen on 192.0.2.1, port {port}: ")
