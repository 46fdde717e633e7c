"""The exchange's time. Belongs here: how it follows ours. Does not: what happens when."""

from __future__ import annotations

from datetime import datetime

from market_platform.domain.clock import Clock, from_ms, to_ms, utc_now

BEHIND_MS = 12 * 3_600_000
"""So far in the past a faster exchange begins, to have a history to run through before it meets our time."""


class ExchangeClock:
    """`anchor + (now - anchor) x speed`, and never later than now.

    A faster exchange is behind until its anchor, a moment ahead of us at which both times meet; from then on it runs at our
    speed. The same anchor gives the same time to every server, before and after a restart.
    """

    def __init__(self, speed: float = 1.0, clock: Clock = utc_now, anchor_ms: int | None = None) -> None:
        self.speed = speed
        self._clock = clock
        if anchor_ms is None:
            anchor_ms = to_ms(clock()) + (int(BEHIND_MS / (speed - 1)) if speed > 1 else 0)
        self.anchor_ms = anchor_ms

    def now(self) -> datetime:
        """The same as a `Clock` tells it."""
        return from_ms(self.now_ms())

    def now_ms(self) -> int:
        """Milliseconds since the epoch, as the exchange says."""
        now = to_ms(self._clock())
        return min(now, self.anchor_ms + int((now - self.anchor_ms) * self.speed))
