"""Which starlistings there are, as clients name them: by id, or by exchange and symbol.

Belongs here: keeping the list, and finding in it. Does not: SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from time import monotonic

import orjson

from api_service.catalogue import Catalogue
from api_service.database import Database
from api_service.live.errors import ActionError
from api_service.live.sharing import SingleFlight
from market_platform.domain.errors import WarehouseUnavailableError
from market_platform.warehouse.starlisting_queries import StarlistingRow, load_starlistings

LONGEST_AGE_S = 30.0
"""The list is believed this long even when Postgres says nothing of a change."""


@dataclass(frozen=True)
class Listing:
    """An active starlisting."""

    id: int
    trading_pair_id: int
    exchange: str
    symbol: str
    coin: str
    quote: str
    market_type: str
    interval: str

    @cached_property
    def head(self) -> str:
        """The members that every message of the starlisting has."""
        named = {
            "starlisting_id": self.id,
            "exchange": self.exchange,
            "coin": self.coin,
            "quote": self.quote,
            "trading_pair": f"{self.coin}/{self.quote}",
            "market_type": self.market_type,
            "interval": self.interval,
        }
        return orjson.dumps(named).decode()[1:-1]


class Listings:
    """The active starlistings, read when first needed and again after `forget()`."""

    def __init__(self, database: Database, catalogue: Catalogue) -> None:
        self._database = database
        self._catalogue = catalogue
        self._by_id: dict[int, Listing] = {}
        self._by_symbol: dict[str, list[Listing]] = {}
        self._good_until = 0.0
        self._changes = 0
        self._reading = SingleFlight(self._read)

    def forget(self) -> None:
        """The tables changed, or may have: read them again before the next answer."""
        self._changes += 1
        self._good_until = 0.0

    async def by_id(self, ids: Sequence[int]) -> list[Listing]:
        """The starlistings of those ids, in their order.

        Raises:
            ActionError: `invalid_starlisting`, naming every id that is unknown or not collected.
            WarehouseUnavailableError: the list has to be read and can't be.
        """
        await self._refresh()
        unknown = [str(each) for each in ids if each not in self._by_id]
        if unknown:
            raise ActionError("invalid_starlisting", f"no active starlisting {', '.join(unknown)}; nothing was changed")
        return [self._by_id[each] for each in ids]

    async def by_symbols(self, broker: str, symbols: Sequence[str], interval: str | None) -> list[Listing]:
        """A starlisting of each symbol on an exchange, of that interval or (None) of any.

        Raises:
            ActionError: `invalid_starlisting`, naming every symbol that is not there.
            WarehouseUnavailableError: the list has to be read and can't be.
        """
        await self._refresh()
        exchange = broker.strip().lower()
        found: list[Listing] = []
        unknown: list[str] = []
        for symbol in dict.fromkeys(map(self.plain_symbol, symbols)):
            fits = [each for each in self._by_symbol.get(symbol, []) if each.exchange == exchange]
            chosen = next((each for each in fits if interval in (None, each.interval)), None)
            if chosen is None:
                unknown.append(symbol)
            else:
                found.append(chosen)
        if unknown:
            what = f"{interval} candles" if interval else "data"
            raise ActionError(
                "invalid_starlisting", f"{exchange} has no {what} of {', '.join(unknown)}; nothing was changed"
            )
        return found

    async def of_chart(self, symbol: str, timeframe: str, exchange: str | None) -> Listing:
        """The starlisting of a symbol and timeframe; of several exchanges that have it, the one that REST means.

        Raises:
            ActionError: there is none.
            WarehouseUnavailableError: the list has to be read and can't be.
        """
        await self._refresh()
        plain = self.plain_symbol(symbol)
        wanted = exchange.strip().lower() if exchange else None
        pair = await self._catalogue.pair_of(plain, wanted)
        listed = [each for each in self._by_symbol.get(plain, []) if pair and each.trading_pair_id == pair.id]
        found = next((each for each in listed if each.interval == timeframe), None)
        if found is None:
            where = f" on {pair.exchange if pair else wanted}" if pair or wanted else ""
            raise ActionError("invalid_starlisting", f"there are no {timeframe} candles of {plain}{where}")
        return found

    @staticmethod
    def plain_symbol(symbol: str) -> str:
        """`EUR/USD`, `EUR_USD`, `EUR-USD` and `eurusd` are all `EURUSD`."""
        return symbol.strip().upper().translate({ord(each): None for each in "/_-"})

    async def _refresh(self) -> None:
        if monotonic() < self._good_until:
            return
        try:
            await self._reading.result()
        except WarehouseUnavailableError:
            if not self._by_id:
                raise  # what was read before is believed until Postgres answers

    async def _read(self) -> None:
        changes, now = self._changes, monotonic()
        rows = sorted(await self._database.run(load_starlistings), key=lambda row: (row.exchange_id, row.id))
        self._by_id = {row.id: self._kept(row) for row in rows if row.active}
        self._by_symbol = {}
        for listing in self._by_id.values():
            self._by_symbol.setdefault(listing.symbol, []).append(listing)
        if changes == self._changes:
            self._good_until = now + LONGEST_AGE_S

    def _kept(self, row: StarlistingRow) -> Listing:
        """The listing of a row: the same object as long as nothing of it changes."""
        made = Listing(
            id=row.id,
            trading_pair_id=row.trading_pair_id,
            exchange=row.exchange,
            symbol=row.symbol,
            coin=row.coin,
            quote=row.quote,
            market_type=row.market_type,
            interval=row.interval,
        )
        return found if (found := self._by_id.get(row.id)) == made and found is not None else made
