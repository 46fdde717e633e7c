"""Coroutines that wait for what threads do. Belongs here: waking them. Does not: what they wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

Predicate = Callable[[], bool]


class Waiters:
    """Wait until something is so; whoever may have made it so calls `check`, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.Future[None], Predicate] = {}

    async def until(self, is_so: Predicate) -> None:
        """Return when it is."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            if is_so():
                return
            self._waiting[future] = is_so
        try:
            await future
        finally:
            with self._lock:
                self._waiting.pop(future, None)

    def check(self) -> None:
        """Look again, for everyone who waits."""
        with self._lock:
            ready = [future for future, is_so in self._waiting.items() if is_so()]
            for future in ready:
                del self._waiting[future]
        for future in ready:
            with contextlib.suppress(RuntimeError):  # the loop was closed just now: nobody waits any more
                future.get_loop().call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
