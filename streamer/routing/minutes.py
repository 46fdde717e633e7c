"""Funding and open interest by the minute: the last of each, with what earlier messages of the minute said beside it.

The very first reading is given out at once as well, so that a reader need not wait for the end of a minute; that end corrects it.

Belongs here: holding a minute until it is over. Does not: writing (the sink), asking (rest/polls.py). Pure; times are exchange ms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.intervals import MINUTE_MS

GRACE_MS = 2_000
"""How long after a minute's end a straggler may still be its last."""

_RowT = TypeVar("_RowT", Funding, OpenInterest)


@dataclass(slots=True)
class MinuteOf(Generic[_RowT]):
    """One kind of row of one trading pair."""

    _row: _RowT | None = None
    _minute_ms: int = 0
    _time_ms: int = 0
    _flushed_ms: int = -1

    def take(self, row: _RowT, now_ms: int) -> tuple[int, _RowT] | None:
        """The minute (its start) and row that this one ends, if it does, or itself as the very first.

        Rows of a minute that was given out are too late.
        """
        time_ms = now_ms if row.time_ms is None else row.time_ms
        minute_ms = time_ms - time_ms % MINUTE_MS
        if minute_ms <= self._flushed_ms or (self._row is not None and time_ms < self._time_ms):
            return None
        done: tuple[int, _RowT] | None = None
        if self._row is None and self._flushed_ms < 0:
            done = (minute_ms, row)
        elif self._row is not None and minute_ms > self._minute_ms:
            done = self.flush()
        self._row = row if self._row is None else _merged(self._row, row)
        self._minute_ms, self._time_ms = minute_ms, time_ms
        return done

    def due(self, now_ms: int) -> tuple[int, _RowT] | None:
        """The minute that is over by the clock."""
        return self.flush() if now_ms >= self._minute_ms + MINUTE_MS + GRACE_MS else None

    def flush(self) -> tuple[int, _RowT] | None:
        """What there is, finished or not."""
        if self._row is None:
            return None
        done = (self._minute_ms, self._row)
        self._row, self._flushed_ms = None, self._minute_ms
        return done


@dataclass(slots=True)
class Minutes:
    """Both kinds of a trading pair."""

    funding: MinuteOf[Funding] = field(default_factory=MinuteOf[Funding])
    open_interest: MinuteOf[OpenInterest] = field(default_factory=MinuteOf[OpenInterest])


def _merged(earlier: _RowT, later: _RowT) -> _RowT:
    """The later row, with the earlier one's value wherever it has none."""
    missing = {
        name: value
        for name in later.__struct_fields__
        if getattr(later, name) is None and (value := getattr(earlier, name)) is not None
    }
    return msgspec.structs.replace(later, **missing) if missing else later
