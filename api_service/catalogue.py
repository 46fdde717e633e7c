"""Which symbols there are, on which exchanges, in which timeframes: the reference tables, kept in memory.

Belongs here: which exchange a symbol means, resolving it and a timeframe to a starlisting, and when the list is read again.
Does not: candles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from api_service.database import Database
from api_service.kept import Kept
from api_service.problems import ProblemError
from market_platform.domain.intervals import Interval
from market_platform.warehouse.pair_queries import HAS_CANDLES, Held, ListedPair, load_listed_pairs


@dataclass(frozen=True, slots=True)
class Series:
    """One starlisting to read candles of."""

    starlisting_id: int
    pair: ListedPair
    interval: Interval

    @property
    def name(self) -> str:
        """`dukascopy/EURUSD/1h`."""
        return f"{self.pair.exchange}/{self.pair.symbol}/{self.interval}"


class Quoted(Protocol):
    """A symbol on one exchange."""

    @property
    def held(self) -> Held:
        """What is held of it."""


AnyQuoted = TypeVar("AnyQuoted", bound=Quoted)


def preferred(quoted: Sequence[AnyQuoted]) -> AnyQuoted:
    """What a symbol means without an exchange, of everywhere it is quoted, in the order of configuration.

    It is the first that has candles, else the first that has ticks, else the first. REST and WebSocket ask here alone, and
    whatever the timeframe, so what the metadata lists is what is charted.
    """
    return max(quoted, key=lambda each: each.held)


class Catalogue:
    """The list of pairs, read when first needed and again after `forget()`, or when a pair's first candles come.

    Args:
        database: where it is read from.
        trusted: whether `forget` would have been called if the tables had changed.
    """

    def __init__(self, database: Database, trusted: Callable[[], bool]) -> None:
        self._kept = Kept(database, load_listed_pairs, trusted)
        self._listed: list[ListedPair] = []
        self._pairs: dict[str, list[ListedPair]] = {}
        self._series: dict[tuple[str, str | None, str], Series] = {}
        self._empty: set[int] = set()

    def forget(self) -> None:
        """The tables changed: read them again before the next answer."""
        self._kept.forget()

    def note_candles(self, starlisting_ids: Sequence[int] | None) -> None:
        """Candles of these starlistings changed, None for all: what a symbol means may have, where a pair had none."""
        if starlisting_ids is None or not self._empty.isdisjoint(starlisting_ids):
            self.forget()

    async def find(self, symbol: str, interval: Interval, exchange: str | None) -> Series:
        """The starlisting of a symbol (in its one spelling) and interval.

        Without an exchange, of those that quote the symbol the `preferred` one is meant.

        Raises:
            ProblemError: `symbol_not_found`, `starlisting_not_found` or `starlisting_inactive`.
            WarehouseUnavailableError: the list has to be read and can't be.
        """
        await self._refresh()
        key = (symbol, exchange, interval.name)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._resolve(symbol, interval, exchange)
        return series

    async def pair_of(self, symbol: str, exchange: str | None) -> ListedPair | None:
        """The pair that a symbol (in its one spelling) means; None where it is not quoted.

        Raises:
            WarehouseUnavailableError: the list has to be read and can't be.
        """
        await self._refresh()
        quoted = [each for each in self._pairs.get(symbol, []) if exchange in (None, each.exchange)]
        return _meant(quoted) if quoted else None

    async def _refresh(self) -> None:
        listed = await self._kept.get()
        if listed is not self._listed:
            self._listed, self._pairs, self._series = listed, {}, {}
            for pair in listed:
                self._pairs.setdefault(pair.symbol, []).append(pair)
            self._empty = {
                each.id
                for pair in listed
                if pair.held != HAS_CANDLES
                for each in pair.starlistings.values()
                if each.active
            }

    def _resolve(self, symbol: str, interval: Interval, exchange: str | None) -> Series:
        everywhere = self._pairs.get(symbol, [])
        pairs = [each for each in everywhere if exchange in (None, each.exchange)]
        if not pairs:
            where = ", ".join(each.exchange for each in everywhere)
            known = f"{symbol} is not on {exchange}; it is on {where}" if everywhere else f"there is no symbol {symbol}"
            raise ProblemError("symbol_not_found", known)
        pair = _meant(pairs)
        found = pair.starlistings.get(interval.name)
        if found is None:
            there = [name for name, each in pair.starlistings.items() if each.active]
            detail = f"{pair.exchange}/{symbol} has no {interval} candles; it has {', '.join(there) or 'none'}"
            raise ProblemError("starlisting_not_found", detail, timeframes=there)
        if not (pair.active and found.active):
            raise ProblemError("starlisting_inactive", f"{pair.exchange}/{symbol} {interval} is not collected any more")
        return Series(found.id, pair, interval)


def _meant(pairs: Sequence[ListedPair]) -> ListedPair:
    """The preferred one of those that are active; of none, of those that were."""
    return preferred([each for each in pairs if each.active] or pairs)
