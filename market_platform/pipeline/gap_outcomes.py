"""What repairs of gaps share: where rows go, and what came of an attempt. Does not belong here: asking an exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from market_platform.domain.clock import to_ms
from market_platform.domain.events import Candle, Trade
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.gap_repairs import LostPart
from market_platform.warehouse.gaps import Gap


class Delivery(Protocol):
    """Where repaired rows go: the streamer's sink, or `DirectDelivery`."""

    def trades(self, pair: LivePair, trades: Sequence[Trade]) -> None:
        """Trades, for the lake."""
        ...

    def candles(self, pair: LivePair, candles: Sequence[Candle], rank: CandleRank) -> None:
        """Closed candles, for Postgres."""
        ...

    async def committed(self) -> None:
        """Return when everything handed in before is durable."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. Without `error` and `unrepairable` the gap is repaired but for what is `lost`.

    `next_id` after an error: the trades below are there. `note` says what a reader of the ledger should know.
    """

    rows: int = 0
    lost: tuple[LostPart, ...] = ()
    note: str = ""
    unrepairable: str | None = None
    error: str | None = None
    next_id: int | None = None


def end_ms(gap: Gap) -> int:
    """When a gap ended, in ms; its start while it has no end."""
    return to_ms(gap.end or gap.start)
