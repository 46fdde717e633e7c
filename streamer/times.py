"""The clocks that the streamer goes by, in one place, so that tests bring their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from market_platform.domain.clock import Clock, to_ms, utc_now

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Seconds that never jump, and go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(_SINCE_BOOT)


@dataclass(frozen=True, slots=True)
class Times:
    """`clock` is the time of day, `monotonic` seconds that never jump."""

    clock: Clock = utc_now
    monotonic: Callable[[], float] = steady

    def now(self) -> datetime:
        """The time of day, aware, UTC."""
        return self.clock()

    def now_ms(self) -> int:
        """The time of day in ms since the epoch."""
        return to_ms(self.clock())
