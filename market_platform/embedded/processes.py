"""Processes: who one is, whether it still lives, how to end it, and what the kernel does when its parent dies.

Belongs here: pids and signals. Does not: what any process is for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class ProcessIdentity(NamedTuple):
    """A process beyond doubt: a pid alone may be another program's by now; `started` is never the same twice."""

    pid: int
    started: str


def identity(pid: int) -> ProcessIdentity | None:
    """Identity of a living process (a zombie counts as dead), or None."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform != "linux":
            return ProcessIdentity(pid, repr(process.create_time()))
        # clock ticks since boot don't move when the wall clock is set, unlike psutil's create_time
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return ProcessIdentity(pid, f"{ticks}@{boot}")
    except (psutil.Error, OSError, IndexError):
        return None


def lives(process: ProcessIdentity) -> bool:
    """Whether this very process (not another with its pid) still runs."""
    return identity(process.pid) == process


def send_signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    """Signal this very process; False when it is gone (another process with its pid is never signalled)."""
    if not lives(process):
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], bool], timeout_s: float, *, every_s: float = 0.02) -> bool:
    """Wait for a condition by asking it; whether it came true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


def end_processes(
    processes: Iterable[ProcessIdentity], *, first: signal.Signals = signal.SIGTERM, grace_s: float
) -> list[int]:
    """Signal each with `first`, then SIGKILL what lives after `grace_s`; the pids that had to be killed."""
    pending = [each for each in processes if send_signal(each, first)]
    wait_until(lambda: not any(lives(each) for each in pending), grace_s)
    killed = [each.pid for each in pending if send_signal(each, signal.SIGKILL)]
    wait_until(lambda: not any(lives(each) for each in pending), 2.0)
    return killed


def launch_command(
    command: Sequence[str], *, on_parent_death: signal.Signals, uid: int = -1, gid: int = -1
) -> list[str]:
    """A command that becomes `command`: see launch.py.

    The kernel watches the thread that starts a child, so outside the main thread the child is not tied to us.
    """
    tied = threading.current_thread() is threading.main_thread()
    launcher = str(Path(__file__).with_name("launch.py"))
    number = int(on_parent_death) if tied else 0
    return [sys.executable, "-I", "-S", launcher, str(os.getpid()), str(number), str(uid), str(gid), *command]


def signal_on_parent_death(number: signal.Signals, parent: int) -> None:
    """Send ourselves `number` when our parent dies, even by SIGKILL, or at once when `parent` is not that any more (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def adopt_orphans() -> bool:
    """Become the parent of every orphan among our descendants, so that none can outlive us unseen (Linux only)."""
    if sys.platform != "linux":
        return False
    return int(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0


def reap_orphans(own: Collection[int | None]) -> None:
    """Collect orphans that became our children and have ended; `own` children are left to those who wait for them."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in own:
                return  # it hides those behind it until it was waited for, a moment from now
            os.waitpid(ended.si_pid, os.WNOHANG)
