"""A real supervisor over fake services: `python -m … <JSON>`, and what tests need to look at it from outside.

The JSON says: `services` (name → options of fake_service.py, and `port`, `phase`, `after`, `trouble`,
`hanging`), `postgres` (bool), `prepare`
(a command).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from market_platform.domain.clock import utc_now
from market_platform.domain.errors import MarketPlatformError
from market_platform.embedded.child import RestartPolicy
from market_platform.embedded.probes import http_ok
from market_platform.embedded.processes import identity, wait_until
from market_platform.embedded.record import read_record
from market_platform.embedded.screen import open_screen
from market_platform.embedded.services import Port, Probe, Service
from market_platform.embedded.stack import embedded_postgres
from market_platform.embedded.supervisor import Supervisor
from market_platform.settings import Settings, load_settings
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.recordings import PROJECT_ROOT

FAKE = str(Path(__file__).with_name("fake_service.py"))


def _probe(url: str, _age: float) -> bool:
    return http_ok(url)


def _never(_age: float) -> bool:
    return False


def _probe_of(port: int, options: dict[str, Any]) -> Probe:
    if options.get("hanging"):
        return _hanging
    return _never if "trouble" in options else partial(_probe, f"http://127.0.0.1:{port}")


def _hanging(_age: float) -> bool:
    time.sleep(3600)
    return False


def _service(name: str, options: dict[str, Any], pids: str) -> Service:
    flags = [f"--{flag}" for flag in ("stubborn", "orphan", "worker", "fail") if options.get(flag)]
    port = int(options["port"])
    return Service(
        name=name,
        what=f"fake {name}",
        command=(sys.executable, "-I", "-S", FAKE, name, "--port", str(port), "--pids", pids, *flags),
        probe=_probe_of(port, options),
        trouble=(lambda: str(options["trouble"])) if "trouble" in options else None,
        stop_phase=int(options.get("phase", 1)),
        port=Port("127.0.0.1", port, f"{name.upper()}_PORT"),
        link=f"http://127.0.0.1:{port}",
        after=tuple(options.get("after", ())),
    )


def main(arguments: Sequence[str]) -> int:
    """Run the supervisor as the command line does."""
    plan = json.loads(arguments[0])
    settings = load_settings(_env_file=None)
    services = [_service(name, options, plan["pids"]) for name, options in plan["services"].items()]
    supervisor = Supervisor(
        settings,
        services,
        open_screen(sys.stdout, utc_now, plain=True),
        postgres=embedded_postgres(settings) if plan["postgres"] else None,
        prepare=plan["prepare"],
        policy=RestartPolicy(first_delay_s=0.05, longest_delay_s=0.2),
    )
    try:
        supervisor.run()
    except MarketPlatformError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


@dataclass
class FakeStack:
    """One such supervisor, seen from a test."""

    folder: Path
    services: dict[str, dict[str, Any]]
    postgres: bool = False
    prepare: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.pids = self.folder / "pids"
        self.pids.mkdir(exist_ok=True)
        self.output = self.folder / "up.out"
        for options in self.services.values():
            options.setdefault("port", free_port())
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
        self.environment = {
            **kept,
            "MARKET_DATA_DIR": str(self.folder / "data"),
            "EMBEDDED_POSTGRES_PORT": str(free_port()),
            "ENVIRONMENT": "test",
            **({} if self.postgres else {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}),
        }

    @property
    def settings(self) -> Settings:
        """Settings as the supervisor has them."""
        port = int(self.environment["EMBEDDED_POSTGRES_PORT"])
        return load_settings(_env_file=None, market_data_dir=self.folder / "data", embedded_postgres_port=port)

    def start(self, *, output: int | None = None) -> subprocess.Popen[bytes]:
        """Start the supervisor, not waiting for anything; it prints to `up.out`, or to a descriptor."""
        plan = {"services": self.services, "postgres": self.postgres, "prepare": self.prepare, "pids": str(self.pids)}
        with self.output.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "market_platform_tests.unit.embedded.fake_stack", json.dumps(plan)],
                cwd=PROJECT_ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file if output is None else output,
                stderr=file,
                start_new_session=True,
            )
        return self.process

    def up(self) -> None:
        """Start it and wait until all is ready."""
        before = self.said("everything is ready")
        self.start()
        self.wait_for("everything is ready", count=before + 1)

    def run_to_end(self) -> tuple[int, str]:
        """Start it and wait for its end: exit code, and what it printed since."""
        before = len(self.text())
        code = self.start().wait(30)
        return code, self.text()[before:]

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Signal it and wait for its end: exit code, seconds."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(20)
        return code, time.monotonic() - began

    def text(self) -> str:
        """All it printed."""
        return self.output.read_text() if self.output.exists() else ""

    def said(self, what: str) -> int:
        """How often it printed this."""
        return self.text().count(what)

    def wait_for(self, what: str, *, count: int = 1, seconds: float = 30) -> None:
        """Wait until it printed this so often."""
        assert self.process is not None
        process = self.process
        assert wait_until(lambda: self.said(what) >= count or process.poll() is not None, seconds), self.text()
        assert self.said(what) >= count, self.text()

    def all_pids(self, name: str = "*") -> list[int]:
        """Every pid that a fake service ever noted."""
        return [int(line) for file in sorted(self.pids.glob(name)) for line in file.read_text().split()]

    def living(self) -> list[int]:
        """Those that still run."""
        return [pid for pid in self.all_pids() if identity(pid) is not None]

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        record = read_record(self.settings)
        for pid in self.living() if record is not None else []:
            os.kill(pid, signal.SIGKILL)
        if self.postgres:
            embedded_postgres(self.settings).destroy()


MakeStack = Callable[..., FakeStack]
"""Makes fake stacks: services by name, then options as a FakeStack has them."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
