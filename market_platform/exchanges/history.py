"""What a backfill asks of an exchange's past. Belongs here: the interface. Does not: any exchange.

A source is asked for a range of days at once, because a page of an answer, or a monthly file, holds many. It returns the
days that came and an error for each that did not; one bad day never takes the others with it. It raises only what makes the
whole range impossible: `UnknownSymbolError`, `ConfigError` (credentials), `BadRequestError` (it has no such series).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

import polars as pl

from market_platform.domain.errors import BadRequestError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.history import CorporateAction, HistoryDays, HistoryPair
from market_platform.domain.intervals import Interval
from market_platform.domain.trades import Trades


class HistorySource(Protocol):
    """An exchange's past, open for as long as its context lasts. Implementations live in exchanges/, one an exchange.

    `days` are sorted UTC days, all of them over. Every method is finite: bounded retries, a time budget a request.
    """

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """The exchange's own closed candles, frames of `CANDLE_SCHEMA`; `interval` is a day or shorter.

        Pages are checked: in order, inside the window, none twice, no hole that is not stated in `missing`. Days before what
        the exchange still serves come back as `missing` with the reason, never as an empty `available`.
        """
        ...

    async def funding(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[Funding, ...]]:
        """Funding rates as charged or announced, times truncated to the minute."""
        ...

    async def open_interest(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[OpenInterest, ...]]:
        """Open interest readings, as often as the exchange keeps them."""
        ...

    async def trades(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[Trades]:
        """Every trade in the numbering of the exchange's stream (Binance: aggregates), without a hole in the ids."""
        ...

    async def actions(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[CorporateAction, ...]]:
        """Dividends and splits."""
        ...


class NoHistory:
    """A base whose every series is refused; a source overrides those that its exchange has."""

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:  # noqa: ARG002
        """Refused."""
        raise _none(pair, f"{interval} candles")

    async def funding(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[Funding, ...]]:  # noqa: ARG002
        """Refused."""
        raise _none(pair, "funding rates")

    async def open_interest(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[OpenInterest, ...]]:  # noqa: ARG002
        """Refused."""
        raise _none(pair, "open interest")

    async def trades(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[Trades]:  # noqa: ARG002
        """Refused."""
        raise _none(pair, "trades")

    async def actions(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[CorporateAction, ...]]:  # noqa: ARG002
        """Refused."""
        raise _none(pair, "dividends and splits")


def _none(pair: HistoryPair, what: str) -> BadRequestError:
    return BadRequestError(f"{pair.name}: {pair.exchange} has no history of {what}", code="no_history")
