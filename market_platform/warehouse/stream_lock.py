"""Which streamer a database belongs to: a lock that one session holds, and that ends with it.

Belongs here: taking the lock, and who has it. Does not: what a streamer does about it (streamer/sole.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, Error

from market_platform.domain.errors import WarehouseUnavailableError
from market_platform.warehouse.engine import connect_options, unreachable_message
from market_platform.warehouse.urls import libpq_url

_LOCK = (0x73747265, 0x616D6572)  # "streamer"
_LONGEST_NAME = 63
_KEEPALIVES = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"

_HOLDER = """
SELECT coalesce(nullif(application_name, ''), 'a session of another user') || ', Postgres process ' || pid
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid::bigint = %s AND objid::bigint = %s AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class StreamLock:
    """A session that wants the lock. `name` is what others are told of its holder."""

    def __init__(self, url: str, connection: AsyncConnection[tuple[Any, ...]]) -> None:
        self._url = url
        self._connection = connection

    async def take(self) -> str | None:
        """Take the lock: None when this session has it now, else who has it.

        Raises:
            WarehouseUnavailableError: Postgres does not answer.
        """
        cursor = await self._execute("SELECT pg_try_advisory_lock(%s, %s)", _LOCK)
        (taken,) = await cursor.fetchone() or (False,)
        if taken:
            return None
        cursor = await self._execute(_HOLDER, _LOCK)
        (holder,) = await cursor.fetchone() or ("a session that has just ended",)
        return str(holder)

    async def check(self) -> None:
        """Return while the session lives, and the lock with it.

        Raises:
            WarehouseUnavailableError: it does not any more.
        """
        await self._execute("SELECT 1", ())

    async def _execute(self, statement: str, parameters: tuple[int, ...]) -> Any:
        try:
            return await self._connection.execute(statement.encode(), parameters)
        except Error as error:
            raise WarehouseUnavailableError(unreachable_message(self._url, error)) from None


@asynccontextmanager
async def stream_lock(url: str, name: str, timeout_s: float) -> AsyncGenerator[StreamLock]:
    """A session of its own for the lock, which ends with the block.

    Raises:
        WarehouseUnavailableError: Postgres does not answer.
    """
    options = connect_options(timeout_s)
    options |= {"application_name": name[:_LONGEST_NAME], "options": f"{options['options']} {_KEEPALIVES}"}
    try:
        connection = await AsyncConnection.connect(libpq_url(url), autocommit=True, **options)
    except Error as error:
        raise WarehouseUnavailableError(unreachable_message(url, error)) from None
    try:
        yield StreamLock(url, connection)
    finally:
        await connection.close()
