"""What the API is measured against: the least that could give the same answers, under the same server.

Belongs here: bare ASGI applications for `python -m uvicorn`; the environment says what they serve. Does not: measuring.

    cold   the same query by psycopg on one kept connection (binary, prepared), dumped by orjson; prices as floats, which
           is quicker than exact decimals
    bytes  BENCH_BYTES bytes of JSON on every path but /304, which is a 304 with an ETag
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
import psycopg
from psycopg.rows import DictRow, dict_row
from starlette.types import Message, Receive, Scope, Send

_QUERY = """
SELECT extract(epoch FROM c.time)::bigint AS time, c.open::float8, c.high::float8, c.low::float8, c.close::float8,
    c.volume::float8
FROM candles AS c
WHERE c.starlisting_id = %s AND c.time BETWEEN %s AND %s
ORDER BY c.time
"""
_STARTED: Message = {"type": "lifespan.startup.complete"}
_STOPPED: Message = {"type": "lifespan.shutdown.complete"}


class Cold:
    """A bare handler that runs the query and dumps the rows."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection[DictRow] | None = None
        self._starlisting = int(os.environ["BENCH_STARLISTING"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await receive()
            self._connection = await psycopg.AsyncConnection.connect(
                os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row
            )
            await send(_STARTED)
            await receive()
            await self._connection.close()
            await send(_STOPPED)
            return
        assert self._connection is not None
        asked = parse_qs(scope["query_string"].decode())
        start, end = (datetime.fromtimestamp(int(asked[name][0]), UTC) for name in ("from", "to"))
        cursor = await self._connection.execute(_QUERY, (self._starlisting, start, end), prepare=True, binary=True)
        await _answer(send, 200, orjson.dumps(await cursor.fetchall()))


class Bytes:
    """A bare application that sends the same bytes again and again."""

    def __init__(self) -> None:
        self._body = b"[" + b"1" * (int(os.environ["BENCH_BYTES"]) - 2) + b"]"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await receive()
            await send(_STARTED)
            await receive()
            await send(_STOPPED)
        elif scope["path"] == "/304":
            await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", b'"a"')]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await _answer(send, 200, self._body)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def cold() -> Cold:
    """For `uvicorn --factory`."""
    return Cold()


def same_bytes() -> Bytes:
    """For `uvicorn --factory`."""
    return Bytes()
