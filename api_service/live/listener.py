"""Hears from Postgres which starlistings changed and what is forming now, and reads the rows that changed.

Belongs here: the one connection that listens and reads, and what happens when it is lost. Does not: topics (hub.py).

A notification is a hint: rows are read by number, so one that is lost, doubled or late changes nothing. Every `CHECK_S`,
and after every new connection, all topics are compared with Postgres, which finds what no notification told.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import Any

import psycopg
import structlog

from api_service.database import Database, connection_options
from api_service.live.hub import Hub
from api_service.live.metrics import LiveMetrics
from market_platform.domain.errors import WarehouseError
from market_platform.domain.live_frames import LIVE_CHANNEL, SERIES_CHANNEL, decode_frame
from market_platform.warehouse.pair_queries import REFERENCE_CHANNEL

CHECK_S = 2.0
_ANSWER_S = 5.0
"""A read that takes longer is given up with its connection; what it should have read, the next one reads."""
_LONGEST_DELAY_S = 2.0

_log = structlog.get_logger("api.live")


class LiveListener:
    """Listens until it is cancelled.

    Args:
        database: where; a connection of its own.
        hub: what is told.
        metrics: what is counted.
        on_reference: exchanges, pairs or starlistings changed, or may have.
    """

    def __init__(self, database: Database, hub: Hub, metrics: LiveMetrics, on_reference: Callable[[], None]) -> None:
        self._database = database
        self._hub = hub
        self._metrics = metrics
        self._on_reference = on_reference
        self._behind: set[int] = set()
        self._heard = False

    async def run(self) -> None:
        """Listen, for ever: connect again whenever the connection is lost, after 0.05–2 s."""
        failures = 0
        while True:
            self._heard = False
            try:
                await self._listen()
            except (psycopg.Error, OSError, TimeoutError, WarehouseError) as error:
                if self._heard or not failures:
                    reason = " ".join(str(error).split()) or type(error).__name__
                    _log.warning("WebSocket clients wait for Postgres", reason=reason)
            except Exception:  # noqa: BLE001 - clients are connected; the next connection reads what they miss
                _log.exception("WebSocket clients wait for Postgres")
            self._metrics.listening.set(0)
            failures = 1 if self._heard else failures + 1
            await asyncio.sleep(random.uniform(0.05, min(_LONGEST_DELAY_S, 0.1 * 2 ** min(failures, 8))))  # noqa: S311

    async def _listen(self) -> None:
        limit = self._database.timeout_s
        async with asyncio.timeout(limit):
            connection = await psycopg.AsyncConnection.connect(self._database.url, **connection_options(limit))
        try:
            for channel in (SERIES_CHANNEL, LIVE_CHANNEL, REFERENCE_CHANNEL):
                async with asyncio.timeout(limit):
                    await connection.execute(f"LISTEN {channel}".encode())
            self._on_reference()
            _log.info("listening for live changes", database=self._database.name)
            await self._follow(connection)
        finally:
            connection.pgconn.finish()

    async def _follow(self, connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
        next_check = 0.0
        while True:
            if monotonic() >= next_check:
                async with asyncio.timeout(_ANSWER_S):
                    await self._hub.check(connection)
                    await connection.execute("SELECT 1")
                self._hub.sweep()
                self._heard = True
                self._metrics.listening.set(1)
                next_check = monotonic() + CHECK_S
            async for each in connection.notifies(timeout=max(0.0, next_check - monotonic()), stop_after=1):
                self._hear(each)
            if self._behind:
                ids, self._behind = self._behind, set()
                began = perf_counter()
                async with asyncio.timeout(_ANSWER_S):
                    await self._hub.read(connection, ids)
                self._metrics.read_seconds.observe(perf_counter() - began)

    def _hear(self, heard: psycopg.Notify) -> None:
        if heard.channel == LIVE_CHANNEL:
            try:
                frame = decode_frame(heard.payload)
            except ValueError as error:
                _log.warning("a live frame was not understood", error=str(error))
                return
            self._hub.show(frame)
        elif heard.channel == SERIES_CHANNEL:
            for part in heard.payload.split():
                starlisting, _, seq = part.partition(":")
                if starlisting.isdecimal() and seq.isdecimal() and self._hub.hint(int(starlisting), int(seq)):
                    self._behind.add(int(starlisting))
        else:
            self._on_reference()
