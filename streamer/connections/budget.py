"""How many connections an exchange lets us open in a while. Belongs here: the count. Does not: waiting (gate.py)."""

from __future__ import annotations

from collections import deque


class ConnectBudget:
    """At most `connects` in any `per_s` seconds of a monotonic clock, wherever the window is laid.

    A leaky bucket would let twice as many through in the window that holds its first burst.
    """

    def __init__(self, connects: int, per_s: float) -> None:
        self._connects = connects
        self._per_s = per_s
        self._taken: deque[float] = deque()

    def delay(self, now: float) -> float:
        """Seconds until the next connection may be opened; 0 for now."""
        while self._taken and self._taken[0] <= now - self._per_s:
            self._taken.popleft()
        return 0.0 if len(self._taken) < self._connects else max(0.001, self._taken[0] + self._per_s - now)

    def take(self, now: float) -> None:
        """One is being opened."""
        self._taken.append(now)
