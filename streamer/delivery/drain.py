"""Delivering what waits in the journal: a thread a destination, which tries again for as long as it takes.

Belongs here: the loop, its waits and its state. Does not: what is delivered (row_drain.py, part_drain.py).
"""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from market_platform.domain.clock import Clock
from streamer.journal.file import JournalFile, JournalReader

log = structlog.get_logger(__name__)

HANGS_S = 30.0
"""A delivery that takes longer without any progress is told as a problem."""


@dataclass(frozen=True, slots=True)
class RetryDelays:
    """Full jitter: a wait is anything from 0 to a limit that doubles with every failure. Seconds."""

    first_s: float = 0.25
    cap_s: float = 5.0

    def after(self, failures: int) -> float:
        """The wait after so many failures in a row."""
        limit = min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 16))
        return random.SystemRandom().random() * limit


class Drain(ABC):
    """A thread that delivers; `name` is the destination's in messages."""

    def __init__(self, name: str, file: JournalFile, delays: RetryDelays, clock: Clock) -> None:
        self.name = name
        self._file = file
        self._delays = delays
        self._clock = clock
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"to-{name}", daemon=True)
        self._failing_since: datetime | None = None
        self._problem = ""
        self._moved: float | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to deliver."""
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Stop after what is being delivered just now; False when that took too long."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def problem(self) -> str | None:
        """Why nothing is delivered at present, for a person; None when all is well."""
        since, moved = self._failing_since, self._moved
        if since is None and moved is not None and time.monotonic() - moved > HANGS_S:
            return f"{self.name} has not answered for {time.monotonic() - moved:.0f} s; everything waits in the journal"
        if since is None:
            return None
        return f"{self.name} takes nothing since {since:%Y-%m-%d %H:%M:%S} UTC, everything waits in the journal: {self._problem}"

    @property
    @abstractmethod
    def idle_s(self) -> float:
        """How long to wait for a wake-up before looking anyway."""

    @abstractmethod
    def deliver(self, reader: JournalReader, is_stopping: Callable[[], bool]) -> None:
        """Deliver all there is to deliver now. Whatever it raises, it is called again later."""

    def moved(self) -> None:
        """Something was delivered; for `deliver` to say."""
        self._moved = time.monotonic()

    def _run(self) -> None:
        failures = 0
        with self._file.reader() as reader:
            while not self._stopping.is_set():
                self._wake.wait(self.idle_s)
                self._wake.clear()
                self.moved()
                try:
                    self.deliver(reader, self._stopping.is_set)
                except BaseException as error:  # noqa: BLE001  not even a panic of polars may end this thread
                    failures += 1
                    self._failed(error, failures)
                    self._stopping.wait(self._delays.after(failures))
                    self._wake.set()
                else:
                    if failures:
                        log.info("delivery_resumed", to=self.name, failures=failures)
                    failures, self._failing_since = 0, None
                finally:
                    self._moved = None

    def _failed(self, error: BaseException, failures: int) -> None:
        self._problem = str(error) or type(error).__name__
        self._failing_since = self._failing_since or self._clock()
        if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th …
            log.warning("delivery_failed", to=self.name, failures=failures, reason=self._problem)
