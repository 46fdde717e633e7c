"""The condition of a day of data: what a reader may rely on. Nothing is ever filled in silently."""

from __future__ import annotations

from enum import StrEnum


class Condition(StrEnum):
    """The five states of a pair's day."""

    AVAILABLE = "available"
    """Everything the exchange has for the day is here and verified."""
    DEGRADED = "degraded"
    """Some of it is here, and we know what is missing."""
    PENDING = "pending"
    """The exchange has not published (all of) it yet; worth asking again."""
    CLOSED = "closed"
    """The market was closed all day by its own schedule or holidays; there is nothing to have."""
    MISSING = "missing"
    """The market was open and the exchange has nothing."""

    @property
    def is_final(self) -> bool:
        """Whether asking the exchange again is not expected to change it."""
        return self in (Condition.AVAILABLE, Condition.CLOSED)
