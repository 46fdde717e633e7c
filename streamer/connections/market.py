"""What connections tell of: the router as they see it, and what is known of a slot.

Belongs here: interfaces and records between connections and what becomes of events. Does not: either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from market_platform.domain.live import Subscription
from streamer.connections.receiver import Delivery

SlotState = Literal["connecting", "open", "backing_off", "stopped"]
LossReason = Literal["start", "disconnect", "stale", "intake_stopped"]


class Market(Protocol):
    """What is told of deliveries: the router. Methods return at once; `receive` and `refuse` may raise IntakeStoppedError."""

    def receive(self, deliveries: Sequence[Delivery], *, timely: bool = True) -> None:
        """Events in the order they came; not `timely` when some may be of before the connection, and say nothing of lag."""
        ...

    def refuse(self, connection: str, reason: str, raw: bytes) -> None:
        """A message that can't be used."""
        ...

    def told(self, at_ms: int) -> None:
        """What time it is at the exchange; may raise IntakeStoppedError."""
        ...

    def lost(
        self, connection: str, subscriptions: Sequence[Subscription], reason: LossReason, detail: str = ""
    ) -> None:
        """From now on they are missed."""
        ...

    def live(self, connection: str, subscriptions: Sequence[Subscription]) -> None:
        """From now on they are not."""
        ...


@dataclass(slots=True)
class Report:
    """What is known of a slot, for health."""

    state: SlotState = "connecting"
    connected_at: datetime | None = None
    messages: int = 0
    last_message_at: datetime | None = None
    dead_letters: int = 0
    reconnects: int = 0
    last_error: str | None = None
    alarm: str | None = None
