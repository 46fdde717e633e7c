"""Subscriptions of a connection: whether they deliver, when they last did, whether they are silent for too long.

Belongs here: what is known of them. Does not: asking for them (connection.py), gaps (routing/outages.py). Pure; times are monotonic
seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from market_platform.domain.live import Channel, Subscription

SETTLE_S = 5.0
"""How long after asking a connection that speaks counts as delivering, answers or not."""
_TOGETHER = 0.25
"""What fell silent within this share of a silence since its beginning fell silent with it."""


@dataclass(slots=True)
class Lane:
    """A subscription on a connection, and when it last brought something.

    `began`: it has, since it was asked for; `brought`: since it was last found stale.
    """

    subscription: Subscription
    seen: float
    subscribed_again: bool = False
    brought: bool = False
    began: bool = False


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


def suspects_beside(stale: Sequence[Lane], lanes: Iterable[Lane], now: float) -> list[Subscription]:
    """Subscriptions that may be as dead as the stale ones, though they may be silent for ever by themselves.

    Those of a channel that brought nothing since a stale one of its pair did, and all of a pair of which nothing came since.
    """
    everything, names = list(lanes), {lane.subscription.name for lane in stale}
    began = _together(min(lane.seen for lane in stale), now)
    pair_began: dict[int, float] = {}
    for lane in stale:
        pair_id = lane.subscription.pair.id
        pair_began[pair_id] = max(_together(lane.seen, now), pair_began.get(pair_id, -inf))
    pairs: dict[int, float] = {}
    channels: dict[tuple[int, Channel], float] = {}
    for lane in everything:
        pair_id, channel = lane.subscription.pair.id, lane.subscription.channel
        pairs[pair_id] = max(lane.seen, pairs.get(pair_id, lane.seen))
        channels[pair_id, channel] = max(lane.seen, channels.get((pair_id, channel), lane.seen))
    found: list[Subscription] = []
    for lane in everything:
        each = lane.subscription
        with_its_pair = channels[each.pair.id, each.channel] <= pair_began.get(each.pair.id, -inf)
        if each.name not in names and (with_its_pair or pairs[each.pair.id] <= began):
            found.append(each)
    return found


def _together(seen: float, now: float) -> float:
    return seen + (now - seen) * _TOGETHER
