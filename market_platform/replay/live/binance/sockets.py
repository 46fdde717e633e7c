"""Binance's WebSocket endpoints.

Belongs here: `/ws/<stream>` and `/stream?streams=`, subscriptions, limits, answers. Does not: streams (feeds.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from starlette.websockets import WebSocket

from market_platform.replay.live.binance.feeds import make_feed, symbol_of
from market_platform.replay.live.feed import Feed
from market_platform.replay.live.hub import Hub
from market_platform.replay.live.markets import Venue
from market_platform.replay.live.outlet import Outlet
from market_platform.replay.live.recorded import RecordedFeed
from market_platform.replay.live.serving import Serving

Side = Literal["spot", "market", "public"]

_OF_SIDE: dict[Side, tuple[str, ...]] = {
    "spot": ("aggTrade", "trade", "bookTicker", "kline"),
    "market": ("aggTrade", "trade", "kline", "markPrice"),
    "public": ("bookTicker",),
}
"""What each address sends; anything else is accepted, and silent."""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Streams a connection may have, and messages a second a client may send."""

    streams: int
    messages_per_s: int


class BinanceSocket:
    """One client's connection."""

    def __init__(self, hub: Hub, venue: Venue, side: Side, limits: SocketLimits, *, combined: bool) -> None:
        self._hub = hub
        self._venue: Venue = venue
        self._side: Side = side
        self._limits = limits
        self._combined = combined
        self._streams: dict[str, None] = {}
        self._received: deque[float] = deque()

    async def serve(self, websocket: WebSocket, serving: Serving, first: list[str]) -> None:
        """Until either side ends it."""
        await serving.run(websocket, self._names, lambda outlet: self._begin(outlet, first), self._hear, self._farewell)

    def _names(self) -> str:
        return " ".join(self._streams)

    def _begin(self, outlet: Outlet, first: list[str]) -> bool:
        if len(first) > self._limits.streams:
            return False
        for name in first:
            self._subscribe(outlet, name)
        return True

    def _farewell(self) -> bytes:
        body = b'{"e":"serverShutdown","E":%d}' % self._hub.world.clock.now_ms()
        return b'{"stream":"!serverShutdown","data":%b}' % body if self._combined else body

    def _hear(self, outlet: Outlet, text: str) -> bool:
        """Answer one message; False when it is one too many."""
        now = asyncio.get_running_loop().time()
        self._received.append(now)
        while self._received[0] < now - 1:
            self._received.popleft()
        if len(self._received) > self._limits.messages_per_s:
            return False
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            outlet.answer(orjson.dumps({"error": {"code": 3, "msg": f"Invalid JSON: {error}"}}))
            return True
        outlet.answer(orjson.dumps(self._answer(outlet, asked)))
        return True

    def _answer(self, outlet: Outlet, asked: Any) -> dict[str, Any]:
        if not isinstance(asked, dict):
            return _error(2, "Invalid request: request must be an object", None)
        method, params, number = asked.get("method"), asked.get("params", []), asked.get("id")
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            return _error(2, "Invalid request: params must be strings", number)
        match method:
            case "SUBSCRIBE":
                if len(self._streams.keys() | set(params)) > self._limits.streams:
                    return _error(2, f"Invalid request: more than {self._limits.streams} streams", number)
                for name in params:
                    self._subscribe(outlet, name)
                return {"result": None, "id": number}
            case "UNSUBSCRIBE":
                for name in params:
                    self._streams.pop(name, None)
                    self._hub.unsubscribe(outlet, self._key(name))
                return {"result": None, "id": number}
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(self._streams), "id": number}
            case _:
                return _error(2, f"Invalid request: unknown method {method!r}", number)

    def _key(self, name: str) -> str:
        return f"{self._venue}/{name}"

    def _subscribe(self, outlet: Outlet, name: str) -> None:
        if name in self._streams:
            return
        self._streams[name] = None
        make = self._maker(name)
        if make is not None:
            wrap = _Wrapper(name) if self._combined else _plain
            self._hub.subscribe(outlet, self._key(name), make, wrap)

    def _maker(self, name: str) -> Callable[[], Feed] | None:
        """What makes the stream's feed; None when this address has no such stream."""
        symbol, world = symbol_of(name), self._hub.world
        if symbol is None or not name.split("@")[1].startswith(_OF_SIDE[self._side]):
            return None
        recording = world.recording(self._venue, symbol)
        if recording is not None:
            return lambda: RecordedFeed(name, recording)
        market = world.market(self._venue, symbol)
        if market is None:
            return None
        feed = make_feed(name, market, world.book(market))
        return None if feed is None else lambda: feed


def _error(code: int, text: str, number: Any) -> dict[str, Any]:
    return {"error": {"code": code, "msg": text}, "id": number}


def _plain(messages: list[bytes]) -> list[bytes]:
    return messages


class _Wrapper:
    """Messages as a combined stream has them; equal for equal streams, so that one connection's work serves all."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._head = b'{"stream":"%b","data":' % name.encode()

    def __call__(self, messages: list[bytes]) -> list[bytes]:
        head = self._head
        return [head + message + b"}" for message in messages]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Wrapper) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)
