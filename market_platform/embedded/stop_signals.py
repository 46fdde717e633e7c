"""The signals that stop a stack: counted, waited for, and, where that is safe, an interruption of what blocks.

Belongs here: SIGINT, SIGTERM, SIGHUP and being woken by any signal. Does not: what stopping means (shutdown.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from types import FrameType

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(BaseException):
    """A stop signal arrived while something interruptible was under way."""


class StopSignals:
    """Counts stop signals while `heeded()`; only in the main thread."""

    def __init__(self) -> None:
        #: how many have arrived
        self.count = 0
        #: whether a Ctrl-C came after another stop signal; a closed terminal sends several, and means no hurry by it
        self.insisted = False
        self._interrupting = False
        self._wakeup: int | None = None

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Handle the stop signals inside (SIGHUP only where `nohup` has not turned it off), and wake up from `wait()` at any."""
        reader, writer = os.pipe()
        for each in (reader, writer):
            os.set_blocking(each, False)
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        heeded = [number for number in _STOP_SIGNALS if not (nohup and number is signal.SIGHUP)]
        before = {number: signal.signal(number, self._on_stop) for number in heeded}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._wakeup = reader
        try:
            yield
        finally:
            self._wakeup = None
            signal.set_wakeup_fd(previous)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, a stop signal raises StopRequestedError wherever the program is; for what blocks and can be left anywhere.

        One that has come already raises it before anything is begun.
        """
        self._interrupting = True
        try:
            if self.count:
                raise StopRequestedError
            yield
        finally:
            self._interrupting = False

    def wait(self, seconds: float) -> None:
        """Sleep until any signal arrives (a child's end is one), at most so long."""
        assert self._wakeup is not None
        select.select([self._wakeup], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup, 4096)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.insisted = self.insisted or (self.count > 1 and number == signal.SIGINT)
        if self._interrupting:
            self._interrupting = False
            raise StopRequestedError
