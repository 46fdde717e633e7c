"""A small list of Postgres kept in memory: read when first needed, and again when it may have changed.

Belongs here: when it is read. Does not: what is made of it (catalogue.py, starlistings/index.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

from api_service.database import Database, Work

T = TypeVar("T")

LONGEST_AGE_S = 60.0
UNTRUSTED_AGE_S = 1.0


class Kept(Generic[T]):
    """What `load` returned last: the same object until it is read again.

    Args:
        database: where it is read from.
        load: reads it.
        trusted: whether `forget` would have been called if it had changed; otherwise it is believed for a second only.
    """

    def __init__(self, database: Database, load: Work[T], trusted: Callable[[], bool]) -> None:
        self._database = database
        self._load = load
        self._trusted = trusted
        self._value: T | None = None
        self._good_until = 0.0
        self._untrusted_until = 0.0
        self._changes = 0
        self._reading = asyncio.Lock()

    def forget(self) -> None:
        """It changed: read it again before the next answer."""
        self._changes += 1
        self._good_until = 0.0

    async def get(self) -> T:
        """It, as of now or of a moment ago.

        Raises:
            WarehouseUnavailableError: it has to be read and can't be.
        """
        if self._value is not None and self._is_good():
            return self._value
        async with self._reading:
            if self._value is not None and self._is_good():
                return self._value
            changes, now = self._changes, monotonic()
            value = self._value = await self._database.run(self._load)
            if changes == self._changes:
                self._good_until = now + LONGEST_AGE_S
                self._untrusted_until = now + UNTRUSTED_AGE_S
            return value

    def _is_good(self) -> bool:
        now = monotonic()
        return now < self._good_until and (now < self._untrusted_until or self._trusted())
