"""Candles for a request: what is known of the range, 304, a kept body, or rows from Postgres.

Belongs here: the order in which memory and Postgres are asked. Does not: HTTP framing (routes.py), how a long range is read
(long_ranges.py), SQL.

An answer always belongs to one version: the version that is kept was read before anything changed, and rows are read
together with their version in one statement. While no day of a range changed since its version was last made, no row is read to
know it; where a day changed that the range has a part of, that part is read to see whether a row of it did. `Cache-Control: no-cache` in a request asks Postgres for the version, whatever
is kept. Equal requests that arrive while one is being answered from Postgres share its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from api_service.candles.conditions import Calendars, unknown_periods, worst_condition
from api_service.candles.edges import edge_digest, is_cut, load_edge_digest, range_days
from api_service.candles.long_ranges import LongRanges
from api_service.candles.memory import Bodies, Token, Versions
from api_service.candles.query import CandleQuery
from api_service.candles.representation import (
    CONTENT_TYPES,
    Description,
    Headers,
    body_of,
    describe,
    empty_headers,
    has_rows,
    is_known,
)
from api_service.candles.spool import Spool
from api_service.catalogue import Catalogue, Series
from api_service.database import Database
from market_platform.domain.clock import Clock
from market_platform.domain.intervals import DAY_MS
from market_platform.warehouse.chart_queries import (
    Connection,
    RangeState,
    RowFormat,
    load_candles_text,
    load_range_state,
    load_span,
    snapshot,
)

T = TypeVar("T")

LONG_ROWS = 20_000
"""Ranges whose days have more candles are read in pieces, kept nowhere, and sent from a spool."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body (bytes, a spool to close after sending, or None) of an answer."""

    status: int
    headers: Headers
    body: bytes | Spool | None


class Candles:
    """Answers requests for candles.

    Args:
        database: where rows are read.
        catalogue: which symbols there are.
        calendars: when their markets are open.
        versions: descriptions of ranges, kept while nothing changes.
        bodies: bodies by version.
        clock: what time it is.
    """

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        calendars: Calendars,
        versions: Versions[Description],
        bodies: Bodies,
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._calendars = calendars
        self._versions = versions
        self._bodies = bodies
        self._clock = clock
        self._flights: dict[tuple[Any, ...], asyncio.Task[Any]] = {}
        self._long = LongRanges(database)

    async def answer(
        self, query: CandleQuery, row_format: RowFormat, *, if_none_match: bytes | None, no_cache: bool, head: bool
    ) -> Answer:
        """The answer to a request.

        Raises:
            ProblemError: the symbol or its timeframe is not there.
            WarehouseUnavailableError: Postgres is needed and does not answer.
        """
        series = await self._catalogue.find(query.symbol, query.interval, query.exchange)
        key = (series.starlisting_id, query.start_ms, query.end_ms)
        known = None if no_cache else self._versions.get(key)
        body: bytes | None = None
        if known is None:
            known = await self._describe(series, query, alone=no_cache)
        if known is None:
            known, body = await self._read(series, query, row_format, None, alone=no_cache)
        if is_known(if_none_match, known.tag(row_format)):
            return Answer(304, known.headers[row_format], None)
        if not known.state.rows:
            return await self._whole_answer(series, row_format, known, body_of(b"", row_format))
        body = body or self._bodies.get(known.version, row_format)
        if body is None:
            if known.state.rows > LONG_ROWS:
                return await self._long_answer(series, query, row_format, known, head=head)
            known, body = await self._read(series, query, row_format, known, alone=no_cache)
        return await self._whole_answer(series, row_format, known, body)

    async def _whole_answer(self, series: Series, row_format: RowFormat, known: Description, body: bytes) -> Answer:
        headers = [
            *known.headers[row_format],
            (b"content-type", CONTENT_TYPES[row_format]),
            (b"content-length", b"%d" % len(body)),
        ]
        if has_rows(body, row_format):
            headers.append((b"x-data-available", b"true"))
        else:
            if known.span is None:
                known.span = await self._database.run(lambda connection: load_span(connection, series.starlisting_id))
            headers += empty_headers(known.span)
        return Answer(200, headers, body)

    async def _describe(self, series: Series, query: CandleQuery, *, alone: bool) -> Description | None:
        """Ask Postgres for the state of the range; None when its rows have to be read to know their version."""
        key = (series.starlisting_id, query.start_ms, query.end_ms)
        if self._versions.last(key) is None and is_cut(query) and _most_rows(query) <= LONG_ROWS:
            return None

        async def ask() -> Description | None:
            token = self._versions.token(series.starlisting_id)
            days = range_days(query)
            state = await self._database.run(
                lambda connection: load_range_state(connection, series.starlisting_id, days)
            )
            last = self._versions.last(key)
            if state.edges is None or (last is not None and last.state.edges == state.edges):
                return await self._described(series, query, state, last.edges if last and state.edges else None, token)
            if state.rows <= LONG_ROWS:
                return None

            async def read_edges(connection: Connection) -> tuple[RangeState, str | None]:
                async with snapshot(connection):
                    state = await load_range_state(connection, series.starlisting_id, days)
                    return state, await load_edge_digest(connection, series.starlisting_id, query)

            state, edges = await self._database.run(read_edges)
            return await self._described(series, query, state, edges, token)

        return await self._together(ask, series, query, "state", alone=alone)

    async def _read(
        self, series: Series, query: CandleQuery, row_format: RowFormat, known: Description | None, *, alone: bool
    ) -> tuple[Description, bytes]:
        """Read the rows with their version, which may be a newer one than the version known, if one is."""

        async def ask() -> tuple[Description, bytes]:
            token = self._versions.token(series.starlisting_id)
            state, text = await self._database.run(
                lambda connection: load_candles_text(
                    connection,
                    series.starlisting_id,
                    days=range_days(query),
                    start_ms=query.start_ms,
                    end_ms=query.end_ms,
                    row_format=row_format,
                )
            )
            if known is not None and state == known.state:
                described = known
            else:
                edges = edge_digest(query, text, row_format) if state.edges else None
                described = await self._described(series, query, state, edges, token)
            body = body_of(text, row_format)
            self._bodies.put(described.version, row_format, body)
            return described, body

        return await self._together(ask, series, query, row_format, alone=alone)

    async def _long_answer(
        self, series: Series, query: CandleQuery, row_format: RowFormat, known: Description, *, head: bool
    ) -> Answer:
        """The answer of a long range, which is read in pieces into a spool; its version may be a newer one than that known."""
        if head:
            return Answer(200, [*known.headers[row_format], (b"content-type", CONTENT_TYPES[row_format])], None)
        token = self._versions.token(series.starlisting_id)
        state, edges, spool = await self._long.read(series.starlisting_id, query, row_format)
        try:
            if state != known.state:
                known = await self._described(series, query, state, edges, token)
        except BaseException:
            spool.close()
            raise
        headers = [
            *known.headers[row_format],
            (b"content-type", CONTENT_TYPES[row_format]),
            (b"content-length", b"%d" % spool.length),
            (b"x-data-available", b"true"),
        ]
        return Answer(200, headers, spool)

    async def _described(
        self, series: Series, query: CandleQuery, state: RangeState, edges: str | None, token: Token
    ) -> Description:
        """The description of a range in that state, kept from now on."""
        now = self._clock()
        unknown = unknown_periods(query.interval, query.start_ms, query.end_ms, state.conditions, now)
        hours = await self._calendars.hours_of(series.pair.id, series.pair.first_day) if unknown else None
        described = describe(series, state, edges, worst_condition(state.conditions, unknown, hours, now))
        self._versions.put((series.starlisting_id, query.start_ms, query.end_ms), described, token)
        return described

    async def _together(
        self, ask: Callable[[], Awaitable[T]], series: Series, query: CandleQuery, what: str, *, alone: bool
    ) -> T:
        """What `ask()` returns; the same question asked again before it is answered gets the same answer.

        Not when the asker must see everything committed before (`alone`), nor when changes are not heard of.
        """
        if alone or not self._versions.trusted:
            return await ask()
        token = self._versions.token(series.starlisting_id)
        key = (what, series.starlisting_id, query.start_ms, query.end_ms, token)
        flight: asyncio.Task[T] | None = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.ensure_future(ask())

            def landed(done: asyncio.Task[T]) -> None:
                self._flights.pop(key, None)
                if not done.cancelled():
                    done.exception()  # whoever still waits is told; nobody may be left to be

            flight.add_done_callback(landed)
        return await asyncio.shield(flight)


def _most_rows(query: CandleQuery) -> int:
    """How many candles the range's days can have."""
    days = range_days(query)
    return ((days.last - days.first).days + 1) * DAY_MS // query.interval.ms
