"""Hyperliquid's WebSocket endpoint.

Belongs here: subscriptions, pings, and what ends a connection. Does not: channels (feeds.py). An unknown coin or interval
ends the connection without a word, as the exchange does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket

from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.feed import Feed
from market_platform.replay.live.grids import HYPERLIQUID_GRIDS
from market_platform.replay.live.hub import Hub
from market_platform.replay.live.hyperliquid.feeds import CandleFeed, ContextFeed, TradesFeed, replayed
from market_platform.replay.live.limits import LiveLimits
from market_platform.replay.live.outlet import End, Outlet
from market_platform.replay.live.serving import Serving

_GREETING = b"Websocket connection established."
_CHANNELS = ("trades", "candle", "activeAssetCtx")


class Address:
    """What one address, ours, has open and has done lately."""

    def __init__(self, limits: LiveLimits) -> None:
        self.limits = limits
        self.open = 0
        self.subscribed = 0
        self._connects: list[float] = []
        self._messages: list[float] = []

    def may_connect(self, now: float) -> bool:
        """Count a new connection; False when it is one too many."""
        self._connects = [moment for moment in self._connects if moment > now - 60]
        self._connects.append(now)
        return (
            self.open < self.limits.hyperliquid_connections
            and len(self._connects) <= self.limits.hyperliquid_connects_per_minute
        )

    def may_send(self, now: float) -> bool:
        """Count a message; False when it is one too many."""
        if self._messages and self._messages[0] <= now - 60:
            self._messages = [moment for moment in self._messages if moment > now - 60]
        self._messages.append(now)
        return len(self._messages) <= self.limits.hyperliquid_messages_per_minute


class HyperliquidSocket:
    """One client's connection."""

    def __init__(self, hub: Hub, address: Address) -> None:
        self._hub = hub
        self._address = address
        self._subscribed: dict[str, dict[str, Any]] = {}

    async def serve(self, websocket: WebSocket, serving: Serving) -> None:
        """Until either side ends it."""
        address = self._address
        if not address.may_connect(asyncio.get_running_loop().time()):
            await websocket.send_denial_response(PlainTextResponse("too many connections", 429))
            return
        address.open += 1
        try:
            await serving.run(websocket, lambda: " ".join(self._subscribed), self._begin, self._hear)
        finally:
            address.open -= 1
            address.subscribed -= len(self._subscribed)

    def _begin(self, outlet: Outlet) -> bool:
        outlet.answer(_GREETING)
        self._watch(outlet)
        return True

    def _watch(self, outlet: Outlet) -> None:
        """Close when nothing was sent for a minute; look again when that could be."""
        loop = asyncio.get_running_loop()
        left = outlet.sent_at + self._address.limits.silent_s - loop.time()
        if outlet.ended.done():
            return
        if left <= 0:
            outlet.end(End.CUT)
        else:
            outlet.after(left + 0.01, lambda: self._watch(outlet))

    def _hear(self, outlet: Outlet, text: str) -> bool:
        if not self._address.may_send(asyncio.get_running_loop().time()):
            return False
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError:
            asked = None
        method = asked.get("method") if isinstance(asked, dict) else None
        if method == "ping":
            outlet.answer(b'{"channel":"pong"}')
        elif method in ("subscribe", "unsubscribe") and isinstance(asked.get("subscription"), dict):
            self._change(outlet, method, asked["subscription"])
        else:
            outlet.answer(_error(f"Error parsing JSON into valid websocket request: {text}"))
        return True

    def _change(self, outlet: Outlet, method: str, wanted: dict[str, Any]) -> None:
        book, name = self._book(wanted), name_of(wanted)
        if book is None:
            outlet.vanish()
            return
        known = name in self._subscribed
        if known == (method == "subscribe"):
            told = "Already subscribed" if known else "Already unsubscribed"
            outlet.answer(_error(f"{told}: {orjson.dumps(wanted).decode()}"))
            return
        if not known and self._address.subscribed >= self._address.limits.hyperliquid_subscriptions:
            outlet.answer(_error("Cannot track more than 1000 total subscriptions."))
            return
        said = {"channel": "subscriptionResponse", "data": {"method": method, "subscription": wanted}}
        outlet.answer(orjson.dumps(said))
        if known:
            del self._subscribed[name]
            self._address.subscribed -= 1
            self._hub.unsubscribe(outlet, f"hyperliquid/{name}")
            return
        self._subscribed[name] = wanted
        self._address.subscribed += 1
        self._hub.subscribe(outlet, f"hyperliquid/{name}", _maker(name, wanted, book), _as_they_are)
        if wanted["type"] == "trades":
            outlet.put(name, replayed(book, self._hub.at_ms))

    def _book(self, wanted: dict[str, Any]) -> CandleBook | None:
        """Of a subscription that the exchange would take; None of any other."""
        coin = wanted.get("coin")
        market = self._hub.world.market("hyperliquid", coin) if isinstance(coin, str) else None
        if market is None or wanted.get("type") not in _CHANNELS:
            return None
        if wanted["type"] == "candle" and wanted.get("interval") not in HYPERLIQUID_GRIDS:
            return None
        return self._hub.world.book(market)


def name_of(wanted: dict[str, Any]) -> str:
    """`trades/BTC`, `candle/BTC/1m`: what rules of faults search in."""
    return "/".join(str(wanted[part]) for part in ("type", "coin", "interval") if part in wanted)


def _maker(name: str, wanted: dict[str, Any], book: CandleBook) -> Callable[[], Feed]:
    match wanted["type"]:
        case "trades":
            return lambda: TradesFeed(name, book)
        case "candle":
            return lambda: CandleFeed(name, book, HYPERLIQUID_GRIDS[wanted["interval"]])
        case _:
            return lambda: ContextFeed(name, book)


def _error(text: str) -> bytes:
    return orjson.dumps({"channel": "error", "data": text})


def _as_they_are(messages: list[bytes]) -> list[bytes]:
    return messages
