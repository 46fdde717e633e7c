"""The bus to the API: forming candles and ticks, the newest of each, a few times a second.

Belongs here: conflating and sending frames. Does not: what a frame is (domain/live_frames.py), SQL (warehouse/live_bus.py).
Whoever misses a frame misses nothing that the next one, or the tables, do not say: when Postgres is away, frames are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from market_platform.domain.errors import WarehouseError
from market_platform.domain.events import Candle
from market_platform.domain.live_frames import FormingCandle, LiveTick, encode_frames
from market_platform.warehouse.live_bus import LiveBus

FLUSH_S = 0.25
_RETRY_S = 2.0

log = structlog.get_logger("streamer")


class Bus:
    """Holds the newest forming candles until they are sent; `sources` are asked for ticks that changed."""

    def __init__(self, database_url: str, timeout_s: float) -> None:
        self._url = database_url
        self._timeout_s = timeout_s
        self._candles: dict[int, tuple[Candle, int]] = {}
        self.sources: list[Callable[[], Iterable[LiveTick]]] = []
        self.frames = 0
        self.connected = False

    def candle(self, starlisting_id: int, candle: Candle, event_ms: int) -> None:
        """A candle that is not closed."""
        self._candles[starlisting_id] = (candle, event_ms)

    async def run(self) -> None:
        """Send until cancelled, whatever becomes of Postgres."""
        while True:
            try:
                async with LiveBus(self._url, self._timeout_s) as bus:
                    self.connected = True
                    await self._send_to(bus)
            except (WarehouseError, TimeoutError) as error:
                if self.connected:
                    log.warning(
                        "the bus is away; clients see closed candles later",
                        reason=str(error) or f"no answer within {self._timeout_s:g} s",
                    )
                self.connected = False
            await asyncio.sleep(_RETRY_S)

    async def _send_to(self, bus: LiveBus) -> None:
        self._take()  # what waited while the bus was away is old
        while True:
            await asyncio.sleep(FLUSH_S)
            frames = self._take()
            if frames:
                async with asyncio.timeout(self._timeout_s):
                    await bus.send(frames)
                self.frames += len(frames)

    def _take(self) -> list[str]:
        candles = [_forming(each, candle, event_ms) for each, (candle, event_ms) in self._candles.items()]
        ticks = [tick for source in self.sources for tick in source()]
        self._candles.clear()
        return encode_frames(candles, ticks)


def _forming(starlisting_id: int, candle: Candle, event_ms: int) -> FormingCandle:
    return FormingCandle(
        starlisting_id,
        candle.open_ms,
        format(candle.open, "f"),
        format(candle.high, "f"),
        format(candle.low, "f"),
        format(candle.close, "f"),
        format(candle.volume, "f"),
        candle.num_trades,
        event_ms,
    )
