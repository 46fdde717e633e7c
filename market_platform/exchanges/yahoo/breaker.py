"""A circuit breaker: an exchange that keeps refusing is left alone for a while.

Belongs here: counting refusals and the pauses they cause. Does not: what a refusal is (transport.py), retries.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from market_platform.domain.errors import RateLimitedError


class CircuitBreaker:
    """Opens after `refusals` in a row; `now` is a clock in seconds that never goes back.

    Open, it refuses everything itself until the pause is over. Then one more refusal opens it again, for twice as long (at
    most `longest_s`), and one answer closes it.
    """

    def __init__(
        self, refusals: int, pause_s: float, longest_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = refusals
        self._first_pause_s = pause_s
        self._longest_s = longest_s
        self._now = now
        self._count = 0
        self._pause_s = pause_s
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing may be asked now."""
        return self._left() > 0

    def check(self, what: str) -> None:
        """Do nothing when `what` may be asked.

        Raises:
            RateLimitedError: it is open; `retry_after` says for how long.
        """
        if (left := self._left()) > 0:
            raise RateLimitedError(
                f"{what}: not asked, because {self._count} answers in a row were refusals; "
                f"the circuit stays open for {left:.0f} s more, ask again then",
                retry_after=left,
            )

    def refused(self, retry_after: float | None = None) -> None:
        """An answer was a refusal; `retry_after` is the pause that it asked for."""
        self._count += 1
        if self._count >= self._most:
            self._open_until = self._now() + max(self._pause_s, retry_after or 0.0)
            self._pause_s = min(self._pause_s * 2, self._longest_s)

    def answered(self) -> None:
        """An answer was one."""
        self._count = 0
        self._pause_s = self._first_pause_s
        self._open_until = None

    def _left(self) -> float:
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._now())
