"""Who wins when two writers have the same candle."""

from __future__ import annotations

from enum import IntEnum


class CandleRank(IntEnum):
    """Stored in `candles.source`; a write replaces rows of its own rank and below."""

    LIVE_STREAM = 10
    """Built from a live stream, which may have missed ticks."""
    PARTIAL_TICKS = 15
    """Built from a day of ticks that is known to lack some."""
    COMPLETE_TICKS = 20
    """Built from all ticks the exchange has for the day."""
    EXCHANGE = 30
    """The exchange's own closed candle."""
