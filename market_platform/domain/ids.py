"""Which trade ids were seen: duplicates, late ones, and holes.

Belongs here: counting ids. Does not: what a hole means (streamer/), how it is repaired (pipeline/gap_repair.py). Pure; no clock.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from typing import NamedTuple


class Seen(StrEnum):
    """What an id (or a range of them) is to what was seen before."""

    NEW = "new"
    """Above everything before."""
    LATE = "late"
    """In a hole: it came after higher ids, and was not seen before."""
    DUPLICATE = "duplicate"
    """All of it was seen before, or is so old that nobody knows."""


class IdRange(NamedTuple):
    """Ids from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many ids those are."""
        return self.last - self.first + 1


_DISORDER = 1_000
"""How far below the first one an id may be and still belong to the same stream."""


class _Hole:
    __slots__ = ("first", "last", "reported", "since_ms")

    def __init__(self, first: int, last: int, since_ms: int | None = None, *, reported: bool = False) -> None:
        self.first, self.last = first, last
        self.since_ms = since_ms
        self.reported = reported


class IdTracker:
    """Ids that an exchange counts up by one: what lies between two that were seen and was not seen itself is a hole.

    `known` is the highest id that is there from before; without it, counting begins with the first id observed, and ids that
    are a little lower and come after it move the beginning. Memory is bounded by `most_holes`: beyond it the oldest hole that was reported is forgotten (its ids count as duplicates from then
    on), or, when none was, joined with the next.
    """

    def __init__(self, known: int | None = None, *, most_holes: int = 1_000) -> None:
        self._high = known
        self._low = known
        self._open_below = known is None
        self._holes: list[_Hole] = []
        self._most_holes = most_holes

    @property
    def high(self) -> int | None:
        """The highest id seen or known; None before any."""
        return self._high

    @property
    def contiguous(self) -> int | None:
        """The id up to which nothing is missing; None before any."""
        return self._holes[0].first - 1 if self._holes else self._high

    def observe(self, first: int, last: int | None = None) -> Seen:
        """Count the ids from `first` to `last` (both included; one id without `last`) and say what they are.

        A range that is partly new is `NEW`, one that fills part of a hole is `LATE`.
        """
        last = first if last is None else last
        high = self._high
        if high is not None and first == high + 1:  # as it nearly always is
            self._high = last
            return Seen.NEW
        if high is None or self._low is None:
            self._low, self._high = first, last
            return Seen.NEW
        if last > high:
            if first <= high:
                self._fill(first, high)
            else:
                self._add_hole(high + 1, first - 1)
            self._high = last
            return Seen.NEW
        if self._extend(first, last):
            return Seen.LATE
        return Seen.LATE if self._fill(first, last) else Seen.DUPLICATE

    def holes(self, now_ms: int, grace_ms: int) -> list[IdRange]:
        """Holes that are older than the grace, each told once. A hole's age counts from the first call that sees it."""
        found: list[IdRange] = []
        for hole in self._holes:
            if hole.since_ms is None:
                hole.since_ms = now_ms
            if not hole.reported and now_ms - hole.since_ms >= grace_ms:
                hole.reported = True
                found.append(IdRange(hole.first, hole.last))
        return found

    def misses(self, first: int, last: int) -> bool:
        """Whether any id from `first` to `last` lies in a hole."""
        index = bisect_right(self._holes, last, key=lambda hole: hole.first) - 1
        return index >= 0 and self._holes[index].last >= first

    def _extend(self, first: int, last: int) -> bool:
        """Begin earlier, where nothing is known from before and the stream's very first ids came in disorder."""
        low = self._low
        if low is None or not self._open_below or not low - _DISORDER <= first < low:
            return False
        if last < low - 1:
            self._holes.insert(0, _Hole(last + 1, low - 1))
        self._low = first
        return True

    def _add_hole(self, first: int, last: int) -> None:
        self._holes.append(_Hole(first, last))
        while len(self._holes) > self._most_holes:
            index = next((number for number, hole in enumerate(self._holes) if hole.reported), None)
            if index is not None:
                del self._holes[index]
            else:
                self._holes[0:2] = [_Hole(self._holes[0].first, self._holes[1].last, self._holes[0].since_ms)]

    def _fill(self, first: int, last: int) -> bool:
        """Take the ids out of the holes; whether any was in one."""
        holes = self._holes
        start = max(0, bisect_right(holes, first, key=lambda hole: hole.first) - 1)
        filled = False
        index = start
        while index < len(holes) and holes[index].first <= last:
            hole = holes[index]
            if hole.last < first:
                index += 1
                continue
            filled = True
            rest = [
                _Hole(begin, end, hole.since_ms, reported=hole.reported)
                for begin, end in ((hole.first, first - 1), (last + 1, hole.last))
                if begin <= end
            ]
            holes[index : index + 1] = rest
            index += len(rest)
        return filled


class SeenIds:
    """Ids without an order (Hyperliquid): whether one was seen, for at least `horizon_ms` of event time.

    Memory is bounded: of more than `most` ids within the horizon, at least the last `most` are remembered.
    """

    def __init__(self, horizon_ms: int, most: int = 200_000) -> None:
        self._horizon_ms = horizon_ms
        self._most = most
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._turned_ms: int | None = None

    def __len__(self) -> int:
        """How many ids are remembered."""
        return len(self._young) + len(self._old)

    def add(self, trade_id: int, time_ms: int) -> bool:
        """Remember the id; True when it is new. `time_ms` is the event's time."""
        if self._turned_ms is None:
            self._turned_ms = time_ms
        if trade_id in self._young or trade_id in self._old:
            return False
        if time_ms - self._turned_ms >= self._horizon_ms or len(self._young) >= self._most:
            self._old, self._young = self._young, set()
            self._turned_ms = max(time_ms, self._turned_ms)
        self._young.add(trade_id)
        return True
