"""The two commands as a newcomer meets them: `make up` in a fresh clone with an empty environment, and once more.

The first start includes the virtual environment and its packages, through whatever index pip is configured for, with an
empty cache. Memory is what the processes of the idle stack hold together, shared pages counted once (PSS).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from market_platform.settings import PROJECT_ROOT
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.e2e.stack import PORTS, pss_mb, wait_until
from market_platform_tests.fixtures.ports import free_ports

IDLE_S = 45
"""How long the stack is left alone before its memory is read: the daemons' first ticks are over by then."""


def measure(folder: Path) -> list[BenchRow]:
    """Start twice in a fresh clone of HEAD, and read the idle stack's memory."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT_ROOT), str(clone)], check=True)
    home = folder / "home"
    home.mkdir(mode=0o700)
    environment = {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_") and "CACHE" not in name},
        **{name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)},
    }
    try:
        with running(clone, environment, seconds=600) as (first, _):
            pass
        with running(clone, environment, seconds=120) as (second, supervisor):
            time.sleep(IDLE_S)
            processes = [supervisor, *supervisor.children(recursive=True)]
            memory = {f"{process.name()} {process.pid}": pss_mb(process) for process in processes}
            streamer = sum(pss_mb(process) for process in processes if "streamer" in process.cmdline())
            began = time.perf_counter()
            supervisor.send_signal(signal.SIGINT)
            psutil.wait_procs([supervisor], timeout=60)
            stopped = time.perf_counter() - began
    finally:
        shutil.rmtree(clone, ignore_errors=True)
    largest = ", ".join(f"{name} {size:.0f}" for name, size in sorted(memory.items(), key=lambda each: -each[1])[:6])
    return [
        BenchRow("make up: first start, fresh clone, empty cache", first, "s", 240),
        BenchRow("make up: second start", second, "s", 20),
        BenchRow("Ctrl-C: until everything has ended", stopped, "s", 10),
        BenchRow(
            "idle stack: memory of all processes but the streamer",
            sum(memory.values()) - streamer,
            "MB",
            900,
            peer=largest,
        ),
        BenchRow("idle stack: memory of the streamer, which is never idle", streamer, "MB", 250),
    ]


@contextmanager
def running(clone: Path, environment: Mapping[str, str], seconds: float) -> Iterator[tuple[float, psutil.Process]]:
    """`make up` until everything answers; gives the seconds that took and the supervisor, and stops it afterwards."""
    log = clone.parent / "up.log"
    started = time.perf_counter()
    with log.open("wb") as output:
        make = subprocess.Popen(
            ["make", "up"], cwd=clone, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        wait_until(f"the stack is ready; see {log}", lambda: is_ready(make, environment, log), seconds)
        taken = time.perf_counter() - started
        [supervisor] = supervisors_of(make)
        yield taken, supervisor
    finally:
        for each in supervisors_of(make) if make.poll() is None else ():
            each.send_signal(signal.SIGINT)
        make.wait(60)


def is_ready(make: subprocess.Popen[bytes], environment: Mapping[str, str], log: Path) -> bool:
    """Whether the API and the Dagster UI answer and `up` says that all of it is ready."""
    if make.poll() is not None:
        raise RuntimeError(f"make up ended with {make.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
    if not re.search(r"everything is ready", log.read_text(errors="replace")):
        return False
    urls = (f"{environment['API_PORT']}/readyz", f"{environment['DAGSTER_PORT']}/server_info")
    return all(httpx.get(f"http://127.0.0.1:{url}", timeout=10).status_code == 200 for url in urls)


def supervisors_of(make: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The supervisor that `make up` started; none once it has ended."""
    children = psutil.Process(make.pid).children()
    return [each for each in children if any(word.endswith("market-platform") for word in each.cmdline())]
