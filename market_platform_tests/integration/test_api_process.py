"""`python -m api_service` as a supervisor or a container runs it: signals, exit codes, refusals, log lines."""

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
import pytest

from market_platform.settings import PROJECT_ROOT
from market_platform_tests.fixtures.api_server import wait_for
from market_platform_tests.fixtures.ports import free_port

COMMAND = [sys.executable, "-m", "api_service"]


def environment(database_url: str, port: int, **more: str) -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("API_", "DATABASE_", "LOG_"))}
    return keep | {"DATABASE_URL": database_url, "API_PORT": str(port), "LOG_FORMAT": "json"} | more


@contextmanager
def running(database_url: str, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(COMMAND, cwd=PROJECT_ROOT, env=environment(database_url, port), stderr=out)
    try:
        wait_for(lambda: is_up(f"http://127.0.0.1:{port}/livez") or process.poll() is not None, 30)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def is_up(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def refusal(environment: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        COMMAND, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_at_once_though_clients_are_connected(
    database_url: str, tmp_path: Path, which: signal.Signals
) -> None:
    with running(database_url, tmp_path / "log") as (process, url), httpx.Client(base_url=url) as client:
        assert client.get("/readyz").status_code == 200
        began = time.monotonic()
        process.send_signal(which)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 15


def test_every_log_line_is_json_with_its_request_and_no_secret(database_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(database_url, log) as (_, url):
        answer = httpx.get(f"{url}/api/candles?symbol=EURUSD&api_key=kb_secret", headers={"x-request-id": "from-test"})
        assert answer.status_code == 400
        wait_for(lambda: "from-test" in log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    [line] = [line for line in lines if line.get("request_id") == "from-test"]
    assert (line["method"], line["path"], line["status"], line["level"]) == ("GET", "/api/candles", 400, "info")
    assert line["ms"] >= 0
    assert "kb_secret" not in log.read_text()
    assert "/livez" not in {line.get("path") for line in lines}


def test_a_public_address_is_refused(database_url: str) -> None:
    code, said = refusal(environment(database_url, free_port(), API_HOST="0.0.0.0"))
    assert code == 1
    assert "API_ALLOW_PUBLIC" in said
    assert "Traceback" not in said


def test_a_wrong_setting_is_named(database_url: str) -> None:
    code, said = refusal(environment(database_url, free_port(), DATABASE_POOL_SIZE="many"))
    assert code == 1
    assert "DATABASE_POOL_SIZE" in said
    assert "Traceback" not in said


def test_a_taken_port_is_an_error(database_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = refusal(environment(database_url, taken.getsockname()[1]))
    assert code == 1
    assert "address already in use" in said
