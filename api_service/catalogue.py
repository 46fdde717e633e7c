"""Which symbols there are, on which exchanges, in which timeframes: the reference tables, kept in memory.

Belongs here: resolving a symbol and a timeframe to a starlisting, and when the list is read again. Does not: candles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from api_service.database import Database
from api_service.kept import Kept
from api_service.problems import ProblemError
from market_platform.domain.intervals import Interval
from market_platform.warehouse.pair_queries import ListedPair, load_listed_pairs


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


class Catalogue:
    """The list of pairs, read when first needed and again after `forget()`.

    Args:
        database: where it is read from.
        trusted: whether `forget` would have been called if the tables had changed.
    """

    def __init__(self, database: Database, trusted: Callable[[], bool]) -> None:
        self._kept = Kept(database, load_listed_pairs, trusted)
        self._listed: list[ListedPair] = []
        self._pairs: dict[str, list[ListedPair]] = {}
        self._series: dict[tuple[str, str | None, str], Series] = {}

    def forget(self) -> None:
        """The tables changed: read them again before the next answer."""
        self._kept.forget()

    async def find(self, symbol: str, interval: Interval, exchange: str | None) -> Series:
        """The starlisting of a symbol (in its one spelling) and interval.

        Without an exchange, of those that quote the symbol the one that was configured first is meant.

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

    async def _refresh(self) -> None:
        listed = await self._kept.get()
        if listed is not self._listed:
            self._listed, self._pairs, self._series = listed, {}, {}
            for pair in listed:
                self._pairs.setdefault(pair.symbol, []).append(pair)

    def _resolve(self, symbol: str, interval: Interval, exchange: str | None) -> Series:
        everywhere = self._pairs.get(symbol, [])
        pairs = [each for each in everywhere if exchange in (None, each.exchange)]
        if not pairs:
            where = ", ".join(each.exchange for each in everywhere)
            known = f"{symbol} is not on {exchange}; it is on {where}" if everywhere else f"there is no symbol {symbol}"
            raise ProblemError("symbol_not_found", known)
        pair = next((each for each in pairs if each.active), pairs[0])
        found = pair.starlistings.get(interval.name)
        if found is None:
            there = [name for name, each in pair.starlistings.items() if each.active]
            detail = f"{pair.exchange}/{symbol} has no {interval} candles; it has {', '.join(there) or 'none'}"
            raise ProblemError("starlisting_not_found", detail, timeframes=there)
        if not (pair.active and found.active):
            raise ProblemError("starlisting_inactive", f"{pair.exchange}/{symbol} {interval} is not collected any more")
        return Series(found.id, pair, interval)
