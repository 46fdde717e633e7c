"""Rows for a request: from memory while nothing changed, else in one statement of Postgres, which makes the JSON.

Belongs here: bodies, versions and tags. Does not: HTTP framing (routes.py), SQL.

A version is that of the rows' text, so it changes when, and only when, a row of the answer does. Those of candles are kept while no
candle of the starlisting changes, so an unchanged answer is 304 from memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import orjson

from api_service.candles.memory import Bodies, Versions
from api_service.candles.representation import Headers, is_known, licence_headers
from api_service.database import Database
from api_service.starlistings.query import RowsQuery
from market_platform.domain.clock import to_ms
from market_platform.warehouse.starlisting_queries import (
    PairRows,
    StarlistingRow,
    load_newest_candles,
    load_newest_of_pair,
)


@dataclass(frozen=True, slots=True)
class RowsAnswer:
    """Status, headers and body of an answer; None for 304."""

    status: int
    headers: Headers
    body: bytes | None


class Rows:
    """Answers requests for rows.

    Args:
        database: where rows are read.
        versions: versions of candles by range, kept while nothing changes.
        bodies: bodies by version.
    """

    def __init__(self, database: Database, versions: Versions[str], bodies: Bodies) -> None:
        self._database = database
        self._versions = versions
        self._bodies = bodies

    async def candles(
        self, row: StarlistingRow, query: RowsQuery, *, if_none_match: bytes | None, no_cache: bool
    ) -> RowsAnswer:
        """The newest candles of a range.

        Raises:
            WarehouseUnavailableError: Postgres is needed and does not answer.
        """
        start, end, limit = query
        key = (row.id, -1 if start is None else to_ms(start), -1 if end is None else to_ms(end), limit)
        version = None if no_cache else self._versions.get(key)
        shape = f"{key[1]} {key[2]}"  # the body tells the range back, so equal rows of another range are another body
        if version is not None:
            if is_known(if_none_match, b'"%b"' % version.encode()):
                return _unchanged(row, version)
            body = self._bodies.get(version, shape)
            if body is not None:
                return _whole(row, version, body)
        token = self._versions.token(row.id)
        found = await self._database.run(
            lambda connection: load_newest_candles(connection, row.id, start=start, end=end, limit=limit)
        )
        version = _version(f"{row.exchange} {row.trading_pair} {row.market_type} {row.interval}", found.text)
        self._versions.put(key, version, token)
        if is_known(if_none_match, b'"%b"' % version.encode()):
            return _unchanged(row, version)
        body = _body(found.text, row, query, found.rows, interval=row.interval)
        self._bodies.put(version, shape, body)
        return _whole(row, version, body)

    async def of_pair(
        self, table: PairRows, row: StarlistingRow, query: RowsQuery, *, if_none_match: bytes | None
    ) -> RowsAnswer:
        """The newest funding rates or open interests of a range, of the starlisting's pair.

        Raises:
            WarehouseUnavailableError: Postgres does not answer.
        """
        start, end, limit = query
        text, count = await self._database.run(
            lambda connection: load_newest_of_pair(
                connection, table, row.trading_pair_id, start=start, end=end, limit=limit
            )
        )
        version = _version(f"{table} {row.exchange} {row.trading_pair} {row.market_type}", text)
        if is_known(if_none_match, b'"%b"' % version.encode()):
            return _unchanged(row, version)
        return _whole(row, version, _body(text, row, query, count))


def _version(series: str, text: bytes) -> str:
    """The same for the same rows of a series, however they were asked for."""
    digest = hashlib.sha256(text)
    digest.update(f"\n{series}".encode())
    return digest.hexdigest()[:32]


def _body(text: bytes, row: StarlistingRow, query: RowsQuery, count: int, **more: str) -> bytes:
    metadata = {
        "exchange": row.exchange,
        "coin": row.coin,
        "quote": row.quote,
        "trading_pair": row.trading_pair,
        "market_type": row.market_type,
        **more,
        "count": count,
        "start_time": _shown(query.start),
        "end_time": _shown(query.end),
    }
    return b'{"data":[%b],"metadata":%b}' % (text, orjson.dumps(metadata))


def _shown(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _headers(row: StarlistingRow, version: str) -> Headers:
    return [
        (b"etag", b'"%b"' % version.encode()),
        (b"x-data-version", version.encode()),
        (b"cache-control", b"no-cache"),
        *licence_headers(row.licence),
    ]


def _unchanged(row: StarlistingRow, version: str) -> RowsAnswer:
    return RowsAnswer(304, _headers(row, version), None)


def _whole(row: StarlistingRow, version: str, body: bytes) -> RowsAnswer:
    described = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return RowsAnswer(200, [*_headers(row, version), *described], body)
