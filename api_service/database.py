"""The API's way to Postgres: a bounded pool of async connections, every wait limited, errors a client can be told.

Belongs here: checking out connections, time limits, retrying on a connection that died, translating the driver's errors.
Does not: SQL (`*_queries` in market_platform.warehouse).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from market_platform.domain.errors import SchemaMismatchError, WarehouseUnavailableError
from market_platform.warehouse.chart_queries import Connection
from market_platform.warehouse.urls import libpq_url, shown_url

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]

# Every query of the API is a few steps down an index, whatever its parameters: planning it once saves 60–150 µs of each, and
# a plan that was made while a table was empty must not scan it later.
_SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}

_MAX_WAITING = 200
"""Requests that may wait for a connection; those after them are refused at once."""


class Database:
    """A pool of connections in autocommit mode; nothing is connected before `open()`, which never waits for Postgres.

    Args:
        url: `postgresql://…`.
        pool_size: most connections at a time; none is kept that was idle for a minute, but one.
        timeout_s: how long a request may wait for Postgres altogether.
    """

    def __init__(self, url: str, *, pool_size: int, timeout_s: float) -> None:
        self.url = libpq_url(url)
        self.timeout_s = timeout_s
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._pool = AsyncConnectionPool(
            self.url,
            kwargs=connection_options(timeout_s),
            min_size=1,
            max_size=pool_size,
            open=False,
            name="api",
            timeout=timeout_s * 0.9,  # before `run` gives up, so that the message says what was waited for
            max_waiting=_MAX_WAITING,
            max_idle=60.0,
            reconnect_timeout=timeout_s,
        )

    @property
    def name(self) -> str:
        """`host:port/database`, for messages."""
        return shown_url(self.url)

    async def open(self) -> None:
        """Begin to connect, in the background."""
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # a line for every attempt while Postgres is away
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection; what still runs on one is given up."""
        for task in self._abandoned:
            task.cancel()
        await self._pool.close(timeout=1.0)

    async def run(self, work: Work[T], *, timeout_s: float | None = None) -> T:
        """The result of `work(connection)`; it must only read, as it is done again if its connection turns out dead.

        `timeout_s` limits everything together: waiting for a connection, the statements, the second try.

        Raises:
            WarehouseUnavailableError: Postgres does not answer in time, or all connections stay in use.
            SchemaMismatchError: a table or column is missing.
        """
        task = asyncio.ensure_future(self._attempt(work))
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_s or self.timeout_s)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not done:
            # Cancelling asks the server to stop the statement, which may wait as long as the statement would.
            self._abandon(task)
            raise WarehouseUnavailableError(
                f"Postgres at {self.name} did not answer within {timeout_s or self.timeout_s:g} s"
            )
        return task.result()

    async def _attempt(self, work: Work[T]) -> T:
        try:
            try:
                return await self._once(work)
            except psycopg.OperationalError as error:
                if isinstance(error, (PoolTimeout, TooManyRequests, PoolClosed)) or not is_connection_error(error):
                    raise
                await self._pool.check()  # after a restart every idle connection is as dead as this one
                return await self._once(work)
        except TooManyRequests:
            raise WarehouseUnavailableError("too many requests wait for Postgres") from None
        except PoolTimeout:
            raise WarehouseUnavailableError(
                f"no connection to Postgres at {self.name} within {self.timeout_s:g} s: it is away, or all are in use"
            ) from None
        except (
            errors.UndefinedTable,
            errors.UndefinedColumn,
            errors.UndefinedFunction,
            errors.InvalidSchemaName,
        ) as error:
            raise SchemaMismatchError(
                f"the database {self.name} lacks migrations ({error.diag.message_primary}); run `market-platform migrate`"
            ) from None
        except psycopg.OperationalError as error:
            if isinstance(error, PoolClosed) or is_connection_error(error):
                raise WarehouseUnavailableError(f"Postgres at {self.name} can't be used: {_one_line(error)}") from None
            raise

    async def _once(self, work: Work[T]) -> T:
        async with self._pool.connection() as connection:
            return await work(connection)

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it


def connection_options(timeout_s: float) -> dict[str, Any]:
    """Settings of psycopg and libpq for the API's connections."""
    return {
        "autocommit": True,
        "connect_timeout": max(2, round(timeout_s)),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "application_name": "market-platform-api",
        "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
    }


def is_connection_error(error: psycopg.Error) -> bool:
    """Whether it is about the connection: lost, refused, the server stopping or out of slots."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate[:2] in ("08", "28", "3D", "53") or error.sqlstate[:3] == "57P"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
