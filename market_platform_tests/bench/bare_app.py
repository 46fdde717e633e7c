"""A bare ASGI application: the least that a server needs to answer requests, for the peers that the API is measured against."""

from __future__ import annotations

import os
from typing import Any, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row
from starlette.types import Message, Receive, Scope, Send

_STARTED: Message = {"type": "lifespan.startup.complete"}
_STOPPED: Message = {"type": "lifespan.shutdown.complete"}


class BareApp:
    """Begins and ends as the server says, and answers requests."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live."""
        if scope["type"] != "lifespan":
            await self.answer(scope, send)
            return
        await receive()
        await self.begin()
        await send(_STARTED)
        await receive()
        await self.end()
        await send(_STOPPED)

    async def begin(self) -> None:
        """Before the first request."""

    async def end(self) -> None:
        """After the last request."""

    async def answer(self, scope: Scope, send: Send) -> None:
        """Answer one request."""
        raise NotImplementedError


class QueryApp(BareApp):
    """One that asks Postgres on one kept connection; the environment says which database and starlisting."""

    def __init__(self) -> None:
        self.starlisting_id = int(os.environ["BENCH_STARLISTING"])
        self._connection: psycopg.AsyncConnection[DictRow] | None = None

    async def begin(self) -> None:
        """Connect."""
        self._connection = await psycopg.AsyncConnection.connect(
            os.environ["DATABASE_URL"], autocommit=True, row_factory=dict_row, options="-c timezone=UTC"
        )

    async def end(self) -> None:
        """Leave."""
        if self._connection is not None:
            await self._connection.close()

    async def rows(self, query: LiteralString, *parameters: object) -> list[DictRow]:
        """Rows of a query, binary and prepared."""
        assert self._connection is not None
        cursor = await self._connection.execute(query, parameters, prepare=True, binary=True)
        return await cursor.fetchall()


async def respond(send: Send, status: int, body: bytes) -> None:
    """A whole answer of JSON."""
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
