"""One service's process: started, watched, restarted with growing delays, ended with everything it started.

Belongs here: the life of one child. Does not: the order among them (supervisor.py).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from market_platform.domain.clock import Clock
from market_platform.embedded.files import last_lines, rotate
from market_platform.embedded.processes import launch_command
from market_platform.embedded.record import ServiceState
from market_platform.embedded.services import Service

LOG_LIMIT = 8 * 1024 * 1024
_TROUBLE_EVERY_S = 2.0


@dataclass(frozen=True)
class RestartPolicy:
    """How often a child may end by itself: `limit` times in `window_s`; `limit_unready` times when it never was ready."""

    first_delay_s: float = 0.5
    longest_delay_s: float = 10.0
    limit: int = 5
    limit_unready: int = 3
    window_s: float = 60.0


class Child:
    """A service and, while it runs, its process, which leads a session of its own."""

    def __init__(self, service: Service, *, log: Path, folder: Path, policy: RestartPolicy, clock: Clock) -> None:
        self.service = service
        self.log = log
        self.restarts = 0
        self.ready = False
        self.was_ready = False
        self.failed: str | None = None
        self.start_at: float | None = None
        self._folder = folder
        self._policy = policy
        self._clock = clock
        self._since = clock()
        self._started_at = 0.0
        self._ends: deque[float] = deque(maxlen=64)
        self.session: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._trouble: str | None = None
        self._trouble_asked_at = float("-inf")

    @property
    def pid(self) -> int | None:
        """The running process, None between runs."""
        return self._process.pid if self._process is not None else None

    @property
    def waits(self) -> bool:
        """Whether it was not started yet, or only brought up to the point where it waits for the word."""
        return self.start_at is None and (self._process is None or self._process.stdin is not None)

    def may_start(self, ready: Collection[str]) -> bool:
        """Whether it is to be started now; `ready` names the services that have been ready, which it may have to wait for."""
        due = self.waits if self.start_at is None else time.monotonic() >= self.start_at
        return due and set(self.service.after) <= set(ready)

    def start_early(self, environment: Mapping[str, str]) -> None:
        """Let it do its imports now, and then wait for `start()`; nothing for a service that can't."""
        if self.service.early:
            self._spawn(
                ("python", "-m", "market_platform.embedded.early", *self.service.arguments),
                environment,
                subprocess.PIPE,
            )

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process, or let the one that waits go on; its output is appended to the log."""
        if self._process is None:
            self._spawn(self.service.arguments, environment, subprocess.DEVNULL)
        elif self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:  # if it died, reap() will see
                stdin.write(b"go\n")
            self._process.stdin = None
        self._started_at = time.monotonic()
        self._since = self._clock()
        self.start_at = None

    def _spawn(self, command: Sequence[str], environment: Mapping[str, str], stdin: int) -> None:
        rotate(self.log, LOG_LIMIT)
        with self.log.open("ab") as log:
            log.write(f"--- {self._clock():%Y-%m-%d %H:%M:%S} UTC: {shlex.join(self.service.arguments)}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                launch_command(command, on_parent_death=signal.SIGTERM),
                cwd=self._folder,
                env=dict(environment),
                stdin=stdin,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.session = self._process.pid

    def probe(self) -> bool:
        """Ask whether it is ready, unless it is known to be; True when that is news."""
        if self.ready or self._process is None or self.waits:
            return False
        self.ready = self.service.probe(time.monotonic() - self._started_at)
        if self.ready:
            self.was_ready = True
            self._since = self._clock()
        return self.ready

    def trouble(self) -> str | None:
        """What keeps it from being ready although it runs, when that is news; asked every two seconds."""
        if self.ready or self.pid is None or self.waits or self.service.trouble is None:
            return None
        now = time.monotonic()
        if now - self._trouble_asked_at < _TROUBLE_EVERY_S:
            return None
        self._trouble_asked_at = now
        before, self._trouble = self._trouble, self.service.trouble()
        return None if self._trouble == before else self._trouble

    def reap(self) -> str | None:
        """When the process has ended by itself: plan the next start, and say what happened. None while it runs."""
        if self._process is None or not self._has_ended():
            return None
        self.signal_group(signal.SIGTERM)  # before its pid can become another's: what it started should end, too
        code = self._process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        self.ready = False
        self._since = self._clock()
        now = time.monotonic()
        self._ends.append(now)
        recent = [each for each in self._ends if now - each < self._policy.window_s]
        if len(recent) >= self._policy.limit:
            self.failed = f"{self.service.name} {how}, {len(recent)} times within {self._policy.window_s:.0f} s"
        elif not self.was_ready and len(self._ends) >= self._policy.limit_unready:
            self.failed = f"{self.service.name} {how}, {len(self._ends)} times without ever being ready"
        if self.failed is not None:
            return self.failed
        delay = min(self._policy.first_delay_s * 2 ** (len(recent) - 1), self._policy.longest_delay_s)
        self.start_at = now + delay
        self.restarts += 1
        return f"{self.service.name} {how}; starting it again in {delay:.1f} s (log: {self.log})"

    def _has_ended(self) -> bool:
        """Whether the process is dead, without collecting it: until then its pid can't be another's."""
        assert self._process is not None
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def poll(self) -> bool:
        """Whether the process has ended (and collect it)."""
        return self._process is None or self._process.poll() is not None

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process and everything in its group; nothing once the process was collected."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def last_lines(self, count: int = 6) -> list[str]:
        """The end of its log."""
        return last_lines(self.log, count)

    def state(self) -> ServiceState:
        """For the screen and the record."""
        since: datetime = self._since
        return ServiceState(
            self.service.name, self.pid, self.service.link, self.ready, since, self.restarts, self.service.what
        )
