"""The days that a range covers in part: their rows are told apart by a digest of the rows themselves.

Belongs here: which days those are, and that digest. Does not: how a version is made of it (representation.py).

A day that lies in the range whole has a version of its own in Postgres, which moves when, and only when, a candle of it does.
Of a day at an edge of the range it moves for other rows too; today's does every minute. Whether a day is whole is decided by
the range alone, so that a tag never changes because candles outside the range came.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import NamedTuple

from api_service.candles.conditions import day_of, days_of
from api_service.candles.query import CandleQuery
from market_platform.domain.intervals import DAY_MS
from market_platform.warehouse.chart_queries import Connection, RangeDays, RowFormat, load_rows_text


class _Whole(NamedTuple):
    """From when (included) to when (excluded) whole days lie in a range, ms; nothing lies between when there are none."""

    start_ms: int
    end_ms: int


def range_days(query: CandleQuery) -> RangeDays:
    """The days of `candle_days` that candles of the range belong to, and those of them that lie in it whole."""
    first, last = days_of(query.interval, query.start_ms, query.end_ms)
    whole = _whole(query)
    return RangeDays(first, last, day_of(whole.start_ms), day_of(whole.end_ms - 1))


def edge_digest(query: CandleQuery, text: bytes, row_format: RowFormat) -> str | None:
    """The digest of the rows of `text` (all rows of the range) that whole days do not have; the same for JSON and CSV."""
    if not text:
        return None
    whole = _whole(query)
    if whole.start_ms >= whole.end_ms and row_format == "json":
        return _digest(text[1:-1])
    rows = _rows(text, row_format)
    if whole.start_ms < whole.end_ms:
        first, after = (bisect_left(rows, -(-each // 1000), key=_time) for each in whole)
        rows = rows[:first] + rows[after:]
    return _digest(b"},{".join(rows))


def is_cut(query: CandleQuery) -> bool:
    """Whether the range has a part of a day."""
    return bool(_edges(query))


async def load_edge_digest(connection: Connection, starlisting_id: int, query: CandleQuery) -> str | None:
    """The same, of rows that are read for it; inside a snapshot, of that."""
    texts = []
    for start_ms, end_ms in _edges(query):
        texts.append(
            await load_rows_text(connection, starlisting_id, start_ms=start_ms, end_ms=end_ms, row_format="json")
        )
    return _digest(b",".join(each for each in texts if each)[1:-1])


def _edges(query: CandleQuery) -> list[tuple[int, int]]:
    """First and last moment, ms, of the parts of the range that are not whole days."""
    whole = _whole(query)
    parts = [(query.start_ms, query.end_ms)]
    if whole.start_ms < whole.end_ms:
        parts = [(query.start_ms, whole.start_ms - 1), (whole.end_ms, query.end_ms)]
    return [(start, end) for start, end in parts if start <= end]


def _whole(query: CandleQuery) -> _Whole:
    if not query.interval.is_intraday:  # a period's candle belongs to its first day, and none is ever cut
        return _Whole(query.start_ms, query.end_ms + 1)
    return _Whole(-(-query.start_ms // DAY_MS) * DAY_MS, (query.end_ms + query.interval.ms) // DAY_MS * DAY_MS)


def _rows(text: bytes, row_format: RowFormat) -> list[bytes]:
    """Each row's members as JSON has them, without braces."""
    if row_format == "json":
        return text[1:-1].split(b"},{")
    members = b'"time":%b,"open":%b,"high":%b,"low":%b,"close":%b,"volume":%b'
    return [members % tuple(each.split(b",")) for each in text.split(b"\n")]


def _time(row: bytes) -> int:
    """Its open time, Unix seconds."""
    return int(row[len('"time":') : row.index(b",")])


def _digest(rows: bytes) -> str | None:
    return hashlib.sha256(rows).hexdigest() if rows else None
