"""Limits that an exchange counts by address, shared by all of a process that asks it, and by processes with one ledger.

Belongs here: how much may be asked now, and the pauses an exchange ordered. Does not: what an answer means, retries, where
a ledger is kept.

An exchange counts by address, and several processes (the streamer, runs, commands) have the same. One that has installed a
ledger takes each turn there first, and from its own budget all the same; so the own budget knows what was sent when the
ledger is away, and then stands in for it.
"""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

from market_platform.domain.errors import RateLimitedError
from market_platform.domain.limits import LimitLedger

_WINDOW_S = 60.0


class WeightBudget:
    """What requests to one host may weigh a window (a minute), of which `share` is used; in one event loop.

    At most half of it goes at once and the rest flows over the window, so that no window, wherever an exchange's clock
    begins it, sees more than the whole. `name` is that of the limit in a ledger; without one it is this budget's alone.
    """

    def __init__(self, weight: float, share: float = 0.8, window_s: float = _WINDOW_S, name: str = "") -> None:
        self._most = weight * share
        self._window_s = window_s
        self._name = name
        self._limiter = AsyncLimiter(self._most / 2, window_s)
        self._paused_until = 0.0

    async def take(self, weight: float, what: str) -> None:
        """Wait until a request of that weight may be sent; `what` names it. One that weighs nothing only heeds pauses.

        Raises:
            RateLimitedError: the exchange ordered a pause that is not over.
        """
        self._refuse_in_pause(what)
        await self._take_with_others(weight, what)
        await self._limiter.acquire(weight)
        self._refuse_in_pause(what)

    def pause(self, seconds: float) -> None:
        """Let nothing be sent for so long, because the exchange said so."""
        self._pause_here(seconds)
        if (ledger := self._ledger) is not None:
            ledger.pause(self._name, seconds)

    def used(self, weight: float, rest_of_minute_s: float) -> None:
        """What the exchange has counted this minute; others at our address count, too.

        Above our share nothing more is sent until its minute is over.
        """
        if weight >= self._most:
            self.pause(rest_of_minute_s)

    @property
    def _ledger(self) -> LimitLedger | None:
        return _ledgers[-1] if _ledgers and self._name else None

    async def _take_with_others(self, weight: float, what: str) -> None:
        """Wait for the turn that the ledger gives, and learn from it of pauses that others were ordered."""
        while (ledger := self._ledger) is not None:
            if not weight:
                self._pause_here(await ledger.pause_left(self._name))
                self._refuse_in_pause(what)
                return
            turn = await ledger.turn(self._name, weight * 2 * self._window_s / self._most, self._window_s)
            if turn is None:
                return
            self._pause_here(turn.pause_s)
            self._refuse_in_pause(what)
            if turn.wait_s > 0:
                await asyncio.sleep(turn.wait_s)
                self._pause_here(await ledger.pause_left(self._name))
                self._refuse_in_pause(what)
            if turn.granted:
                return

    def _pause_here(self, seconds: float) -> None:
        if seconds > 0:
            self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def _refuse_in_pause(self, what: str) -> None:
        left = self._paused_until - asyncio.get_running_loop().time()
        if left > 0:
            raise RateLimitedError(f"{what}: the exchange wants a pause of {left:.1f} s more", retry_after=left)


_budgets: dict[asyncio.AbstractEventLoop, dict[str, WeightBudget]] = {}
_ledgers: list[LimitLedger] = []


def install_ledger(ledger: LimitLedger) -> None:
    """Take every turn of this process from that ledger, too, until it is removed or another one is installed."""
    _ledgers.append(ledger)


def remove_ledger(ledger: LimitLedger) -> None:
    """Forget a ledger; the one installed before it counts again."""
    if ledger in _ledgers:
        _ledgers.remove(ledger)


def shared_budget(base_url: str, weight: float, window_s: float = _WINDOW_S) -> WeightBudget:
    """The budget of an exchange's API in the running event loop: the same one whoever asks.

    An exchange counts by address, so whatever in this process asks it must count together; a process has one event loop
    that talks with exchanges. Budgets of loops that are closed are forgotten.
    """
    for loop in [each for each in _budgets if each.is_closed()]:
        del _budgets[loop]
    budgets = _budgets.setdefault(asyncio.get_running_loop(), {})
    return budgets.setdefault(base_url, WeightBudget(weight, window_s=window_s, name=base_url))
