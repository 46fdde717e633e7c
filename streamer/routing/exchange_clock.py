"""What time it is at an exchange. Belongs here: the estimate. Does not: whether an event's time makes sense (absurd.py)."""

from __future__ import annotations

from collections.abc import Callable

_WINDOW_MS = 10_000
_TRUST_MS = 60_000
"""For how long from its making an exchange's silence is waited out before our own clock is taken for its."""
_FAR_MS = 600_000
_SECOND_THOUGHT_MS = 1_000
"""How long a first event that is far behind our clock waits for another: some connections begin with what is long over."""


class ExchangeClock:
    """How far the newest events of the last seconds are ahead of a clock of ours, added to that clock.

    So it is right whatever our own clock says, follows a replay at any speed, and forgets an event from the future.
    `now_ms` is our time in ms, used before the first event that tells a time; `monotonic` is in seconds.
    """

    def __init__(self, now_ms: Callable[[], int], monotonic: Callable[[], float]) -> None:
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._window_ends = 0
        self._ahead: int | None = None
        self._ahead_before: int | None = None
        self._trusted_from = self._here() + _TRUST_MS
        self._told_from: int | None = None

    @property
    def known(self) -> bool:
        """Whether it was told, or was not for so long that our own clock has to do."""
        return self.told or self._here() >= self._trusted_from

    @property
    def told(self) -> bool:
        """Whether the exchange has said what time it is."""
        return self._told_from is not None and self._here() >= self._told_from

    def saw(self, event_ms: int, *, current: bool = True) -> None:
        """An event of that time came just now.

        One that is not `current` may be much older than its coming (what a connection begins with): it can say that it is
        later than we thought, never that it is earlier.
        """
        here = self._here()
        if not self.told:
            far = event_ms < self._now_ms() - _FAR_MS
            if self._told_from is None or not far:
                self._told_from = here + _SECOND_THOUGHT_MS * far
        if not current and self.told and event_ms <= self.now():
            return
        if here >= self._window_ends:
            self._ahead_before = self._ahead if here < self._window_ends + _WINDOW_MS else None
            self._ahead = None
            self._window_ends = here + _WINDOW_MS
        ahead = event_ms - here
        if self._ahead is None or ahead > self._ahead:
            self._ahead = ahead

    def now(self) -> int:
        """Its time, ms since the epoch."""
        if self._ahead is None:
            return self._now_ms()
        ahead = self._ahead if self._ahead_before is None else max(self._ahead, self._ahead_before)
        return self._here() + ahead

    def _here(self) -> int:
        return int(self._monotonic() * 1000)
