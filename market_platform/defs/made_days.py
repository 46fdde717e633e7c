"""In which condition a run left each partition, from what it told Dagster of it.

Belongs here: reading a materialisation's texts; no Dagster import. Does not: telling them (metadata.py), asking for them
(direct.py, commands/dagster_api.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from market_platform.domain.conditions import Condition

TEXTS = ("condition", "reason", "incomplete_hours")
"""Labels of the texts that are read."""


@dataclass(frozen=True, slots=True)
class MadeDay:
    """A partition of a layer: `day` is its first (ISO); `condition` is empty where the layer has none."""

    pair: str
    layer: str
    day: str
    condition: str
    reason: str

    @property
    def is_whole(self) -> bool:
        """Whether nothing that was due is absent."""
        return self.condition in ("", Condition.AVAILABLE, Condition.CLOSED)


def made_day(path: Sequence[str], partition: str, texts: Mapping[str, str]) -> MadeDay:
    """The partition of the asset at `path`, from the texts of its metadata by label."""
    hours = texts.get("incomplete_hours", "none")
    reason = texts.get("reason") or ("" if hours == "none" else f"no ticks in open hours {hours}")
    return MadeDay("/".join(path[:-1]), path[-1], partition, texts.get("condition", ""), reason)
