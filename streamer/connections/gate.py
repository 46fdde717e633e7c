"""The gate of an exchange: nobody connects but within its limits, while it is well, and while there is room on our disk.

Belongs here: waiting for one's turn. Does not: delays after a loss of one connection (backoff.py), what failed (failures.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from market_platform.domain.live import StreamLimits
from streamer.connections.breaker import Breaker, BreakerState
from streamer.connections.budget import ConnectBudget
from streamer.times import Times

_LOOK_S = 0.5


class Gate:
    """Shared by all connections to an exchange. `accepting` says whether the journal takes anything."""

    def __init__(self, limits: StreamLimits, accepting: Callable[[], bool], times: Times) -> None:
        self._room = asyncio.Semaphore(limits.connections)
        self._budget = ConnectBudget(limits.connects, limits.connects_per_s)
        self._breaker = Breaker()
        self._accepting = accepting
        self._times = times

    @property
    def full(self) -> bool:
        """Whether as many connections are open as may be."""
        return self._room.locked()

    @property
    def breaker(self) -> BreakerState:
        """The state of the circuit breaker."""
        return self._breaker.state(self._times.monotonic())

    async def enter(self) -> None:
        """Wait until a connection may be opened; `leave` when it is closed, or was not had."""
        await self._room.acquire()
        try:
            while delay_s := self._delay(self._times.monotonic()):  # noqa: ASYNC110 - time is what is waited for
                await asyncio.sleep(delay_s)
        except BaseException:
            self._room.release()
            raise
        self._budget.take(self._times.monotonic())
        self._breaker.began()

    def leave(self) -> None:
        """A connection is closed, or was not had."""
        self._room.release()

    def succeeded(self) -> None:
        """A connection delivers."""
        self._breaker.succeeded()

    def failed(self) -> None:
        """A connection was not had, or ended before it delivered."""
        self._breaker.failed(self._times.monotonic())

    def abandoned(self) -> None:
        """A connection was given up for a reason of ours."""
        self._breaker.abandoned()

    def _delay(self, now: float) -> float:
        return max(self._breaker.delay(now), self._budget.delay(now), 0.0 if self._accepting() else _LOOK_S)
