"""Where each live exchange is found on the replay exchange. Belongs here: paths. Does not: what is said there."""

from __future__ import annotations

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from market_platform.replay.faults import FaultBook
from market_platform.replay.live.binance.rest import BinanceRest
from market_platform.replay.live.binance.sockets import BinanceSocket, Side, SocketLimits
from market_platform.replay.live.hub import Hub
from market_platform.replay.live.markets import Venue
from market_platform.replay.live.serving import Serving
from market_platform.replay.live.world import World
from market_platform.replay.middleware import RequestLog

SPOT_LIMITS = SocketLimits()
USDM_LIMITS = SocketLimits(streams=1024, messages_per_s=10)


def live_routes(world: World, faults: FaultBook, log: RequestLog) -> list[BaseRoute]:
    """Every path of the exchanges that stream."""
    serving = Serving(Hub(world), faults, log)
    return [
        *_binance_sockets(serving, "/binance/spot", "binance-spot", "spot", SPOT_LIMITS),
        *_binance_sockets(serving, "/binance/usdm/market", "binance-usdm", "market", USDM_LIMITS),
        *_binance_sockets(serving, "/binance/usdm/public", "binance-usdm", "public", USDM_LIMITS),
        *BinanceRest(world, "binance-spot").routes("/binance/spot/api/v3"),
        *BinanceRest(world, "binance-usdm").routes("/binance/usdm/fapi/v1"),
    ]


def _binance_sockets(serving: Serving, root: str, venue: Venue, side: Side, limits: SocketLimits) -> list[BaseRoute]:
    async def raw(websocket: WebSocket) -> None:
        names = [name for name in websocket.path_params.get("names", "").split("/") if name]
        await BinanceSocket(serving.hub, venue, side, limits, combined=False).serve(websocket, serving, names)

    async def combined(websocket: WebSocket) -> None:
        names = [name for name in websocket.query_params.get("streams", "").split("/") if name]
        await BinanceSocket(serving.hub, venue, side, limits, combined=True).serve(websocket, serving, names)

    return [
        WebSocketRoute(f"{root}/ws", raw),
        WebSocketRoute(f"{root}/ws/{{names:path}}", raw),
        WebSocketRoute(f"{root}/stream", combined),
    ]
