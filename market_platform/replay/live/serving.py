"""A WebSocket connection from its handshake to its end.

Belongs here: what the exchanges' sockets have in common: faults of the handshake, the outlet, reading, ending. Does not: what
is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from market_platform.replay.faults import HANDSHAKE_KINDS, FaultBook
from market_platform.replay.live.hub import Hub
from market_platform.replay.live.outlet import End, Outlet, websocket_frame
from market_platform.replay.middleware import RequestLog

_CLOSING = {End.CUT: 1000, End.REFUSED: 1008}


class Serving:
    """What serves connections: the hub, the faults and the log of one replay exchange."""

    def __init__(self, hub: Hub, faults: FaultBook, log: RequestLog) -> None:
        self.hub = hub
        self.faults = faults
        self._log = log

    async def run(
        self,
        websocket: WebSocket,
        names: Callable[[], str],
        begin: Callable[[Outlet], bool],
        hear: Callable[[Outlet, str], bool],
        farewell: Callable[[], bytes] | None = None,
    ) -> None:
        """Serve one client. `begin` and `hear` return False when the connection is to be closed with 1008.

        `names` are the subscriptions now, for rules of faults.
        """
        path = websocket.url.path + (f"?{websocket.url.query}" if websocket.url.query else "")
        self._log.began(path)
        refusal = self.faults.take(path, HANDSHAKE_KINDS)
        if refusal is not None:
            self._log.ended(str(refusal.status))
            await websocket.send_denial_response(PlainTextResponse("refused", refusal.status))
            return
        await websocket.accept()
        outlet = Outlet(
            websocket.scope["state"]["transport"],
            websocket_frame,
            self.faults,
            lambda: f"{path} {names()}",
            farewell,
        )
        self.hub.open(outlet)
        reading = asyncio.create_task(_read(websocket, outlet, hear))
        try:
            if not begin(outlet):
                outlet.end(End.REFUSED)
            await asyncio.wait((reading, outlet.ended), return_when=asyncio.FIRST_COMPLETED)
            how = outlet.ended.result() if outlet.ended.done() else End.GONE
            if how in _CLOSING:
                await websocket.close(_CLOSING[how])
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self.hub.close(outlet)
            self._log.ended("101")


async def _read(websocket: WebSocket, outlet: Outlet, hear: Callable[[Outlet, str], bool]) -> None:
    try:
        while True:
            if not hear(outlet, await websocket.receive_text()):
                outlet.end(End.REFUSED)
                return
    except (WebSocketDisconnect, KeyError):
        return
