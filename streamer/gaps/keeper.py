"""Which stretches of which pairs are being missed at present.

Belongs here: opening a gap when a stream goes and ending it when it is back. Does not: storing gaps (log.py), closing them
(repair.py), what is missing within a stream (routing/finalise.py, ids).
"""

from __future__ import annotations

from typing import Protocol

from market_platform.domain.gaps import GapKind, Missed
from market_platform.domain.live import LivePair


class GapLedger(Protocol):
    """Where gaps are written down. Methods return at once and never raise."""

    def open(self, pair: LivePair, missed: Missed) -> str:
        """The pair misses that from its start on; the key ends it."""
        ...

    def end(self, key: str, end_ms: int, *, last_id: int | None = None) -> None:
        """It is over: nothing from `end_ms` on is missed. A `last_id` below the first says that nothing was."""
        ...

    def resumed(self, pair: LivePair, kind: GapKind, at_ms: int) -> None:
        """What an earlier streamer left open of that kind is over."""
        ...


class GapKeeper:
    """The gaps that are still growing, one per connection, pair and kind."""

    def __init__(self, ledger: GapLedger) -> None:
        self._ledger = ledger
        self._missing: dict[tuple[str, int, GapKind], tuple[str, Missed]] = {}

    def __len__(self) -> int:
        """How many are growing."""
        return len(self._missing)

    def lost(self, connection: str, pair: LivePair, missed: Missed) -> None:
        """The pair's stream is away; what is missing already stays what it is."""
        where = (connection, pair.id, missed.kind)
        if where not in self._missing:
            self._missing[where] = (self._ledger.open(pair, missed), missed)

    def growing(self, connection: str, pair_id: int, kind: GapKind) -> Missed | None:
        """What is being missed there; None when nothing is."""
        _, missed = self._missing.get((connection, pair_id, kind), (None, None))
        return missed

    def found(self, connection: str, pair: LivePair, kind: GapKind, end_ms: int, last_id: int | None = None) -> None:
        """The pair's stream is back. `last_id` is the last trade that was missed, if known."""
        missing = self._missing.pop((connection, pair.id, kind), None)
        if missing is None:
            self._ledger.resumed(pair, kind, end_ms)
            return
        key, missed = missing
        self._ledger.end(key, max(end_ms, missed.start_ms), last_id=last_id)

    def begin(self, pair: LivePair, missed: Missed) -> str:
        """That may have been missed while the stream is there; the key is for `end`."""
        return self._ledger.open(pair, missed)

    def end(self, key: str, end_ms: int, last_id: int) -> None:
        """What may have been missed was, up to `last_id`; one below the first says that nothing was."""
        self._ledger.end(key, end_ms, last_id=last_id)

    def within(self, pair: LivePair, missed: Missed, end_ms: int) -> None:
        """That was missed until `end_ms` while the stream was there."""
        key = self._ledger.open(pair, missed)
        self._ledger.end(key, max(missed.start_ms, end_ms), last_id=missed.last_id)

    def left(self, connection: str, pair: LivePair, end_ms: int) -> None:
        """The pair has left that connection: what it misses from now on is noted of another."""
        for where, pair_id, kind in list(self._missing):
            if (where, pair_id) == (connection, pair.id):
                self.found(connection, pair, kind, end_ms)

    def forget(self, pair: LivePair, end_ms: int) -> None:
        """The pair is not streamed any more."""
        for connection, pair_id, kind in list(self._missing):
            if pair_id == pair.id:
                self.found(connection, pair, kind, end_ms)
