"""Request weights. Belongs here: counting them by the minute. Does not: what a request weighs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BAN_AFTER = 10
"""Requests after the limit that turn 429 into 418."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request: the weight used in this minute, and the status and wait when it is refused."""

    used: int
    status: int | None = None
    retry_after_s: int = 0


class WeightMeter:
    """The weight used in the present minute of our own clock (`seconds` is one), against a limit."""

    def __init__(self, limit: int, seconds: Callable[[], float]) -> None:
        self.limit = limit
        self._seconds = seconds
        self._minute = -1
        self._used = 0
        self._refused = 0

    def weigh(self, weight: int) -> Verdict:
        """Count a request."""
        now = self._seconds()
        if int(now // 60) != self._minute:
            self._minute, self._used, self._refused = int(now // 60), 0, 0
        if self._used + weight > self.limit:
            self._refused += 1
            wait = 60 - int(now % 60)
            return Verdict(self._used, 418 if self._refused > BAN_AFTER else 429, wait)
        self._used += weight
        return Verdict(self._used)
