"""What the API is measured against: the least that could give the same answers, under the same server.

Belongs here: bare ASGI applications for `python -m uvicorn`; the environment says what they serve. Does not: measuring.

    cold   the same query by psycopg on one kept connection (binary, prepared), dumped by orjson; prices as floats, which
           is quicker than exact decimals
    bytes  BENCH_BYTES bytes of JSON on every path but /304, which is a 304 with an ETag
    broadcast  WebSockets that are all sent BENCH_MESSAGES messages, one after the other, when /go is asked for
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from urllib.parse import parse_qs

import orjson
from starlette.types import Receive, Scope, Send

from market_platform_tests.bench.bare_app import BareApp, QueryApp, respond

_QUERY = """
SELECT extract(epoch FROM c.time)::bigint AS time, c.open::float8, c.high::float8, c.low::float8, c.close::float8,
    c.volume::float8
FROM candles AS c
WHERE c.starlisting_id = %s AND c.time BETWEEN %s AND %s
ORDER BY c.time
"""
_CANDLE = (
    '{"type":"candle","starlisting_id":1,"exchange":"binance","coin":"BTC","quote":"USDT","trading_pair":"BTC/USDT",'
    '"market_type":"spot","interval":"1m","seq":%d,"closed":true,"data":{"time":"2026-11-02T00:00:00+00:00",'
    '"open":"60000.500000000000000000","high":"60000.500000000000000000","low":"60000.500000000000000000",'
    '"close":"60000.500000000000000000","volume":"12.500000000000000000","num_trades":100}}'
)


class Cold(QueryApp):
    """A bare handler that runs the query and dumps the rows."""

    async def answer(self, scope: Scope, send: Send) -> None:
        """Answer one request."""
        asked = parse_qs(scope["query_string"].decode())
        start, end = (datetime.fromtimestamp(int(asked[name][0]), UTC) for name in ("from", "to"))
        await respond(send, 200, orjson.dumps(await self.rows(_QUERY, self.starlisting_id, start, end)))


class Bytes(BareApp):
    """A bare application that sends the same bytes again and again."""

    def __init__(self) -> None:
        self._body = b"[" + b"1" * (int(os.environ["BENCH_BYTES"]) - 2) + b"]"

    async def answer(self, scope: Scope, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == "/304":
            await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", b'"a"')]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await respond(send, 200, self._body)


class Broadcast:
    """A bare application that sends every message to every WebSocket with ASGI's `send`."""

    def __init__(self) -> None:
        self._clients: list[Send] = []
        self._messages = int(os.environ["BENCH_MESSAGES"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client, or send to all."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            await send({"type": "websocket.send", "text": '{"type":"success"}'})
            self._clients.append(send)
            while (await receive())["type"] != "websocket.disconnect":
                pass
        elif scope["type"] == "http":
            if scope["path"] == "/go":
                for number in range(self._messages):
                    text = _CANDLE % number
                    for each in self._clients:
                        await each({"type": "websocket.send", "text": text})
            await respond(send, 200, b"{}")


def cold() -> Cold:
    """For `uvicorn --factory`."""
    return Cold()


def same_bytes() -> Bytes:
    """For `uvicorn --factory`."""
    return Bytes()


def broadcast() -> Broadcast:
    """For `uvicorn --factory`."""
    return Broadcast()
