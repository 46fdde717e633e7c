"""The candle intervals that the live exchanges have, also those that the platform has not.

Belongs here: where buckets begin. Does not: candles. All count from midnight UTC of 1970-01-01, a Thursday; Binance's weeks
begin on Monday, Hyperliquid's on Thursday.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from market_platform.domain.clock import from_ms, to_ms

MINUTE_MS = 60_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Grid:
    """One interval: buckets of `length_ms` that begin `offset_ms` after the epoch, or calendar months when `length_ms` is 0."""

    name: str
    length_ms: int
    offset_ms: int = 0

    def start(self, ms: int) -> int:
        """Where the bucket of a moment begins."""
        if self.length_ms:
            return (ms - self.offset_ms) // self.length_ms * self.length_ms + self.offset_ms
        return to_ms(from_ms(ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0))

    def end(self, open_ms: int) -> int:
        """Where the bucket that begins there ends."""
        if self.length_ms:
            return open_ms + self.length_ms
        return self.start(open_ms + 32 * DAY_MS)


_MINUTES = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1440,
    "3d": 4320,
}
_SAME = {name: Grid(name, minutes * MINUTE_MS) for name, minutes in _MINUTES.items()} | {"1M": Grid("1M", 0)}
BINANCE_GRIDS: Mapping[str, Grid] = {**_SAME, "1w": Grid("1w", 7 * DAY_MS, 4 * DAY_MS)}
HYPERLIQUID_GRIDS: Mapping[str, Grid] = {
    **{name: grid for name, grid in _SAME.items() if name != "6h"},
    "1w": Grid("1w", 7 * DAY_MS),
}
