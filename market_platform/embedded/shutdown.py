"""Ending what a supervisor runs, within ten seconds, in the order in which parts need each other.

First what starts work (daemon, UI, API), then the code server and the runs in flight, then the replay exchange; Postgres,
which all of them use, is last and the supervisor's own to stop. Each phase is told to end, and killed when it does not.

Belongs here: that order and its time limits. Does not: Postgres's own end (postgres.py), signals to us (stop_signals.py).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence

from market_platform.embedded.child import Child
from market_platform.embedded.processes import end_processes, wait_until
from market_platform.embedded.record import members, processes_of

_STOP_BUDGET_S = 9.0
_PHASE_STOP_S = 3.0
_POSTGRES_STOP_S = 2.0


class StopBudget:
    """The time there is for stopping, from now on."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def spent_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    @property
    def phase_s(self) -> float:
        """How long the services of a phase may take to end."""
        return min(_PHASE_STOP_S, max(0.2, _STOP_BUDGET_S - _POSTGRES_STOP_S - self.spent_s))

    @property
    def postgres_s(self) -> float:
        """How long Postgres may take."""
        return max(_POSTGRES_STOP_S, min(5.0, _STOP_BUDGET_S - self.spent_s))


def end_services(children: Sequence[Child], token: str, budget: StopBudget, stop_waiting: Callable[[], bool]) -> None:
    """End the children phase by phase, then whatever else carries the token; nothing of it lives afterwards.

    `stop_waiting` is asked all the while: True kills what still lives at once. It is also where orphans are collected.
    """
    for phase in sorted({child.service.stop_phase for child in children}):
        group = [child for child in children if child.service.stop_phase == phase]
        for child in group:
            child.signal_group(signal.SIGTERM)
        sessions = [child.pid for child in group if child.pid is not None]
        _wait_for(children, sessions, budget.phase_s, stop_waiting)
        ours = processes_of(token)
        end_processes([each for leader in sessions for each in members(ours, leader)], first=signal.SIGKILL, grace_s=0)
    strays = processes_of(token)  # of children that died before
    end_processes(strays, first=signal.SIGKILL, grace_s=1.0)


def kill_session(token: str, leader: int) -> None:
    """Kill what is left of a dead child's session."""
    end_processes(members(processes_of(token), leader), first=signal.SIGKILL, grace_s=0)


def _wait_for(
    children: Sequence[Child], sessions: Sequence[int], limit_s: float, stop_waiting: Callable[[], bool]
) -> None:
    def over() -> bool:
        for child in children:
            child.poll()
        return stop_waiting() or not any(_group_exists(each) for each in sessions)

    wait_until(over, limit_s)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
