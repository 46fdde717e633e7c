"""What a connection tells of: its receiver, as it sees it. Belongs here: that interface. Does not: either side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from market_platform.domain.events import Event
from market_platform.domain.live import Subscription
from streamer.connections.lanes import Lane

if TYPE_CHECKING:
    from streamer.connections.connection import Connection

Delivery = tuple[Subscription, Event, bytes, float]
"""Whose an event is, the event, the message that brought it, and when that came (monotonic seconds)."""


class Receiver(Protocol):
    """What takes what a connection brings. Methods return at once, and may raise IntakeStoppedError."""

    def receive(self, connection: Connection, deliveries: Sequence[Delivery], *, timely: bool = True) -> None:
        """Events in the order they came; not `timely` when some may be of before the connection."""
        ...

    def refuse(self, connection: Connection, reason: str, raw: bytes) -> None:
        """A message that can't be used."""
        ...

    def live(self, connection: Connection, subscriptions: Sequence[Subscription]) -> None:
        """Those subscriptions deliver from now on."""
        ...

    def stale(self, connection: Connection, lanes: Sequence[Lane], suspects: Sequence[Subscription]) -> None:
        """Those subscriptions bring nothing although they were asked for again; `suspects` may be as dead as they are."""
        ...

    def told(self, at_ms: int) -> None:
        """The exchange said what time it is there."""
        ...

    def leaving(self, connection: Connection) -> None:
        """The exchange announced that it will cut this connection."""
        ...
