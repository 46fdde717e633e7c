"""The replay exchange as an ASGI application.

Belongs here: routes and what is common to all answers. Does not: bodies (sources make them), processes (server.py).

    /dukascopy/v1/…          the JSON API: instruments, ticks, candles
    /dukascopy/datafeed/…    bi5 files
    /binance/… /hyperliquid/… /oanda/…   the exchanges that stream; live/routes.py says where
    /yahoo/…                 charts of stocks; yahoo/chart.py
    /healthz                 what is served, and the live exchanges' time
    /_faults                 GET, POST, DELETE: misbehaviour on demand; faults.py says how
    /_requests               GET, DELETE: what was asked for
    /_truth/…                what the live exchanges really did; live/truth.py
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio.to_thread
import orjson
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from market_platform.domain.errors import MarketPlatformError
from market_platform.replay.addresses import Address, bi5_address, json_address
from market_platform.replay.faults import BadRuleError, FaultBook, parse_rules
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.limits import LiveLimits
from market_platform.replay.live.routes import live_routes
from market_platform.replay.live.world import World
from market_platform.replay.middleware import EMPTY_FLAG, WRONG_TYPES_FLAG, FaultsMiddleware, RequestLog, spoil_types
from market_platform.replay.source import ReplaySource
from market_platform.replay.yahoo.chart import yahoo_routes

JSON = "application/json"
BYTES = "application/octet-stream"
MAX_RULES_BODY = 1 << 20
MAKERS = 4
"""So many bodies are made at once; more threads would only share the processor and each keep memory of its own."""


def create_app(
    source: ReplaySource,
    faults: FaultBook | None = None,
    log: RequestLog | None = None,
    world: World | None = None,
    limits: LiveLimits | None = None,
) -> ASGIApp:
    """The application for one source and one world of live markets (by default: seed 7, at the clock's own speed).

    `faults` and `log` may be handed in to be looked at from outside, `limits` to be other than the exchanges' own.
    """
    book, seen = faults or FaultBook(), log or RequestLog()
    world = world or World(7, ExchangeClock())
    exchange = _Exchange(source, book, seen, world)
    routes = [
        Route("/healthz", exchange.health),
        Route("/_faults", exchange.faults, methods=["GET", "POST", "DELETE"]),
        Route("/_requests", exchange.requests, methods=["GET", "DELETE"]),
        Route("/dukascopy/v1/instruments", exchange.instruments),
        Route("/dukascopy/v1/instruments/{code}", exchange.instrument),
        Route("/dukascopy/v1/{path:path}", exchange.json_data),
        Route("/dukascopy/datafeed/{path:path}", exchange.bi5_data),
        *live_routes(world, book, seen, limits or LiveLimits()),
        *yahoo_routes(world.seed, world.clock),
    ]
    return FaultsMiddleware(Starlette(routes=routes), faults=book, log=seen)


class _Exchange:
    """The endpoints."""

    def __init__(self, source: ReplaySource, faults: FaultBook, log: RequestLog, world: World) -> None:
        self._source = source
        self._faults = faults
        self._log = log
        self._world = world
        self._makers = CapacityLimiter(MAKERS)

    async def health(self, _: Request) -> Response:
        clock = self._world.clock
        live = {"seed": self._world.seed, "speed": clock.speed, "anchor": clock.anchor_ms, "time": clock.now_ms()}
        return _json({"status": "ok", "source": self._source.name, "live": live})

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                body = await request.body()
                if len(body) > MAX_RULES_BODY:
                    raise BadRuleError("rules: too many bytes")
                rules = parse_rules(orjson.loads(body))
                self._faults.add(rules)
            except orjson.JSONDecodeError as error:
                return _json({"error": f"rules must be JSON: {error}"}, 422)
            except BadRuleError as error:
                return _json({"error": str(error)}, 422)
            return _json({"rules": [rule.as_json() for rule in self._faults.rules]}, 201)
        if request.method == "DELETE":
            self._faults.clear()
        return _json({"rules": [rule.as_json() for rule in self._faults.rules]})

    async def requests(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._log.clear()
        return _json(self._log.as_json())

    async def instruments(self, request: Request) -> Response:
        return _answer(request, self._source.instruments(), JSON)

    async def instrument(self, request: Request) -> Response:
        code: str = request.path_params["code"]
        try:
            body = await self._make(partial(self._source.instrument, code))
        except MarketPlatformError as error:
            return _json({"error": str(error)}, 500)
        return _answer(request, body, JSON)

    async def json_data(self, request: Request) -> Response:
        start = request.query_params.get("from")
        if start is not None and not start.isdecimal():
            return _json({"error": f"from must be the first millisecond of a period, not {start!r}"}, 400)
        address = json_address(request.path_params["path"], None if start is None else int(start))
        return await self._data(request, address, JSON)

    async def bi5_data(self, request: Request) -> Response:
        return await self._data(request, bi5_address(request.path_params["path"]), BYTES)

    async def _data(self, request: Request, address: Address | None, media_type: str) -> Response:
        if address is None:
            return _json({"error": f"no such path: {request.url.path}"}, 404)
        make = self._source.json_body if media_type == JSON else self._source.bi5_body
        empty = bool(request.scope.get("state", {}).get(EMPTY_FLAG))
        try:
            body = await self._make(partial(make, address, empty=empty))
        except MarketPlatformError as error:
            return _json({"error": str(error)}, 500)
        return _answer(request, body, media_type)

    async def _make(self, make: Callable[[], bytes | None]) -> bytes | None:
        return await anyio.to_thread.run_sync(make, limiter=self._makers)


def _answer(request: Request, body: bytes | None, media_type: str) -> Response:
    if body is None:
        return _json({"error": f"unknown instrument: {request.url.path}"}, 404)
    if request.scope.get("state", {}).get(WRONG_TYPES_FLAG):
        body = spoil_types(body, media_type)
    return Response(body, media_type=media_type)


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type=JSON)
