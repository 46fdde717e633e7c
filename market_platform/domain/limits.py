"""What an exchange allows one address, counted by several processes together.

Belongs here: the interface between who asks exchanges and who keeps count. Does not: either of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Turn:
    """What a ledger says to a request: it may be sent in `wait_s` when `granted`, else ask again then.

    `pause_s` is what is left of a pause that the exchange ordered; during one nothing is granted.
    """

    granted: bool
    wait_s: float = 0.0
    pause_s: float = 0.0


class LimitLedger(Protocol):
    """What all processes together have sent, by the name of a limit. No method raises, or blocks an event loop."""

    async def turn(self, name: str, cost_s: float, burst_s: float) -> Turn | None:
        """The next turn for a request that costs `cost_s` of a flow, of which `burst_s` may go at once.

        None when the ledger is away.
        """
        ...

    async def pause_left(self, name: str) -> float:
        """What is left of a pause, in seconds; 0 when there is none, or the ledger is away."""
        ...

    def pause(self, name: str, seconds: float) -> None:
        """Let nobody send anything for so long; returns at once and is noted soon after."""
        ...
