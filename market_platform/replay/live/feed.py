"""What makes the messages of one stream. Belongs here: the interface. Does not: any stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from market_platform.replay.live.candles import Bar, CandleBook
from market_platform.replay.live.tape import Minute


@dataclass(frozen=True, slots=True)
class Slice:
    """What happened in [start, end), a span within one minute: the trades `low` up to `high` of that minute."""

    start_ms: int
    end_ms: int
    rows: Minute
    low: int
    high: int

    def add_to(self, bar: Bar) -> None:
        """Its trades, which are of that candle."""
        rows = self.rows
        for at in range(self.low, self.high):
            bar.add(rows.prices[at], rows.lots[at], rows.taker_buys[at])


class Feed(Protocol):
    """Makes the messages of one stream."""

    @property
    def name(self) -> str:
        """What rules of faults search in: `btcusdt@aggTrade`."""
        ...

    @property
    def book(self) -> CandleBook | None:
        """Whose trades it is about; None where it follows the clock alone."""
        ...

    def start(self, at_ms: int) -> Callable[[], None] | None:
        """Begin with what happens from this moment on; may return work to be done in a thread before that is possible."""
        ...

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """What subscribers are to be sent about these slices, in order."""
        ...
