"""What the API reads of candles: versions of a range, candles as text, spans. Async, on a psycopg connection.

Belongs here: the SQL behind `/api/candles` and the rows it comes back as. Does not: which pairs there are (pair_queries.py),
pools and time limits (api_service.database), HTTP, what a condition means to a client.

Candles leave Postgres as JSON or CSV text: measured on 1,000 rows that takes half the time of fetching columns and
dumping them in Python, and a number's digits are never touched (`1.230000000000000000` is `1.23`, nothing is rounded).
Every function takes a connection in autocommit mode, and what one call returns is of one snapshot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, Literal, NamedTuple

from psycopg import AsyncConnection, AsyncCursor

from market_platform.domain.clock import from_ms

RowFormat = Literal["json", "csv"]
Connection = AsyncConnection[tuple[Any, ...]]

CANDLE_DAYS_CHANNEL = "candle_days"
"""Postgres notifies it in the commit that changes candle days; the payload lists starlisting ids, or is `*` for all."""


class RangeState(NamedTuple):
    """What `candle_days` says of a range of days, without a row of `candles` being read.

    `digest` changes when, and only when, a candle of one of the whole days changes; None when none of them has candles.
    `edges` is the same of the other days. `conditions` has, for each day that is known, its offset from the first day and the
    condition's first letter, such as `0a 1a 4d`. `rows` counts the candles of all those days.
    """

    digest: str | None
    edges: str | None
    conditions: str
    rows: int


class RangeDays(NamedTuple):
    """First and last day of a range, and of those days of it that are whole, all included; no day is whole from later to earlier."""

    first: date
    last: date
    whole_first: date
    whole_last: date


class Span(NamedTuple):
    """Open times, Unix seconds, of the first and the last candle of a starlisting; None without candles."""

    first_time: int | None
    last_time: int | None


_STATE = """
SELECT encode(sha256(convert_to(string_agg((d.day - date '1970-01-01') || ' ' || d.data_version, ',' ORDER BY d.day)
        FILTER (WHERE d.rows > 0 AND d.day BETWEEN %(whole_first)s::date AND %(whole_last)s::date), 'UTF8')), 'hex') AS digest,
    string_agg((d.day - date '1970-01-01') || ' ' || d.data_version, ',' ORDER BY d.day)
        FILTER (WHERE d.rows > 0 AND d.day NOT BETWEEN %(whole_first)s::date AND %(whole_last)s::date) AS edges,
    coalesce(string_agg((d.day - %(first_day)s::date) || left(d.condition, 1), ' ' ORDER BY d.day), '') AS conditions,
    coalesce(sum(d.rows), 0) AS rows
FROM candle_days AS d
WHERE d.starlisting_id = %(starlisting)s AND d.day BETWEEN %(first_day)s::date AND %(last_day)s::date
"""

_ROW_TEXT: Mapping[RowFormat, tuple[str, str]] = {
    "json": (
        """
        concat('{"time":', extract(epoch FROM c.time)::bigint, ',"open":', trim_scale(c.open), ',"high":',
            trim_scale(c.high), ',"low":', trim_scale(c.low), ',"close":', trim_scale(c.close), ',"volume":',
            trim_scale(c.volume), '}')
        """,
        "','",
    ),
    "csv": (
        """
        concat_ws(',', extract(epoch FROM c.time)::bigint, trim_scale(c.open), trim_scale(c.high), trim_scale(c.low),
            trim_scale(c.close), trim_scale(c.volume))
        """,
        "E'\\n'",
    ),
}

_ROWS = """
SELECT convert_to(coalesce(string_agg({text}, {separator} ORDER BY c.time), ''), 'UTF8') AS text
FROM candles AS c
WHERE c.starlisting_id = %(starlisting)s AND c.time BETWEEN %(start)s AND %(end)s
"""

_ROWS_TEXT = {name: _ROWS.format(text=text, separator=separator) for name, (text, separator) in _ROW_TEXT.items()}
_STATE_AND_ROWS = {name: f"SELECT * FROM ({_STATE}) AS state, ({rows}) AS rows" for name, rows in _ROWS_TEXT.items()}

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_SPAN = """
SELECT
    (SELECT extract(epoch FROM first_time)::bigint FROM candle_days
     WHERE starlisting_id = %(starlisting)s AND rows > 0 ORDER BY day LIMIT 1),
    (SELECT extract(epoch FROM last_time)::bigint FROM candle_days
     WHERE starlisting_id = %(starlisting)s AND rows > 0 ORDER BY day DESC LIMIT 1)
"""


async def load_range_state(connection: Connection, starlisting_id: int, days: RangeDays) -> RangeState:
    """The state of the starlisting's days."""
    parameters = {"starlisting": starlisting_id, **_day_parameters(days)}
    row = await _only_row(await connection.execute(_STATE, parameters, prepare=True, binary=True))
    return _range_state(row)


async def load_candles_text(
    connection: Connection,
    starlisting_id: int,
    *,
    days: RangeDays,
    start_ms: int,
    end_ms: int,
    row_format: RowFormat,
) -> tuple[RangeState, bytes]:
    """The state of `days` and, of the same snapshot, the candles that open from `start_ms` to `end_ms`, both included.

    JSON rows are joined by commas, without brackets; CSV rows by line feeds, without a header. Columns: time (Unix
    seconds), open, high, low, close, volume.
    """
    parameters = {
        "starlisting": starlisting_id,
        **_day_parameters(days),
        "start": from_ms(start_ms),
        "end": from_ms(end_ms),
    }
    row = await _only_row(await connection.execute(_STATE_AND_ROWS[row_format], parameters, prepare=True, binary=True))
    return _range_state(row), row[4]


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """Everything read inside is of one moment. Read fast: the connection is in a transaction until the end."""
    async with connection.transaction():
        await connection.execute(_SNAPSHOT)
        yield


async def load_rows_text(
    connection: Connection, starlisting_id: int, *, start_ms: int, end_ms: int, row_format: RowFormat
) -> bytes:
    """The candles that open from `start_ms` to `end_ms`, both included, as `load_candles_text` gives them."""
    parameters = {"starlisting": starlisting_id, "start": from_ms(start_ms), "end": from_ms(end_ms)}
    row = await _only_row(await connection.execute(_ROWS_TEXT[row_format], parameters, prepare=True, binary=True))
    text: bytes = row[0]
    return text


async def load_span(connection: Connection, starlisting_id: int) -> Span:
    """From which to which candle the starlisting has data; two steps down an index."""
    cursor = await connection.execute(_SPAN, {"starlisting": starlisting_id}, prepare=True, binary=True)
    return Span(*await _only_row(cursor))


def _day_parameters(days: RangeDays) -> dict[str, date]:
    return {
        "first_day": days.first,
        "last_day": days.last,
        "whole_first": days.whole_first,
        "whole_last": days.whole_last,
    }


def _range_state(row: tuple[Any, ...]) -> RangeState:
    return RangeState(row[0], row[1], row[2], int(row[3]))


async def _only_row(cursor: AsyncCursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    row = await cursor.fetchone()
    assert row is not None
    return row
