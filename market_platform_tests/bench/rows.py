"""What a measurement is: a number, and the limit it must keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One line of the bench's table.

    `value` and `bound` are in `unit`; `better` says on which side of `bound` it must be (the bound itself is within).
    `peer` says what it was measured against, with the figures in absolute terms. A row without a bound only informs.
    """

    name: str
    value: float
    unit: str
    bound: float | None = None
    better: Literal["lower", "higher"] = "lower"
    peer: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value keeps its bound."""
        if self.bound is None:
            return True
        return self.value <= self.bound if self.better == "lower" else self.value >= self.bound
