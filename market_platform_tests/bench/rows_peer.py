"""What `/candles/…` is measured against: a bare ASGI handler that runs the same query and dumps the same JSON.

Belongs here: that handler, for `python -m uvicorn`; the environment says which starlisting. Does not: measuring. The query runs
on one kept connection (binary, prepared), decimals come as text, and orjson dumps the rows as they are.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs

import orjson
from starlette.types import Scope, Send

from market_platform_tests.bench.bare_app import QueryApp, respond

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


class NewestRows(QueryApp):
    """A bare handler that runs the query and dumps the rows."""

    async def answer(self, scope: Scope, send: Send) -> None:
        """Answer one request."""
        asked = parse_qs(scope["query_string"].decode())
        end, limit = datetime.fromtimestamp(int(asked["end_time"][0]), UTC), int(asked["limit"][0])
        rows = (await self.rows(_QUERY, self.starlisting_id, end, limit))[::-1]
        metadata = {**_METADATA, "count": len(rows), "start_time": None, "end_time": end}
        await respond(send, 200, orjson.dumps({"data": rows, "metadata": metadata}))


def newest_rows() -> NewestRows:
    """For `uvicorn --factory`."""
    return NewestRows()
