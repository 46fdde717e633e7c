"""Telling of messages that could not be used, without flooding the log: the first, then one line per reason a minute."""

from __future__ import annotations

import re
from collections import Counter

import structlog

from streamer.times import Times

_EVERY_S = 60.0
_REASONS = 100
_NUMBER = re.compile(r"\d+")

log = structlog.get_logger("streamer")


class Refusals:
    """Counts by reason; `total` is for metrics."""

    def __init__(self, exchange: str, times: Times) -> None:
        self.total: Counter[str] = Counter()
        self._exchange = exchange
        self._times = times
        self._waiting: Counter[str] = Counter()
        self._told_at: dict[str, float] = {}

    def note(self, reason: str) -> None:
        """One more; a reason that was never told is told at once. Reasons that differ in numbers only are one."""
        reason = _NUMBER.sub("#", reason)
        if reason not in self.total and len(self.total) >= _REASONS:
            reason = "other reasons"
        self.total[reason] += 1
        self._waiting[reason] += 1
        if reason not in self._told_at:
            self._tell(reason)

    def tell(self) -> None:
        """Tell of those that were not told for a minute."""
        for reason in list(self._waiting):
            if self._times.monotonic() - self._told_at[reason] >= _EVERY_S:
                self._tell(reason)

    def _tell(self, reason: str) -> None:
        log.warning("dead letter", exchange=self._exchange, reason=reason, count=self._waiting.pop(reason))
        self._told_at[reason] = self._times.monotonic()
