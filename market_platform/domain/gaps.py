"""What a stream may have missed: kinds, reasons, and a stretch as it is found.

Belongs here: the words. Does not: the ledger and its rows (warehouse/gaps.py), who finds gaps (streamer/), repairing them
(pipeline/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GapKind = Literal["candles", "trades", "quotes", "context"]
GapReason = Literal["start", "disconnect", "id_hole", "missing_candle", "stale", "intake_stopped", "shutdown"]
GapState = Literal["open", "repaired", "unrepairable"]


@dataclass(frozen=True, slots=True)
class Missed:
    """A pair misses something from `start_ms` on, in ms of the exchange's time.

    `interval` None means candles of all its intervals; `first_id` and `last_id` are those of missed trades, where known.
    """

    kind: GapKind
    start_ms: int
    reason: GapReason
    interval: str | None = None
    first_id: int | None = None
    last_id: int | None = None
    detail: str = ""
