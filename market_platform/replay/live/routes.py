"""Where each live exchange is found on the replay exchange. Belongs here: paths. Does not: what is said there."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from market_platform.replay.faults import FaultBook
from market_platform.replay.live.binance.rest import BinanceRest
from market_platform.replay.live.binance.sockets import BinanceSocket, Side, SocketLimits
from market_platform.replay.live.binance_dumps.serving import BinanceDumps
from market_platform.replay.live.hub import Hub
from market_platform.replay.live.hyperliquid.info import HyperliquidInfo
from market_platform.replay.live.hyperliquid.sockets import Address, HyperliquidSocket
from market_platform.replay.live.limits import LiveLimits
from market_platform.replay.live.markets import Venue
from market_platform.replay.live.oanda.rest import Oanda
from market_platform.replay.live.serving import Serving
from market_platform.replay.live.truth import Truth
from market_platform.replay.live.world import World
from market_platform.replay.middleware import RequestLog


def live_routes(world: World, faults: FaultBook, log: RequestLog, limits: LiveLimits) -> list[BaseRoute]:
    """Every path of the exchanges that stream."""
    spot = SocketLimits(limits.spot_streams, limits.spot_messages_per_s)
    usdm = SocketLimits(limits.usdm_streams, limits.usdm_messages_per_s)
    hub = Hub(world)
    serving = Serving(hub, faults, log)
    return [
        *_binance_sockets(serving, "/binance/spot", "binance-spot", "spot", spot),
        *_binance_sockets(serving, "/binance/usdm/market", "binance-usdm", "market", usdm),
        *_binance_sockets(serving, "/binance/usdm/public", "binance-usdm", "public", usdm),
        *BinanceRest(world, "binance-spot", limits.spot_weight).routes("/binance/spot/api/v3"),
        *BinanceRest(world, "binance-usdm", limits.usdm_weight).routes(
            "/binance/usdm/fapi/v1", "/binance/usdm/futures/data"
        ),
        *BinanceDumps(world).routes("/binance/dumps"),
        _hyperliquid_socket(serving, limits),
        Route("/hyperliquid/info", HyperliquidInfo(world, limits.hyperliquid_weight).answer, methods=["POST"]),
        *Oanda(hub, world.quotes, faults).routes("/oanda/v3"),
        *Truth(world).routes(),
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


def _hyperliquid_socket(serving: Serving, limits: LiveLimits) -> BaseRoute:
    address = Address(limits)

    async def socket(websocket: WebSocket) -> None:
        await HyperliquidSocket(serving.hub, address).serve(websocket, serving)

    return WebSocketRoute("/hyperliquid/ws", socket)
