"""Subscriptions of a connection: whether they deliver, when they last did, whether they are silent for too long.

Belongs here: what is known of them, and whose an event is. Does not: asking for them (connection.py), gaps
(routing/outages.py). Pure; times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from market_platform.domain.events import Candle, Event
from market_platform.domain.live import Channel, Subscription
from market_platform.exchanges.live import StreamDialect

SETTLE_S = 5.0
"""How long after asking a connection that speaks counts as delivering, answers or not."""
_TOGETHER = 0.25
"""What fell silent within this share of a silence since its beginning fell silent with it."""
_ROUTES = 100_000


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


class Lanes:
    """Those of one connection, by name."""

    def __init__(self, dialect: StreamDialect, connection: str) -> None:
        self._dialect = dialect
        self._connection = connection
        self._lanes: dict[str, Lane] = {}
        self._routes: dict[tuple[object, str], Lane | None] = {}

    @property
    def subscriptions(self) -> list[Subscription]:
        """All of them."""
        return [lane.subscription for lane in self._lanes.values()]

    def change(self, added: Iterable[Subscription], removed: Iterable[Subscription], now: float) -> None:
        """Some are asked for, some are not any more."""
        for each in removed:
            self._lanes.pop(each.name, None)
        for each in added:
            self._lanes[each.name] = Lane(each, now)
        self._routes.clear()

    def replace(self, subscriptions: Iterable[Subscription]) -> None:
        """The same subscriptions, of pairs about which something else is known now."""
        for each in subscriptions:
            if each.name in self._lanes:
                self._lanes[each.name].subscription = each

    def of(self, event: Event, symbol: str) -> Lane | None:
        """Whose it is; None for what is not subscribed to (any more)."""
        key = (event.interval if isinstance(event, Candle) else type(event), symbol)
        if key in self._routes:
            return self._routes[key]
        name = self._dialect.subscription_of(event, self._connection)
        if len(self._routes) > _ROUTES:
            self._routes.clear()
        lane = self._routes[key] = None if name is None else self._lanes.get(name)
        return lane

    def quiet(self, now: float) -> list[Subscription]:
        """Those that have been silent for longer than a live one is."""
        return [lane.subscription for lane in self._lanes.values() if is_quiet(lane, now, 1.0)]

    def stale(self, now: float) -> tuple[list[Subscription], list[Lane]]:
        """Those to ask for again, each once in its silence, and those for which that was no use."""
        again: list[Subscription] = []
        hopeless: list[Lane] = []
        for lane in self._lanes.values():
            if not is_quiet(lane, now, 2.0 if lane.subscribed_again else 1.0):
                continue
            if not lane.subscribed_again and self._dialect.resubscribes:
                lane.subscribed_again = True
                again.append(lane.subscription)
            else:
                hopeless.append(lane)
        return again, hopeless

    def suspects_beside(self, hopeless: Sequence[Lane], now: float) -> list[Subscription]:
        """Those that may be as dead as the hopeless ones."""
        return suspects_beside(hopeless, self._lanes.values(), now)


class Sleepers:
    """What stays silent on the next connections as well is a market that sleeps: it is tried less and less often."""

    def __init__(self) -> None:
        self._found: dict[str, int] = {}

    def worth_trying(self, lanes: Iterable[Lane]) -> list[Subscription]:
        """Of those that were found stale (again): the ones for which another connection is worth while."""
        tried: list[Subscription] = []
        for lane in lanes:
            name = lane.subscription.name
            count = self._found[name] = 1 if lane.brought else self._found.get(name, 0) + 1
            lane.brought = False
            if count & (count - 1) == 0:
                tried.append(lane.subscription)
        return tried


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
