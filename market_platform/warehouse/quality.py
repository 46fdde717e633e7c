"""`data_quality`: outcomes of checks, kept when Dagster's own log is pruned.

Belongs here: recording and summing them. Does not: the checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection

_RECORD = """
INSERT INTO data_quality
    (trading_pair_id, starlisting_id, day, check_type, passed, severity, error_message, details, run_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

_SUMMARY = """
SELECT count(*), count(*) FILTER (WHERE passed)
FROM data_quality WHERE trading_pair_id = %s AND checked_at > now() - %s
"""


@dataclass(frozen=True, slots=True)
class QualitySummary:
    """How many checks of a pair ran within a time, and how many of them passed."""

    total_checks: int
    passed_checks: int


def record_check(
    conn: Connection,
    *,
    trading_pair_id: int,
    check_type: str,
    passed: bool,
    run_id: str,
    starlisting_id: int | None = None,
    day: date | None = None,
    severity: Literal["info", "warning", "error"] = "info",
    error_message: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add one outcome, in the caller's transaction. `day` is None for a check of a range; details must be JSON."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(
            _RECORD,
            (
                trading_pair_id,
                starlisting_id,
                day,
                check_type,
                passed,
                severity,
                error_message,
                Jsonb(dict(details or {})),
                run_id,
            ),
        )


def summarise_checks(conn: Connection, trading_pair_id: int, within: timedelta) -> QualitySummary:
    """Counts of a pair's checks of the last `within`."""
    with driver_connection(conn).cursor() as cursor:
        row = cursor.execute(_SUMMARY, (trading_pair_id, within)).fetchone()
    assert row is not None
    return QualitySummary(*row)
