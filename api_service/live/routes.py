"""The paths, how many clients there may be, and their heartbeat.

Belongs here: accepting, refusing, ending. Does not: what a client gets (session.py, charts.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import parse_qs

import structlog
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api_service.live.charts import ChartSession
from api_service.live.conversation import AWAY, Services
from api_service.live.errors import ActionError, ClientGoneError
from api_service.live.messages import clock_frame, error_frame, status_frame
from api_service.live.outbox import Outbox
from api_service.live.session import Session
from api_service.live.wire import Wire, wire_of

_AT_ONCE = 200
"""Heartbeats written before others get their turn."""

_log = structlog.get_logger("api.live")


class Clients:
    """Everyone who is connected: at most `limit`, each with an outbox of at most `outbox_bytes`."""

    def __init__(self, services: Services, *, limit: int, outbox_bytes: int, heartbeat_s: float) -> None:
        self.services = services
        self._limit = limit
        self._outbox_bytes = outbox_bytes
        self._heartbeat_s = heartbeat_s
        self._outboxes: set[Outbox] = set()

    async def beat(self) -> None:
        """Send every client a `ping` every `heartbeat_s`, for ever."""
        while True:
            await asyncio.sleep(self._heartbeat_s)
            ping = clock_frame("ping", self.services.clock())
            for number, outbox in enumerate(list(self._outboxes), start=1):
                outbox.send_state("ping", ping)
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)

    def enter(self, wire: Wire) -> Outbox | None:
        """The outbox of a client that was accepted; None when there is no room: it is closed with 1008."""
        metrics = self.services.metrics
        if len(self._outboxes) >= self._limit:
            metrics.refused.inc()
            wire.close(1008, f"capacity: {self._limit} clients are connected")
            return None
        outbox = Outbox(wire, self._outbox_bytes, metrics.slow_consumers.inc)
        self._outboxes.add(outbox)
        metrics.clients.set(len(self._outboxes))
        return outbox

    def leave(self, outbox: Outbox) -> None:
        """The client is gone."""
        self._outboxes.discard(outbox)
        self.services.metrics.clients.set(len(self._outboxes))


class LiveSocket:
    """`/ws`: both dialects."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client."""
        async with _joined(scope, receive, send) as (services, outbox):
            if outbox is not None:
                outbox.send(status_frame())
                await Session(services, outbox).run(receive)


class ChartSocket:
    """`/ws/subscribe`, where a client says which charts it wants, and `/ws/{symbol}`, where the path does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client."""
        async with _joined(scope, receive, send) as (services, outbox):
            if outbox is None:
                return
            session = ChartSession(services, outbox)
            symbol = scope["path_params"].get("symbol")
            if symbol is None or await _begin(session, outbox, symbol, scope["query_string"]):
                await session.run(receive)


def live_routes() -> list[WebSocketRoute]:
    """The WebSocket paths."""
    chart: ASGIApp = ChartSocket()
    return [
        WebSocketRoute("/ws", cast("ASGIApp", LiveSocket())),
        WebSocketRoute("/ws/subscribe", chart),
        WebSocketRoute("/ws/{symbol:path}", chart),
    ]


@asynccontextmanager
async def _joined(scope: Scope, receive: Receive, send: Send) -> AsyncIterator[tuple[Services, Outbox | None]]:
    """Accept a client, who is gone at the end; without an outbox where there is no room."""
    clients = cast("Clients", scope["state"]["clients"])
    wire = wire_of(scope)
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    outbox = clients.enter(wire)
    try:
        yield clients.services, outbox
    finally:
        if outbox is not None:
            clients.leave(outbox)


async def _begin(session: ChartSession, outbox: Outbox, symbol: str, query: bytes) -> bool:
    """Begin the path's chart; whether it was begun."""
    asked = parse_qs(query.decode("latin-1"))
    exchange = asked.get("exchange", [None])[0]
    try:
        await session.begin(symbol, asked.get("timeframe", ["1m"])[0], exchange)
    except ActionError as error:
        outbox.send(error_frame(error.code, str(error)))
        outbox.close(1008, error.code)
    except AWAY as error:
        _log.warning("a chart could not be begun", reason=str(error))
        outbox.send(error_frame("internal_error", "the database does not answer; connect again in a few seconds"))
        outbox.close(1013, "try again later")
    except ClientGoneError:
        pass
    else:
        return True
    return False
