"""Parts of the process that must go on whatever happens to them.

Belongs here: beginning anew what failed, and saying so. Does not: failures that a part expects and handles itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from streamer.connections.backoff import Backoff

_WELL_S = 60.0
_LEAST_S = 1.0

log = structlog.get_logger("streamer")


class Watch:
    """Runs parts until cancelled. `problems` are those that failed within the last minute, each with a sentence."""

    def __init__(self, where: str = "") -> None:
        self.problems: dict[str, str] = {}
        self._where = where

    async def forever(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run it until it returns or is cancelled; after an error it is run again, later and later while that goes on."""
        loop, backoff = asyncio.get_running_loop(), Backoff()
        while True:
            began = loop.time()
            well = loop.call_later(_WELL_S, self.problems.pop, name, None)
            try:
                await run()
            except Exception as error:
                pause_s = max(_LEAST_S, backoff.lost(loop.time() - began))
                what = f"{self._where} {name}".strip()
                log.exception("failed, and begins anew", what=what, again_in_s=round(pause_s, 1))
                self.problems[name] = f"{what} failed and begins anew: {_first(error)}"
            else:
                return
            finally:
                well.cancel()
            await asyncio.sleep(pause_s)


def _first(error: BaseException) -> str:
    """What the first error of a group, or of groups in it, says."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
