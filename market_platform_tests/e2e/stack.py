"""A real `market-platform up` for tests: its own data folder and free ports, used as a person would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from market_platform.settings import Settings, load_settings
from market_platform_tests.fixtures.ports import free_ports
from market_platform_tests.recordings import PROJECT_ROOT

CLI = [sys.executable, "-m", "market_platform"]
PORTS = (
    "EMBEDDED_POSTGRES_PORT",
    "REPLAY_PORT",
    "API_PORT",
    "DAGSTER_PORT",
    "CODE_LOCATION_PORT",
    "STREAMER_METRICS_PORT",
)


def wait_until(what: str, condition: Callable[[], bool], seconds: float, every: float = 0.1) -> None:
    """Return when `condition()` holds; fail naming `what` when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(every)


def pss_mb(process: psutil.Process) -> float:
    """Proportional set size in MB, where a page shared by n processes counts 1/n for each; 0 once it has ended."""
    try:
        return float(process.memory_full_info().pss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


@dataclass
class Stack:
    """One platform: environment, ports and, while it is up, the supervisor's process."""

    home: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.env = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("DAGSTER_", "R2_", "AWS_", "LAKE_"))
            },
            "MARKET_DATA_DIR": str(self.home / "data"),
            **{name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)},
            **self.extra,
        }
        self.env.pop("DATABASE_URL", None)
        self.log = self.home / "up.log"

    @property
    def settings(self) -> Settings:
        """The settings the stack's processes see."""
        fields = {name.lower(): self.env[name] for name in (*PORTS, "MARKET_DATA_DIR") if name in self.env}
        return load_settings(_env_file=None, **fields)

    @property
    def dagster_url(self) -> str:
        """Root of the Dagster UI."""
        return f"http://127.0.0.1:{self.env['DAGSTER_PORT']}"

    @property
    def api_url(self) -> str:
        """Root of the API."""
        return f"http://127.0.0.1:{self.env['API_PORT']}"

    def up(self, seconds: float = 240) -> float:
        """Start it and wait until a user could use all of it; returns the seconds that took."""
        self.home.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*CLI, "up"],
                cwd=PROJECT_ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(f"the stack is ready; see\n{self.tail()}", self.is_ready, seconds)
        return time.monotonic() - started

    def down(self, seconds: float = 60) -> int:
        """Stop it as Ctrl-C does; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(seconds)
        self.process = None
        return code

    def kill(self) -> None:
        """End it without ceremony, if a test left it running."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def run(self, *arguments: str, seconds: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`market-platform …` against this stack."""
        done = subprocess.run(
            [*CLI, *arguments],
            cwd=PROJECT_ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{' '.join(arguments)} exited {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.tail()}"
            )
        return done

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask the Dagster webserver."""
        answer = httpx.post(f"{self.dagster_url}/graphql", json={"query": query, "variables": variables}, timeout=60)
        answer.raise_for_status()
        body = answer.json()
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    def tail(self) -> str:
        """The end of what `up` printed."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def is_ready(self) -> bool:
        """Whether a user could use all of it now."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"up exited {self.process.returncode}:\n{self.tail()}")
        try:
            ready = httpx.get(f"{self.api_url}/readyz", timeout=5).status_code == 200
            locations = self.graphql(
                "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }"
            )
        except (httpx.HTTPError, AssertionError):
            return False
        entries = locations["workspaceOrError"].get("locationEntries", [])
        return (
            ready
            and bool(entries)
            and all(
                each["locationOrLoadError"]["__typename"] == "RepositoryLocation"
                for each in entries
                if each["locationOrLoadError"]
            )
            and all(each["loadStatus"] == "LOADED" for each in entries)
        )
