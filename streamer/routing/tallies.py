"""How much came and how late: counts for health and metrics.

Belongs here: counting. Does not: writing counts anywhere (health/), the days that Dagster is told of (delivery/writer.py).
"""

from __future__ import annotations

from collections import Counter

from streamer.times import Times

_LONGEST_LAG_MS = 86_400_000


class Tallies:
    """Of one exchange. `lag_ms` is from the exchange's clock to ours, smoothed; `last_event_ms` the newest event's time."""

    def __init__(self, times: Times) -> None:
        self.events = 0
        self.lag_ms: float | None = None
        self.last_event_ms: int | None = None
        self.rows: Counter[str] = Counter()
        self.gaps: Counter[str] = Counter()
        self._times = times

    def event(self, event_ms: int, at: float | None) -> None:
        """The newest event of a batch: its time, and the monotonic moment it came at, None when that says nothing of lag."""
        if at is not None:
            came_ms = self._times.now_ms() - (self._times.monotonic() - at) * 1000
            lag_ms = came_ms - event_ms
            if lag_ms > _LONGEST_LAG_MS:  # a recording: how late it is says nothing
                self.lag_ms = None
            elif self.lag_ms is None:
                self.lag_ms = lag_ms
            else:
                self.lag_ms += (lag_ms - self.lag_ms) * 0.05
        if self.last_event_ms is None or event_ms > self.last_event_ms:
            self.last_event_ms = event_ms
