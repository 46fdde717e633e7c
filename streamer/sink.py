"""Where events go once they are worth keeping: the interface between reading streams and making things durable.

Belongs here: the interface. Does not: the journal and what is behind it (journal_sink.py), nor what decides that an event is
final (routing/router.py, routing/finalise.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from market_platform.domain.events import Candle, Funding, OpenInterest, Quote, Trade
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank


class IntakeStoppedError(Exception):
    """The journal takes nothing more (a full disk): stop reading, wait for `Sink.accepting`, open a gap."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be used: where it came from, why, its text (cut to 64 KiB) and when it came."""

    exchange: str
    channel: str
    reason: str
    payload: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class SinkState:
    """How far the sink is behind. `alarm` is a sentence for a person, None when all is well."""

    accepting: bool
    journal_rows: int
    journal_bytes: int
    oldest_pending_at: datetime | None
    alarm: str | None = None


class Sink(Protocol):
    """Takes final things. Methods return at once; what was handed in is durable when `committed()` returns.

    Handing the same thing in again changes nothing in the end. Every method may raise IntakeStoppedError.
    """

    def trades(self, pair: LivePair, trades: Sequence[Trade]) -> None:
        """Trades, each once as far as the caller knows, for the lake."""
        ...

    def quotes(self, pair: LivePair, quotes: Sequence[Quote]) -> None:
        """Quote ticks of an exchange whose ticks are quotes (OANDA), for the lake; `time_ms` is set."""
        ...

    def candles(self, pair: LivePair, candles: Sequence[Candle], rank: CandleRank) -> None:
        """Closed candles of the pair's intervals, for Postgres."""
        ...

    def funding(self, pair: LivePair, minute_ms: int, row: Funding) -> None:
        """The last of a minute, for Postgres."""
        ...

    def open_interest(self, pair: LivePair, minute_ms: int, row: OpenInterest) -> None:
        """The last of a minute, for Postgres."""
        ...

    def dead_letter(self, letter: DeadLetter) -> None:
        """A message that could not be used; never raises."""
        ...

    async def committed(self) -> None:
        """Return when everything handed in before is in the journal on disk."""
        ...

    async def delivered(self, timeout_s: float) -> bool:
        """Return when everything handed in before is in Postgres and the lake; False when that took too long."""
        ...

    def last_trade_id(self, pair: LivePair) -> int | None:
        """The highest trade id of the pair that is durable here (journal or before a restart), None when unknown."""
        ...

    @property
    def accepting(self) -> bool:
        """Whether it takes anything at present."""
        ...

    def state(self) -> SinkState:
        """How far behind it is."""
        ...
