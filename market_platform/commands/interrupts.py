"""Ctrl-C for commands that run somebody else's code in their own process, which would take the signal for itself.

Belongs here: who hears SIGINT, and that a command it is meant for ends. Does not: what a command says of its end.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""
_PATIENCE_S = 10.0
_LOOK_S = 0.2


class Interrupted(SystemExit):
    """Ctrl-C. Not a KeyboardInterrupt: Dagster tries a step again that one ended, if its policy has retries left."""

    def __init__(self) -> None:
        super().__init__(INTERRUPTED)


class Interrupt:
    """Whether Ctrl-C came, and what is told of it before the command is interrupted; see `one_interrupt`."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.on_first: Callable[[], None] = _nothing
        self.on_last: Callable[[], None] = _nothing


@contextmanager
def one_interrupt() -> Iterator[Interrupt]:
    """Within the block Ctrl-C is one `Interrupted` in the main thread, however often it comes and whoever wants to hear it.

    SIGINT is blocked here and so in threads and processes that start within: they get none from the terminal, and handlers of
    libraries none either. A thread waits for it: the first one is told to `on_first` (in that thread) and interrupts the main
    thread; a command that has not ended ten seconds later is told to `on_last` and ended with exit code 130. The block is the
    main thread's; enter it before anything that starts threads.
    """
    interrupt, over = Interrupt(), threading.Event()
    main = threading.main_thread().ident
    assert main is not None
    handler = signal.signal(signal.SIGUSR1, _raise)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def listen() -> None:
        while not over.is_set():
            if not _came_within(_LOOK_S) or interrupt.came.is_set():
                continue
            interrupt.came.set()
            threading.Thread(target=insist, daemon=True).start()
            try:
                interrupt.on_first()
            finally:
                if not over.is_set():
                    signal.pthread_kill(main, signal.SIGUSR1)

    def insist() -> None:
        if not over.wait(_PATIENCE_S):
            try:
                interrupt.on_last()
            finally:
                os._exit(INTERRUPTED)

    listener = threading.Thread(target=listen, name="ctrl-c", daemon=True)
    listener.start()
    try:
        yield interrupt
    finally:
        over.set()
        listener.join()
        _came_within(0)  # what came since is of the same wish
        signal.signal(signal.SIGUSR1, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _came_within(seconds: float) -> bool:
    """Take a blocked SIGINT that is there or comes within that time; macOS has no sigtimedwait."""
    end = time.monotonic() + seconds
    while signal.SIGINT not in signal.sigpending():
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)
    signal.sigwait({signal.SIGINT})
    return True


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


def _nothing() -> None:
    pass
