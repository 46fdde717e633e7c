"""How long to wait before connecting again. Belongs here: the delays. Does not: what failed (failures.py)."""

from __future__ import annotations

import random
from collections.abc import Callable

_FIRST_S = 0.5
_CAP_S = 60.0
_HEALTHY_S = 60.0


class Backoff:
    """Full jitter: anything from 0 to a limit that doubles with every connection lost, up to a minute.

    Only a connection that lived for a healthy minute makes it forget: a server that accepts and closes at once is not well.
    """

    def __init__(self, dice: Callable[[], float] | None = None) -> None:
        self._dice = dice or random.SystemRandom().random
        self._losses = 0

    @property
    def losses(self) -> int:
        """Connections lost or not had in a row, without a healthy one between."""
        return self._losses

    def lost(self, lived_s: float, at_least_s: float = 0.0) -> float:
        """Seconds to wait, after a connection that delivered for `lived_s` (0: it never did)."""
        self._losses = 1 if lived_s >= _HEALTHY_S else self._losses + 1
        limit = min(_CAP_S, _FIRST_S * 2.0 ** min(self._losses - 1, 16))
        return max(at_least_s, self._dice() * limit)
