"""What `/candles/…` is measured against: a bare ASGI handler that runs the same query and dumps the same JSON.

Belongs here: that handler, for `python -m uvicorn`; the environment says which starlisting. Does not: measuring. The query runs
on one kept connection (binary, prepared), decimals come as text, and orjson dumps the rows as they are.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from urllib.parse import parse_qs

import orjson
import psycopg
from psycopg.rows import DictRow, dict_row
from starlette.types import Message, Receive, Scope, Send

_QUERY = """
SELECT time, open::text, high::text, low::text, close::text, volume::text, num_trades
FROM candles WHERE starlisting_id = %s AND time <= %s ORDER BY time DESC LIMIT %s
"""
_METADATA = {
    "exchange": "bench",
    "coin": "EUR",
    "quote": "USD",
    "trading_pair": "EUR/USD",
    "market_type": "spot",
    "interval": "1m",
}
_STARTED: Message = {"type": "lifespan.startup.complete"}
_STOPPED: Message = {"type": "lifespan.shutdown.complete"}


class NewestRows:
    """A bare handler that runs the query and dumps the rows."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection[DictRow] | None = None
        self._starlisting = int(os.environ["BENCH_STARLISTING"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await receive()
            self._connection = await psycopg.AsyncConnection.connect(
                os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row, options="-c timezone=UTC"
            )
            await send(_STARTED)
            await receive()
            await self._connection.close()
            await send(_STOPPED)
            return
        assert self._connection is not None
        asked = parse_qs(scope["query_string"].decode())
        end, limit = datetime.fromtimestamp(int(asked["end_time"][0]), UTC), int(asked["limit"][0])
        cursor = await self._connection.execute(_QUERY, (self._starlisting, end, limit), prepare=True, binary=True)
        rows = (await cursor.fetchall())[::-1]
        metadata = {**_METADATA, "count": len(rows), "start_time": None, "end_time": end}
        body = orjson.dumps({"data": rows, "metadata": metadata})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def newest_rows() -> NewestRows:
    """For `uvicorn --factory`."""
    return NewestRows()
