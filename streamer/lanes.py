"""Subscriptions of a connection: whether they deliver, when they last did, whether they are silent for too long.

Belongs here: what is known of them. Does not: asking for them (connection.py), gaps (outages.py). Pure; times are monotonic
seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from market_platform.domain.live import Subscription

SETTLE_S = 5.0
"""How long after asking a connection that speaks counts as delivering, answers or not."""


@dataclass(slots=True)
class Lane:
    """A subscription on a connection, and when it last brought something (`brought`: since it was last found stale)."""

    subscription: Subscription
    seen: float
    subscribed_again: bool = False
    brought: bool = False


@dataclass(slots=True)
class Settling:
    """Subscriptions that were asked for and don't count as delivering yet.

    They do once every request was answered and an event came after it, or once some seconds passed on a connection that speaks.
    """

    wanted: list[Subscription] = field(default_factory=list)
    requests: int = 0
    answers: int = 0
    since: float = 0.0

    def ask(self, subscriptions: Sequence[Subscription], requests: int, now: float) -> None:
        """More was asked for, in so many requests."""
        self.wanted.extend(subscriptions)
        self.requests += requests
        self.since = now

    def settled(self, *, events: bool = False, now: float | None = None) -> bool:
        """Whether they deliver: events came just now, or that much time has passed."""
        if now is not None and now - self.since >= SETTLE_S:
            return True
        return events and self.answers >= self.requests


def is_quiet(lane: Lane, now: float, times: float) -> bool:
    """Whether it has been silent for so many times what a live one is."""
    silence = lane.subscription.silence_s
    return silence is not None and now - lane.seen > silence * times
