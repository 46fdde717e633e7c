"""The two paths of candles, as bare ASGI (see fast_path.py): an answer from memory is a few dictionary look-ups and two messages.

Their documentation is made in documentation.py from the model that checks the parameters.
"""

from __future__ import annotations

import asyncio
import re

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api_service.candles.answers import Answer, Candles
from api_service.candles.query import parse_query
from api_service.candles.representation import chosen_format
from api_service.candles.spool import Spool
from api_service.fast_path import FastRoute
from api_service.problems import ProblemError

_LONGEST_QUERY = 1024
_SEND_TIMEOUT_S = 30.0
"""How long a client may take for a piece of a long answer before it is given up."""


class CandlesEndpoint:
    """`GET /api/candles…`; symbol and timeframe come from the path where it has them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Answer one request."""
        query_string: bytes = scope["query_string"]
        if len(query_string) > _LONGEST_QUERY:
            raise ProblemError("invalid_parameter", f"the query string is longer than {_LONGEST_QUERY} bytes")
        path = scope["path_params"]
        query = parse_query(query_string, path.get("symbol"), path.get("timeframe"))
        accept = if_none_match = None
        no_cache = False
        for name, value in scope["headers"]:
            if name == b"if-none-match":
                if_none_match = value if if_none_match is None else if_none_match + b", " + value
            elif name == b"accept":
                accept = value if accept is None else accept + b"," + value
            elif name == b"cache-control":
                no_cache = b"no-cache" in value.lower()
        candles: Candles = scope["state"]["candles"]
        head = scope["method"] == "HEAD"
        row_format = chosen_format(query, accept)
        answer = await candles.answer(query, row_format, if_none_match=if_none_match, no_cache=no_cache, head=head)
        await _send(answer, send, head=head)


async def _send(answer: Answer, send: Send, *, head: bool) -> None:
    start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers.copy()}
    if not isinstance(answer.body, Spool):
        await send(start)
        await send({"type": "http.response.body", "body": b"" if head or answer.body is None else answer.body})
        return
    try:
        await send(start)
        async for piece in answer.body.pieces():
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        answer.body.close()


def candle_routes() -> list[Route]:
    """Both paths; a symbol in a path may have a slash of its own (`EUR/USD`)."""
    endpoint = CandlesEndpoint()
    return [
        Route("/api/candles", endpoint, methods=["GET"]),
        Route("/api/candles/{symbol:path}/{timeframe}", endpoint, methods=["GET"]),
    ]


def fast_candle_routes() -> list[FastRoute]:
    """The same for the short way."""
    endpoint = CandlesEndpoint()
    return [
        FastRoute(re.compile("/api/candles"), endpoint, "/api/candles"),
        FastRoute(re.compile(r"/api/candles/(?P<symbol>.+)/(?P<timeframe>[^/]+)"), endpoint, "/api/candles"),
    ]
