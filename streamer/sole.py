"""Being the only streamer of a database: a second one would overwrite what the first says of itself, and end its gaps.

Belongs here: claiming the database and keeping it through restarts of Postgres. Does not: SQL (warehouse/stream_lock.py), the
journal's own lock (journal/file.py). While Postgres is away nobody can say who is first: a streamer streams then, and finds
out later.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from datetime import datetime

import structlog

from market_platform.domain.errors import ConfigError, WarehouseUnavailableError
from market_platform.warehouse.stream_lock import StreamLock, stream_lock

_GRACE_S = 10.0
"""How long a predecessor that has just been killed is waited for."""
_AGAIN_S = 0.5
_CHECK_S = 2.0
_HOST_LENGTH = 20

log = structlog.get_logger("streamer")


class SoleStreamer:
    """This process's claim to a database."""

    def __init__(self, database_url: str, timeout_s: float, started_at: datetime, *, grace_s: float = _GRACE_S) -> None:
        host = socket.gethostname()[:_HOST_LENGTH]
        self.name = f"streamer {host} pid {os.getpid()} since {started_at:%Y-%m-%dT%H:%M:%SZ}"
        self._url = database_url
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._session: AsyncExitStack | None = None
        self._lock: StreamLock | None = None

    async def claim(self) -> bool:
        """Claim the database; False when Postgres is away and nobody can say whose it is.

        Raises:
            ConfigError: another streamer has it, and did not end within some seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_s
        while True:
            try:
                async with asyncio.timeout(2 * self._timeout_s):
                    holder = await self._take()
            except (WarehouseUnavailableError, TimeoutError) as error:
                await self.release()
                log.warning(
                    "whether another streamer runs is not known", reason=str(error) or "Postgres does not answer"
                )
                return False
            if holder is None:
                return True
            if loop.time() >= deadline:
                await self.release()
                raise ConfigError(
                    f"another streamer has this database: {holder}. One is enough: stop that one, or give this one a "
                    "database of its own (DATABASE_URL)"
                )
            await asyncio.sleep(_AGAIN_S)

    async def keep(self) -> None:
        """Keep it until cancelled; claim it again after Postgres was away.

        Raises:
            ConfigError: another streamer has it by now.
        """
        while True:
            if self._lock is None and not await self.claim():
                await asyncio.sleep(_CHECK_S)
                continue
            assert self._lock is not None
            try:
                await asyncio.sleep(_CHECK_S)
                async with asyncio.timeout(2 * self._timeout_s):
                    await self._lock.check()
            except (WarehouseUnavailableError, TimeoutError):
                await self.release()

    async def release(self) -> None:
        """Give it up."""
        session, self._session, self._lock = self._session, None, None
        if session is not None:
            await session.aclose()

    async def _take(self) -> str | None:
        """None when it is ours, else who has it."""
        if self._session is None:
            self._session = AsyncExitStack()
        if self._lock is None:
            self._lock = await self._session.enter_async_context(stream_lock(self._url, self.name, self._timeout_s))
        return await self._lock.take()
