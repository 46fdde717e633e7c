"""How gaps are shown: a table for people, lines for a pipe, JSON for programs.

Belongs here: columns and their words. Does not: which gaps (gaps.py), SQL (warehouse/).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from market_platform.commands.tables import print_rows

if TYPE_CHECKING:
    from market_platform.warehouse.gaps import Gap

_COLUMNS = ("id", "pair", "kind", "from (UTC)", "to (UTC)", "reason", "state", "attempts", "rows", "detail")


def gap_record(gap: Gap) -> dict[str, Any]:
    """A gap for programs: times in ISO 8601, UTC."""

    def iso(moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    return {
        "id": gap.id,
        "pair": gap.pair,
        "kind": gap.kind,
        "interval": gap.interval,
        "start": iso(gap.start),
        "end": iso(gap.end),
        "first_id": gap.first_id,
        "last_id": gap.last_id,
        "reason": gap.reason,
        "state": gap.state,
        "detail": gap.detail,
        "detected_at": iso(gap.detected_at),
        "attempts": gap.attempts,
        "last_attempt_at": iso(gap.last_attempt_at),
        "last_error": gap.last_error,
        "repaired_at": iso(gap.repaired_at),
        "repaired_rows": gap.repaired_rows,
        "unrepairable": gap.unrepairable,
        "run_id": gap.run_id,
    }


def print_table(gaps: Sequence[Gap]) -> None:
    """A table on a terminal; lines with tabs between the columns for a pipe."""
    if not gaps:
        typer.echo("no gaps")
        return
    print_rows(_COLUMNS, [_cells(gap) for gap in gaps], numbers=("id", "attempts", "rows"), wraps=("detail",))


def _cells(gap: Gap) -> tuple[str, ...]:
    ids = f" {gap.first_id}–{'' if gap.last_id is None else gap.last_id}" if gap.first_id is not None else ""
    why = gap.unrepairable or gap.last_error or gap.detail
    return (
        str(gap.id),
        gap.pair,
        f"{gap.kind}{f' {gap.interval}' if gap.interval else ''}{ids}",
        f"{gap.start:%Y-%m-%d %H:%M:%S}",
        f"{gap.end:%Y-%m-%d %H:%M:%S}" if gap.end else "still away",
        gap.reason,
        gap.state,
        str(gap.attempts),
        "" if gap.repaired_rows is None else f"{gap.repaired_rows:,}",
        " ".join(why.split()),
    )
