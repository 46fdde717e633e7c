"""What waits until it is known what time it is at the exchange: streams that came to life, and events of the future.

Belongs here: holding them, and when an event that our own clock calls the future is believed. Does not: what is made of them
(router.py), the estimate of the time (exchange_clock.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from market_platform.domain.live import Subscription
from streamer.connections.receiver import Delivery
from streamer.routing.absurd import FUTURE_MS

DOUBT_S = 12.0
"""For how long events of the future wait for one that shows them to be wrong; two heartbeats of OANDA fit in."""
_LEAST = 3


class Revivals:
    """Subscriptions that came to life, by connection."""

    def __init__(self) -> None:
        self._live: list[tuple[str, list[Subscription]]] = []

    def add(self, connection: str, subscriptions: Sequence[Subscription]) -> None:
        """Those did."""
        self._live.append((connection, list(subscriptions)))

    def lost(self, subscriptions: Collection[Subscription]) -> None:
        """Those are gone again."""
        if self._live:
            self._live = [(name, [each for each in live if each not in subscriptions]) for name, live in self._live]

    def take(self) -> list[tuple[str, list[Subscription]]]:
        """All of them, once."""
        live, self._live = self._live, []
        return live


class Doubts:
    """Events of a time that is the future by our own clock. `monotonic` is in seconds.

    Between others, such an event is nonsense. Where no other comes for a while and all agree, our own clock is wrong.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since = 0.0
        self._ahead: list[int] = []
        self._deliveries: list[Delivery] = []

    def __bool__(self) -> bool:
        return bool(self._ahead or self._deliveries)

    def add(self, deliveries: Sequence[Delivery], newest_ms: int | None) -> None:
        """Those came just now; `newest_ms` is what time it would be, if they say so. A heartbeat delivers nothing."""
        if not self:
            self._since = self._monotonic()
        if newest_ms is not None:
            self._ahead.append(newest_ms - self._here())
        self._deliveries.extend(deliveries)

    @property
    def ripe(self) -> bool:
        """Whether it is time to decide."""
        return bool(self) and self._monotonic() - self._since >= DOUBT_S

    def agreed_ms(self) -> int | None:
        """What time it is now if they are right, ms since the epoch; None when they are too few, or contradict each other."""
        if len(self._ahead) < _LEAST or max(self._ahead) - min(self._ahead) > FUTURE_MS:
            return None
        return self._here() + max(self._ahead)

    def take(self) -> list[Delivery]:
        """All of them, once."""
        deliveries, self._deliveries, self._ahead = self._deliveries, [], []
        return deliveries

    def _here(self) -> int:
        return int(self._monotonic() * 1000)
