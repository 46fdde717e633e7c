"""Limits that an exchange counts by address, shared by all of a process that asks it.

Belongs here: how much may be asked now, and the pauses an exchange ordered. Does not: what an answer means, retries.
"""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

from market_platform.domain.errors import RateLimitedError

_WINDOW_S = 60.0


class WeightBudget:
    """What requests to one host may weigh a window (a minute), of which `share` is used; in one event loop.

    At most half of it goes at once and the rest flows over the window, so that no window, wherever an exchange's clock
    begins it, sees more than the whole.
    """

    def __init__(self, weight: float, share: float = 0.8, window_s: float = _WINDOW_S) -> None:
        self._most = weight * share
        self._limiter = AsyncLimiter(self._most / 2, window_s)
        self._paused_until = 0.0

    async def take(self, weight: float, what: str) -> None:
        """Wait until a request of that weight may be sent; `what` names it.

        Raises:
            RateLimitedError: the exchange ordered a pause that is not over.
        """
        self._refuse_in_pause(what)
        await self._limiter.acquire(weight)
        self._refuse_in_pause(what)

    def pause(self, seconds: float) -> None:
        """Let nothing be sent for so long, because the exchange said so."""
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def used(self, weight: float, rest_of_minute_s: float) -> None:
        """What the exchange has counted this minute; others at our address count, too.

        Above our share nothing more is sent until its minute is over.
        """
        if weight >= self._most:
            self.pause(rest_of_minute_s)

    def _refuse_in_pause(self, what: str) -> None:
        left = self._paused_until - asyncio.get_running_loop().time()
        if left > 0:
            raise RateLimitedError(f"{what}: the exchange wants a pause of {left:.1f} s more", retry_after=left)


_budgets: dict[asyncio.AbstractEventLoop, dict[str, WeightBudget]] = {}


def shared_budget(base_url: str, weight: float, window_s: float = _WINDOW_S) -> WeightBudget:
    """The budget of an exchange's API in the running event loop: the same one whoever asks.

    An exchange counts by address, so whatever in this process asks it must count together; a process has one event loop
    that talks with exchanges. Budgets of loops that are closed are forgotten.
    """
    for loop in [each for each in _budgets if each.is_closed()]:
        del _budgets[loop]
    budgets = _budgets.setdefault(asyncio.get_running_loop(), {})
    return budgets.setdefault(base_url, WeightBudget(weight, window_s=window_s))
