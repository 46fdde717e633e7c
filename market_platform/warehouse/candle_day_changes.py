"""What a write makes of its rows of `candle_days`: span, condition and versions afterwards, and whether anything moved.

Belongs here: those rules, and saving what moved. Does not: what changes among the candles (candle_changes.py), the SQL of
`candle_days` (candle_days.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from market_platform.domain.conditions import Condition
from market_platform.warehouse.candle_changes import CandleWrite, Changes, DayChange
from market_platform.warehouse.candle_days import CandleDay, DayKey, save_days, save_inputs
from market_platform.warehouse.candle_versions import next_version


def save_day_changes(
    cursor: psycopg.Cursor[Any],
    writes: Sequence[CandleWrite],
    before: Mapping[DayKey, CandleDay],
    changes: Changes,
    run_id: str,
    code_version: str,
) -> dict[DayKey, CandleDay]:
    """Bump `candle_days` where a row or the condition changed, or the row is new; else note only other inputs."""
    after = {
        (write.starlisting_id, write.day): _after(before[write.starlisting_id, write.day], write, change)
        for write, change in zip(writes, changes.days, strict=True)
    }
    raised = {
        (write.starlisting_id, write.day)
        for write, change in zip(writes, changes.days, strict=True)
        if change.raised_rows
    }
    same = {
        key
        for key, day in after.items()
        if before[key].revision
        and key not in raised
        and replace(day, input_version=before[key].input_version) == before[key]
    }
    rebuilt = [after[key] for key in same if after[key] != before[key]]
    if rebuilt:
        save_inputs(cursor, rebuilt)
    moved = [day for key, day in after.items() if key not in same]
    if moved:
        for key, (revision, written_at) in save_days(cursor, moved, run_id, code_version).items():
            after[key] = replace(
                after[key], revision=revision, written_at=written_at, run_id=run_id, code_version=code_version
            )
    return after


def _after(before: CandleDay, write: CandleWrite, change: DayChange) -> CandleDay:
    rows, first, last = change.rows, change.first_time, change.last_time
    if not write.replace:
        rows = before.rows + change.added_rows
        first = min((each for each in (before.first_time, first) if each), default=None)
        last = max((each for each in (before.last_time, last) if each), default=None)
    condition = _condition(before.condition, write.condition, outranked=change.outranked or change.kept)
    rebuilt = write.replace and not (change.kept and condition is not write.condition)
    return replace(
        before,
        rows=rows,
        first_time=first,
        last_time=last,
        condition=Condition.DEGRADED if change.kept and condition is Condition.MISSING else condition,
        data_version=next_version(before.data_version, change.content),
        input_version=write.input_version if rebuilt else before.input_version,
        changed_rows=change.changed_rows,
    )


def _condition(before: Condition, written: Condition | None, *, outranked: bool) -> Condition:
    """The day's condition after a write; one that better candles outlive can't say that the day is worse than it is."""
    if written is None or (outranked and before.is_final and not written.is_final):
        return before
    return written
