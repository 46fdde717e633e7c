"""Which starlistings there are, and which one a path means: the reference tables, kept in memory.

Belongs here: finding and filtering. Does not: rows of a starlisting (answers.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from api_service.database import Database
from api_service.kept import Kept
from api_service.problems import ProblemError
from market_platform.warehouse.starlisting_queries import StarlistingRow, load_starlistings

PairKey = tuple[str, str, str, str]
"""Exchange, coin, quote, market type."""


class StarlistingFilter(NamedTuple):
    """What to list; None is any."""

    exchange: str | None = None
    coin: str | None = None
    quote: str | None = None
    market_type: str | None = None
    interval: str | None = None
    active: bool | None = None


class StarlistingIndex:
    """The starlistings, read when first needed and again after `forget()`.

    Args:
        database: where they are read from.
        trusted: whether `forget` would have been called if the tables had changed.
    """

    def __init__(self, database: Database, trusted: Callable[[], bool]) -> None:
        self._kept = Kept(database, load_starlistings, trusted)
        self._rows: list[StarlistingRow] = []
        self._by_id: dict[int, StarlistingRow] = {}
        self._by_pair: dict[PairKey, dict[str, StarlistingRow]] = {}

    def forget(self) -> None:
        """The tables changed: read them again before the next answer."""
        self._kept.forget()

    async def filtered(self, wanted: StarlistingFilter) -> list[StarlistingRow]:
        """The starlistings that fit, by id."""
        await self._refresh()
        asked = {name: value for name, value in wanted._asdict().items() if value is not None}
        return [row for row in self._rows if all(getattr(row, name) == value for name, value in asked.items())]

    async def by_id(self, starlisting_id: int) -> StarlistingRow:
        """One starlisting, which may be inactive.

        Raises:
            ProblemError: `starlisting_not_found`.
        """
        await self._refresh()
        row = self._by_id.get(starlisting_id)
        if row is None:
            raise ProblemError("starlisting_not_found", f"there is no starlisting {starlisting_id}")
        return row

    async def exchanges(self) -> dict[str, str]:
        """Code and name of every exchange with a starlisting."""
        await self._refresh()
        return {row.exchange: row.exchange_display for row in self._rows}

    async def find(self, key: PairKey, interval: str) -> StarlistingRow:
        """The active starlisting of a pair and interval.

        Raises:
            ProblemError: `trading_pair_not_found`, `starlisting_not_found` or `starlisting_inactive`.
        """
        intervals = await self._of_pair(key)
        row = intervals.get(interval)
        if row is None:
            there = [name for name, each in intervals.items() if each.active]
            detail = f"{' '.join(key)} has no {interval} candles; it has {', '.join(there) or 'none'}"
            raise ProblemError("starlisting_not_found", detail, intervals=there)
        if not row.active:
            raise ProblemError("starlisting_inactive", f"{' '.join(key)} {interval} is not collected any more")
        return row

    async def find_pair(self, key: PairKey) -> StarlistingRow:
        """Any active starlisting of a pair.

        Raises:
            ProblemError: `trading_pair_not_found` or `trading_pair_inactive`.
        """
        for row in (await self._of_pair(key)).values():
            if row.active:
                return row
        raise ProblemError("trading_pair_inactive", f"{' '.join(key)} is not collected any more")

    async def _of_pair(self, key: PairKey) -> dict[str, StarlistingRow]:
        await self._refresh()
        found = self._by_pair.get(key)
        if found is None:
            raise ProblemError("trading_pair_not_found", f"there is no trading pair {' '.join(key)}")
        return found

    async def _refresh(self) -> None:
        rows = await self._kept.get()
        if rows is self._rows:
            return
        self._rows, self._by_id, self._by_pair = rows, {row.id: row for row in rows}, {}
        for row in sorted(
            rows, key=lambda each: (each.interval_seconds, each.active)
        ):  # an active one comes last and stays
            key = (row.exchange, row.coin, row.quote, row.market_type)
            self._by_pair.setdefault(key, {})[row.interval] = row
