"""The circuit breaker of an exchange: when most attempts fail, ask with one connection only whether it is back.

Belongs here: the states. Does not: waiting (gate.py). Times are seconds of a monotonic clock.
"""

from __future__ import annotations

from typing import Literal

BreakerState = Literal["closed", "half_open", "open"]

_TRIP_AFTER = 5
_FIRST_S = 5.0
_CAP_S = 60.0


class Breaker:
    """`closed`: anybody may connect. `open`: nobody. `half_open`: one may, and its luck decides."""

    def __init__(self) -> None:
        self._failures = 0
        self._trips = 0
        self._open_until: float | None = None
        self._trial = False

    def state(self, now: float) -> BreakerState:
        """What it is at that moment."""
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until and not self._trial else "half_open"

    def delay(self, now: float) -> float:
        """Seconds until it is worth asking again; 0 when a connection may be attempted now."""
        if self._open_until is None:
            return 0.0
        if self._trial:
            return 1.0
        return max(0.0, self._open_until - now)

    def began(self) -> None:
        """An attempt begins; in `half_open` it is the only one."""
        self._trial = self._open_until is not None

    def succeeded(self) -> None:
        """A connection delivers."""
        self._failures = self._trips = 0
        self._open_until = None
        self._trial = False

    def failed(self, now: float) -> None:
        """An attempt ended before it delivered anything."""
        self._failures += 1
        if self._trial or self._failures >= _TRIP_AFTER:
            self._open_until = now + min(_CAP_S, _FIRST_S * 2.0 ** min(self._trips, 8))
            self._trips += 1
            self._failures = 0
        self._trial = False

    def abandoned(self) -> None:
        """An attempt was given up for reasons of ours: it says nothing about the exchange."""
        self._trial = False
