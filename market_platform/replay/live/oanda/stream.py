"""OANDA's price stream: a chunked HTTP answer without an end.

Belongs here: lines, conflation, heartbeats. Does not: prices (quotes.py). At most four prices a second and instrument are
sent, the last of their quarter of a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from market_platform.replay.addresses import HOUR_MS
from market_platform.replay.faults import FaultBook
from market_platform.replay.generator.profiles import Profile
from market_platform.replay.live.candles import CandleBook
from market_platform.replay.live.feed import Slice
from market_platform.replay.live.hub import Hub
from market_platform.replay.live.oanda.quotes import INSTRUMENTS, Quotes
from market_platform.replay.live.oanda.texts import NOT_TRADEABLE, TRADEABLE, heartbeat, price_line
from market_platform.replay.live.outlet import End, Outlet, http_chunk

HEARTBEAT_S = 5.0
WINDOW_MS = 250
OPEN_MS = 60_000
"""A market that quoted this lately is open."""


class PricesFeed:
    """One instrument's PRICE lines."""

    def __init__(self, instrument: str, profile: Profile, quotes: Quotes) -> None:
        self.name = instrument
        self.book: CandleBook | None = None
        self._profile = profile
        self._quotes = quotes
        self._sent_ms = 0
        self._waiting: bytes | None = None

    def start(self, at_ms: int) -> Callable[[], None] | None:
        """Begin; the hour's quotes are made in a thread."""
        return lambda: self._remember(at_ms)

    def _remember(self, at_ms: int) -> None:
        self._quotes.ticks(self._profile, at_ms - at_ms % HOUR_MS)

    def messages(self, slices: list[Slice], now_ms: int) -> list[bytes]:
        """One at most, of the newest quote, when the last one is long enough ago."""
        start_ms = slices[0].start_ms
        hour_ms = (now_ms - 1) - (now_ms - 1) % HOUR_MS
        ticks = self._quotes.ticks(self._profile, hour_ms)
        at = int(np.searchsorted(ticks.time, now_ms, "left")) - 1
        if at >= 0 and ticks.time[at] >= start_ms:
            self._waiting = price_line(self.name, ticks, at)
        if self._waiting is None or now_ms - self._sent_ms < WINDOW_MS:
            return []
        line, self._waiting, self._sent_ms = self._waiting, None, now_ms
        return [line]


class PriceStream:
    """The answer to one request, an ASGI application."""

    def __init__(self, hub: Hub, quotes: Quotes, faults: FaultBook, request: Request, instruments: list[str]) -> None:
        self._hub = hub
        self._quotes = quotes
        self._faults = faults
        self._instruments = instruments
        self._snapshot = request.query_params.get("snapshot", "true").lower() == "true"
        self._target = f"{request.url.path}?{request.url.query} {' '.join(instruments)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until either side ends it."""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/octet-stream")],
            }
        )
        state = scope["state"]
        outlet = Outlet(state["transport"], http_chunk, self._faults, lambda: self._target)
        self._hub.open(outlet)
        leaving = [asyncio.ensure_future(each) for each in (_gone(receive), state["stopping"].wait())]
        try:
            self._begin(outlet)
            await asyncio.wait((*leaving, outlet.ended), return_when=asyncio.FIRST_COMPLETED)
            if not leaving[0].done() and not (outlet.ended.done() and outlet.ended.result() is End.GONE):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            self._hub.close(outlet)

    def _begin(self, outlet: Outlet) -> None:
        now = self._quotes.clock.now_ms()
        for instrument in self._instruments:
            profile = INSTRUMENTS[instrument]
            last = self._quotes.last(profile, now) if self._snapshot else None
            if last is not None:
                ticks, at = last
                open_now = now - int(ticks.time[at]) < OPEN_MS
                outlet.answer(price_line(instrument, ticks, at, TRADEABLE if open_now else NOT_TRADEABLE))
            self._hub.subscribe(outlet, f"oanda/{instrument}", self._maker(instrument, profile), _as_they_are)
        self._beat(outlet)

    def _beat(self, outlet: Outlet) -> None:
        outlet.put("HEARTBEAT", [heartbeat(self._quotes.clock.now_ms())])
        outlet.after(HEARTBEAT_S, lambda: self._beat(outlet))

    def _maker(self, instrument: str, profile: Profile) -> Callable[[], PricesFeed]:
        return lambda: PricesFeed(instrument, profile, self._quotes)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _as_they_are(messages: list[bytes]) -> list[bytes]:
    return messages
