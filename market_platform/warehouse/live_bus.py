"""Postgres's NOTIFY as a bus: frames out on `live`, hints in from `reference`.

Belongs here: one connection that sends, one that listens. Does not: what frames say (domain/live_frames.py), when to connect
again (streamer/).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import Any, Self

from psycopg import AsyncConnection, Error

from market_platform.domain.errors import WarehouseUnavailableError
from market_platform.domain.live_frames import LIVE_CHANNEL
from market_platform.warehouse.engine import connect_options, unreachable_message
from market_platform.warehouse.urls import libpq_url


class LiveBus:
    """One connection that sends frames; use it as an async context manager."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connection: AsyncConnection[tuple[Any, ...]] | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            WarehouseUnavailableError: Postgres does not answer.
        """
        self._connection = await _connect(self._url, self._timeout_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        if self._connection is not None:
            await self._connection.close()

    async def send(self, frames: Sequence[str]) -> None:
        """Send frames, all in one transaction.

        Raises:
            WarehouseUnavailableError: the connection is gone.
        """
        assert self._connection is not None
        try:
            await notify_live(self._connection, frames)
        except Error as error:
            raise WarehouseUnavailableError(unreachable_message(self._url, error)) from None


async def notify_live(connection: AsyncConnection[tuple[Any, ...]], frames: Sequence[str]) -> None:
    """NOTIFY `live` with each frame, in one statement."""
    await connection.execute(
        "SELECT pg_notify(%s, frame) FROM unnest(%s::text[]) AS frame", (LIVE_CHANNEL, list(frames)), prepare=True
    )


async def listen(url: str, channel: str, timeout_s: float) -> AsyncGenerator[str | None]:
    """The payloads of a channel: None once listening has begun, then each as it comes; ends by raising.

    Raises:
        WarehouseUnavailableError: Postgres does not answer, or no more.
    """
    connection = await _connect(url, timeout_s)
    try:
        await connection.execute(f'LISTEN "{channel}"')  # a name of ours
        yield None
        async for each in connection.notifies():
            yield each.payload
    except Error as error:
        raise WarehouseUnavailableError(unreachable_message(url, error)) from None
    finally:
        await connection.close()


async def _connect(url: str, timeout_s: float) -> AsyncConnection[tuple[Any, ...]]:
    try:
        return await AsyncConnection.connect(libpq_url(url), autocommit=True, **connect_options(timeout_s))
    except Error as error:
        raise WarehouseUnavailableError(unreachable_message(url, error)) from None
