"""How far legacy ticks are on their way into the lake, a day of a pair at a time: what Postgres has, and what became of it.

Belongs here: which state a day is in. Does not: moving it (legacy_moves.py), words and tables (commands/ticks_status.py).

Rows are counted, not read: that a row was changed in place is found by `to-lake`, which reads a day again before it drops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from market_platform.warehouse.lake_days import LakeDay
from market_platform.warehouse.tick_moves import TickMove

DayState = Literal["postgres_only", "copied", "verified", "dropped", "differs", "changed"]
"""Where a day's rows are.

    postgres_only   never moved: the lake has none of these rows from here
    copied          in the lake, not yet read back
    verified        in the lake, every one; in Postgres still, unless somebody else deleted them
    dropped         in the lake, deleted from Postgres
    differs         the lake has other ticks of the day and keeps them; Postgres keeps its rows
    changed         in Postgres are more or fewer rows than were moved, or the lake has another file: the next move looks again
"""


@dataclass(frozen=True, slots=True)
class DayStatus:
    """A day of a pair. `rows` is what Postgres has now, None when it was not counted; `move` is None when nothing was moved."""

    pair: str
    day: date
    state: DayState
    rows: int | None
    move: TickMove | None


def day_status(pair: str, day: date, rows: int | None, move: TickMove | None, lake: LakeDay | None) -> DayStatus:
    """The status of a day by Postgres's rows now, the record of its move, and the lake's day now."""
    return DayStatus(pair, day, _state(rows, move, lake), rows, move)


def summary(days: Mapping[DayState, int], rows: int | None) -> str:
    """The days of each state and the rows in Postgres, in one line."""
    counted = ", ".join(f"{count:,} {state.replace('_', ' ')}" for state, count in days.items() if count)
    total = sum(days.values())
    held = "rows in Postgres not counted" if rows is None else f"{rows:,} rows in Postgres"
    return f"{total:,} days: {counted}; {held}" if total else "no ticks: none in Postgres, none moved"


def _state(rows: int | None, move: TickMove | None, lake: LakeDay | None) -> DayState:
    if move is None:
        return "postgres_only"
    if rows and (move.state == "dropped" or rows != move.rows or not move.is_of(lake)):
        return "changed"
    return "differs" if move.state == "kept" else move.state
