"""One piece of work for everyone who waits for it.

Belongs here: waiting together, and failing together. Does not: what is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Does `work` when asked, once for all who ask meanwhile; whoever gives up does not end it for the others.

    With `keep`, a result is given to those who come later, too.
    """

    def __init__(self, work: Callable[[], Awaitable[T]], *, keep: bool = False) -> None:
        self._work = work
        self._keep = keep
        self._task: asyncio.Task[T] | None = None

    @property
    def failed(self) -> bool:
        """Whether the last time ended without a result."""
        task = self._task
        return task is not None and task.done() and (task.cancelled() or task.exception() is not None)

    async def result(self) -> T:
        """The result; an error is raised to everyone who waited for it."""
        task = self._task
        if task is None or (task.done() and (not self._keep or self.failed)):
            task = self._task = asyncio.create_task(self._run())
            task.add_done_callback(_look)
        return await asyncio.shield(task)

    async def _run(self) -> T:
        return await self._work()


def _look(task: asyncio.Task[T]) -> None:
    """An error that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()
