"""Which stretches of which pairs are being missed at present.

Belongs here: opening a gap when a stream goes and ending it when it is back. Does not: storing gaps (log.py), closing them
(repair.py), what is missing within a stream (routing/finalise.py, ids).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from market_platform.domain.live import LivePair

GapKind = Literal["candles", "trades", "quotes", "context"]
GapReason = Literal["start", "disconnect", "id_hole", "missing_candle", "stale", "intake_stopped", "shutdown"]


class GapLog(Protocol):
    """Where gaps are written down. Methods return at once and never raise."""

    def open(
        self,
        pair: LivePair,
        kind: GapKind,
        start_ms: int,
        reason: GapReason,
        *,
        interval: str | None = None,
        first_id: int | None = None,
        last_id: int | None = None,
        detail: str = "",
    ) -> str:
        """A stretch is being missed from `start_ms` on; the key ends it."""
        ...

    def end(self, key: str, end_ms: int, *, last_id: int | None = None) -> None:
        """It is over: nothing from `end_ms` on is missed. A `last_id` below the first says that nothing was."""
        ...

    def resumed(self, pair: LivePair, kind: GapKind, at_ms: int) -> None:
        """What an earlier streamer left open of that kind is over."""
        ...


@dataclass(frozen=True, slots=True)
class _Missing:
    key: str
    start_ms: int
    first_id: int | None


class GapKeeper:
    """The gaps that are still growing, one per connection, pair and kind."""

    def __init__(self, log: GapLog) -> None:
        self._log = log
        self._missing: dict[tuple[str, int, GapKind], _Missing] = {}

    def __len__(self) -> int:
        """How many are growing."""
        return len(self._missing)

    def lost(
        self,
        connection: str,
        pair: LivePair,
        kind: GapKind,
        start_ms: int,
        reason: GapReason,
        first_id: int | None = None,
        detail: str = "",
    ) -> None:
        """The pair's stream is away from `start_ms` on; what is missing already stays what it is."""
        where = (connection, pair.id, kind)
        if where not in self._missing:
            key = self._log.open(pair, kind, start_ms, reason, first_id=first_id, detail=detail)
            self._missing[where] = _Missing(key, start_ms, first_id)

    def first_missing_id(self, connection: str, pair_id: int) -> int | None:
        """The first trade id that is being missed there; None when none is, or nobody knows."""
        missing = self._missing.get((connection, pair_id, "trades"))
        return None if missing is None else missing.first_id

    def missed_since(self, connection: str, pair_id: int, kind: GapKind) -> int | None:
        """From when on that is being missed there; None when it is not."""
        missing = self._missing.get((connection, pair_id, kind))
        return None if missing is None else missing.start_ms

    def found(self, connection: str, pair: LivePair, kind: GapKind, end_ms: int, last_id: int | None = None) -> None:
        """The pair's stream is back. `last_id` is the last trade that was missed, if known."""
        missing = self._missing.pop((connection, pair.id, kind), None)
        if missing is not None:
            self._log.end(missing.key, max(end_ms, missing.start_ms), last_id=last_id)
        else:
            self._log.resumed(pair, kind, end_ms)

    def within(
        self,
        pair: LivePair,
        kind: GapKind,
        start_ms: int,
        end_ms: int,
        reason: GapReason,
        *,
        interval: str | None = None,
        ids: tuple[int, int | None] | None = None,
        detail: str = "",
    ) -> None:
        """A stretch that was missed while the stream was there, with both its ends."""
        first_id, last_id = ids or (None, None)
        key = self._log.open(
            pair, kind, start_ms, reason, interval=interval, first_id=first_id, last_id=last_id, detail=detail
        )
        self._log.end(key, max(start_ms, end_ms), last_id=last_id)

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
