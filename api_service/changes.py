"""Hears from Postgres, in the commit that makes it, which starlistings' candles or which reference rows changed.

Belongs here: the one listening connection and how long its silence may be believed. Does not: what is kept in memory.

Why: asking Postgres for the version of a range costs 350 µs of an answer from memory (measured over HTTP on two cores:
a bare 304 takes 150 µs, with one indexed query before it 550 µs), so versions are kept until Postgres says otherwise.
When they may be believed: while the connection answered a question within the last `TRUST_S` seconds. Postgres delivers
notifications before it answers, so whatever was committed before the question was asked is known by then. A reader sees a
commit within milliseconds, and within `TRUST_S` when the network swallows packets. At any other time (connecting, lost,
behind a pooler that drops notifications) nothing kept is used, and every request asks Postgres.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg
import structlog

from api_service.database import Database, connection_options
from market_platform.domain.errors import WarehouseError
from market_platform.warehouse.chart_queries import CANDLE_DAYS_CHANNEL
from market_platform.warehouse.pair_queries import REFERENCE_CHANNEL

HEARTBEAT_S = 1.0
TRUST_S = 3.0
_LONGEST_DELAY_S = 2.0
_PROBE_CHANNEL = "api_probe"

_log = structlog.get_logger("api.changes")


class ChangeFeed:
    """Listens until it is cancelled; calls back from the event loop, in the order of commits.

    Args:
        database: where to listen, and whose pool sends the probe that proves notifications arrive.
        on_candles: given the starlisting ids that changed, None for all.
        on_reference: exchanges, pairs or starlistings changed.
    """

    def __init__(
        self,
        database: Database,
        on_candles: Callable[[list[int] | None], None],
        on_reference: Callable[[], None],
    ) -> None:
        self._database = database
        self._on_candles = on_candles
        self._on_reference = on_reference
        self._trusted_until = 0.0
        self._probe = ""
        self._probed = False

    @property
    def trusted(self) -> bool:
        """Whether no news means nothing changed."""
        return monotonic() < self._trusted_until

    async def run(self) -> None:
        """Listen, for ever: connect again whenever the connection is lost, after 0.1–2 s."""
        failures = 0
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError, TimeoutError, WarehouseError) as error:
                if self._probed or not failures:
                    reason = " ".join(str(error).split()) or type(error).__name__
                    _log.warning("not listening for changes; every request asks Postgres", reason=reason)
            except Exception:  # noqa: BLE001 - answers are right without it, only slower
                _log.exception("not listening for changes; every request asks Postgres")
            failures = 1 if self._probed else failures + 1
            self._trusted_until = 0.0
            self._probed = False
            await asyncio.sleep(random.uniform(0.1, min(_LONGEST_DELAY_S, 0.2 * 2 ** min(failures, 8))))  # noqa: S311

    async def _listen(self) -> None:
        limit = self._database.timeout_s
        async with asyncio.timeout(limit):
            connection = await psycopg.AsyncConnection.connect(self._database.url, **connection_options(limit))
        try:
            for channel in (CANDLE_DAYS_CHANNEL, REFERENCE_CHANNEL, _PROBE_CHANNEL):
                async with asyncio.timeout(limit):
                    await connection.execute(f"LISTEN {channel}".encode())
            self._on_candles(None)  # whatever happened before is unknown
            self._on_reference()
            await self._send_probe()
            while True:
                async for each in connection.notifies(timeout=HEARTBEAT_S, stop_after=1):
                    self._hear(each)
                asked = monotonic()
                async with asyncio.timeout(TRUST_S):
                    await connection.execute("SELECT 1")
                async for each in connection.notifies(timeout=0):
                    self._hear(each)
                if self._probed:
                    self._trusted_until = asked + TRUST_S
        finally:
            connection.pgconn.finish()

    async def _send_probe(self) -> None:
        self._probe = uuid.uuid4().hex

        async def notify(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
            await connection.execute("SELECT pg_notify(%s, %s)", (_PROBE_CHANNEL, self._probe))

        await self._database.run(notify)

    def _hear(self, heard: psycopg.Notify) -> None:
        if heard.channel == REFERENCE_CHANNEL:
            self._on_reference()
        elif heard.channel == CANDLE_DAYS_CHANNEL:
            ids = heard.payload.split(",")
            self._on_candles([int(each) for each in ids] if all(map(str.isdecimal, ids)) else None)
        elif heard.payload == self._probe and not self._probed:
            self._probed = True
            self._trusted_until = monotonic()  # from the next question on
            _log.info("listening for changes", database=self._database.name)
