"""What many clients read at once is read once: numbers, histories, and what changed since a number.

Belongs here: sharing a read among those who ask for the same at the same time, and how many reads there are at a time.
Does not: SQL (market_platform.warehouse.series_queries), who needs what.

Why: when the API restarts, every client comes back within a second and asks for the same rows. One query answers them, its
message is made once, and what waits for their sockets is one piece of memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from api_service.database import Database
from api_service.live.listings import Listing
from api_service.live.messages import history_frame, row_frame
from api_service.live.sharing import SingleFlight
from market_platform.warehouse.series_queries import (
    SeriesState,
    SeriesUpdates,
    load_changes,
    load_series_state,
    load_snapshot,
)

SHARE_S = 1.0
"""How long a read is shared: what came after it, the topic knows."""
AT_ONCE = 4
"""Reads at a time, so that REST requests find connections, too; the others wait here."""
_PIECE = 100
_PERPS = "perps"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class History:
    """The newest rows of a starlisting as of number `seq`: the messages that say them, and the candles' JSON array."""

    epoch: int
    seq: int
    frames: tuple[bytes, ...]
    candles: str


@dataclass(frozen=True, slots=True)
class Missed:
    """What changed after a number, up to `seq`: pieces of whole messages; None when it can't be told one by one."""

    epoch: int
    seq: int
    pieces: tuple[bytes, ...] | None


class Reads:
    """Reads for the topics and clients of this process.

    Raises (each of its methods):
        WarehouseUnavailableError: Postgres does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._shared: dict[Hashable, tuple[float, SingleFlight[Any]]] = {}

    async def states(self, ids: Sequence[int]) -> Mapping[int, SeriesState]:
        """Where the numbering of each starlisting is."""
        async with self._slots:
            return await self._database.run(lambda connection: load_series_state(connection, ids))

    async def changes(self, since: Mapping[int, int]) -> Mapping[int, SeriesUpdates]:
        """What changed of each starlisting after a number."""
        async with self._slots:
            return await self._database.run(lambda connection: load_changes(connection, since))

    async def history(self, listing: Listing, limit: int) -> History:
        """The newest `limit` rows; shared with whoever asked within `SHARE_S`."""

        async def read() -> History:
            async with self._slots:
                rows = await self._database.run(lambda connection: load_snapshot(connection, listing.id, limit))
            frames = [history_frame(listing, "candle", rows.seq, rows.candle_count, rows.candles)]
            perpetual = listing.market_type == _PERPS
            if perpetual or rows.funding_count:
                frames.append(history_frame(listing, "funding", rows.seq, rows.funding_count, rows.funding))
            if perpetual or rows.open_interest_count:
                count, text = rows.open_interest_count, rows.open_interest
                frames.append(history_frame(listing, "open_interest", rows.seq, count, text))
            return History(rows.epoch, rows.seq, tuple(frames), rows.candles)

        return await self._share((listing.id, "history", limit), read)

    async def missed(self, listing: Listing, seq: int) -> Missed:
        """What changed after `seq`; shared with whoever asked within `SHARE_S`."""

        async def read() -> Missed:
            updates = (await self.changes({listing.id: seq}))[listing.id]
            if updates.changes is None:
                return Missed(updates.epoch, updates.seq, None)
            frames = [row_frame(listing, each.kind, each.seq, each.data) for each in updates.changes]
            pieces = [b"".join(frames[start : start + _PIECE]) for start in range(0, len(frames), _PIECE)]
            return Missed(updates.epoch, updates.seq, tuple(pieces))

        return await self._share((listing.id, "missed", seq), read)

    def forget(self, starlisting_id: int) -> None:
        """Share nothing of a starlisting that was read before now."""
        for key in [each for each in self._shared if isinstance(each, tuple) and each[0] == starlisting_id]:
            del self._shared[key]

    def sweep(self) -> None:
        """Let go of what is not shared any more."""
        now = monotonic()
        for key, (began, _) in list(self._shared.items()):
            if now - began > SHARE_S:
                del self._shared[key]

    async def _share(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        now = monotonic()
        began, flight = self._shared.get(key, (0.0, None))
        if flight is None or now - began > SHARE_S or flight.failed:
            flight = SingleFlight(read, keep=True)
            self._shared[key] = (now, flight)
        result: T = await flight.result()
        return result
