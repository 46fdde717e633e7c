"""The two paths of candles, as bare ASGI: an answer from memory is a few dictionary look-ups and two messages.

Measured on a 304 from memory, over HTTP: a bare ASGI application takes 35 µs, this endpoint 75, and 95 with FastAPI's
layers around it; through a FastAPI function it takes 150. So `FastPath` goes first, and whatever is not a plain GET or HEAD
of these paths goes on to FastAPI, where they are ordinary routes. Their documentation is made in documentation.py from the
model that checks the parameters.
"""

from __future__ import annotations

import asyncio
import re

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api_service.candles.answers import Answer, Candles
from api_service.candles.query import parse_query
from api_service.candles.representation import chosen_format
from api_service.candles.spool import Spool
from api_service.problems import EXCEPTION_HANDLERS, ProblemError, handler_of

_IN_PATH = re.compile(r"/api/candles/(?P<symbol>.+)/(?P<timeframe>[^/]+)")
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


class FastPath:
    """Answers candles itself and passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._endpoint = CandlesEndpoint()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path == "/api/candles":
            scope["path_params"] = {}
        elif found := _IN_PATH.fullmatch(path):
            scope["path_params"] = found.groupdict()
        else:
            await self._app(scope, receive, send)
            return
        try:
            await self._endpoint(scope, receive, send)
        except tuple(EXCEPTION_HANDLERS) as error:
            response = await handler_of(error)(Request(scope), error)
            await response(scope, receive, send)


def candle_routes() -> list[Route]:
    """Both paths; a symbol in a path may have a slash of its own (`EUR/USD`)."""
    endpoint = CandlesEndpoint()
    return [
        Route("/api/candles", endpoint, methods=["GET"]),
        Route("/api/candles/{symbol:path}/{timeframe}", endpoint, methods=["GET"]),
    ]
