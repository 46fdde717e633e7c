"""Ranges too long for memory: read in pieces of one snapshot into a spool, a few at a time.

Belongs here: that reading, and its share of the connections. Does not: which ranges are long, what the answer's version is
(answers.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api_service.candles.edges import load_edge_digest, range_days
from api_service.candles.query import CandleQuery
from api_service.candles.representation import ENVELOPES, SEPARATORS, body_of
from api_service.candles.spool import Spool
from api_service.database import Database
from market_platform.domain.errors import WarehouseUnavailableError
from market_platform.warehouse.chart_queries import (
    Connection,
    RangeState,
    RowFormat,
    load_range_state,
    load_rows_text,
    snapshot,
)

PIECE_ROWS = 10_000
"""At most so many candles of a long range are one piece: about a megabyte of JSON."""
_AT_ONCE = 2
_TIMEOUT_S = 60.0


class LongRanges:
    """Reads long ranges, at most two at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def read(
        self, starlisting_id: int, query: CandleQuery, row_format: RowFormat
    ) -> tuple[RangeState, str | None, Spool]:
        """The state of the range's days and, of the same snapshot, its `edge_digest` and a whole body of its rows.

        Close the spool after sending.

        The connection is free before the first byte is sent.

        Raises:
            WarehouseUnavailableError: there is no place in time, or Postgres does not answer.
        """
        step = query.interval.ms * PIECE_ROWS
        spool = Spool()

        async def read(connection: Connection) -> tuple[RangeState, str | None]:
            await spool.clear()
            separator = ENVELOPES[row_format][0]
            async with snapshot(connection):
                state = await load_range_state(connection, starlisting_id, range_days(query))
                edges = await load_edge_digest(connection, starlisting_id, query)
                for start in range(query.start_ms, query.end_ms + 1, step):
                    end = min(start + step - 1, query.end_ms)
                    text = await load_rows_text(
                        connection, starlisting_id, start_ms=start, end_ms=end, row_format=row_format
                    )
                    if text:
                        await spool.write(separator + text)
                        separator = SEPARATORS[row_format]
            if separator == SEPARATORS[row_format]:
                await spool.write(ENVELOPES[row_format][1])
            else:
                await spool.write(body_of(b"", row_format))
            return state, edges

        try:
            async with self._place():
                state, edges = await self._database.run(read, timeout_s=_TIMEOUT_S)
        except BaseException:
            spool.close()
            raise
        return state, edges, spool

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the few places for long ranges, so that short ones always find a connection."""
        try:
            async with asyncio.timeout(self._database.timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise WarehouseUnavailableError(f"{_AT_ONCE} long ranges are being read already; ask again soon") from None
        try:
            yield
        finally:
            self._places.release()
