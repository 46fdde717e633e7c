"""What repair does to the gap ledger: which gaps are due, that they were tried, and how they ended.

Belongs here: those reads and writes of `gaps`. Does not: recording and listing gaps (gaps.py), the repair itself
(pipeline/gap_repair.py).

An attempt is counted when it begins, so that one that kills its process counts too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.gaps import COLUMNS, FROM, OPEN, Gap

FIRST_RETRY_S = 5
LONGEST_RETRY_S = 600
"""A gap is tried again after 5, 10, 20 … seconds, ten minutes at most."""


@dataclass(frozen=True, slots=True)
class LostPart:
    """A part of a gap that can't be had again, and why. `interval` None: of the gap's own."""

    start: datetime
    end: datetime
    why: str
    interval: str | None = None
    first_id: int | None = None
    last_id: int | None = None


_DUE = f"""
SELECT {COLUMNS} {FROM}
WHERE {OPEN} AND gap_end IS NOT NULL AND exchanges.code = %(exchange)s
    AND (%(pairs)s::integer[] IS NULL OR trading_pair_id = ANY(%(pairs)s))
    AND (last_attempt_at IS NULL OR last_attempt_at < clock_timestamp()
        - least({LONGEST_RETRY_S}, {FIRST_RETRY_S} * 2 ^ least(attempts - 1, 10)) * interval '1 second')
ORDER BY gap_start DESC, gaps.id LIMIT %(limit)s
"""
_OVERDUE = f"""
SELECT {COLUMNS} {FROM}
WHERE {OPEN} AND gap_end IS NOT NULL AND (detected_at < clock_timestamp() - %(age)s OR attempts >= %(attempts)s)
    AND (last_attempt_at IS NULL OR last_attempt_at < clock_timestamp()
        - %(rest)s * 2 ^ least(greatest(attempts - %(attempts)s, 0), 6))
ORDER BY gap_start DESC, gaps.id LIMIT %(limit)s
"""
_BEGIN = f"""
UPDATE gaps SET attempts = attempts + 1, last_attempt_at = clock_timestamp(), run_id = coalesce(%s, run_id)
WHERE id = ANY(%s) AND {OPEN} RETURNING id
"""
_AS_SEEN = f"""
SELECT gaps.id FROM gaps JOIN unnest(%s::bigint[], %s::timestamptz[], %s::bigint[]) AS seen (id, gap_end, last_id) USING (id)
WHERE {OPEN} AND gaps.gap_end IS NOT DISTINCT FROM seen.gap_end AND gaps.last_id IS NOT DISTINCT FROM seen.last_id
ORDER BY gaps.id FOR UPDATE OF gaps
"""
_FAILED = f"UPDATE gaps SET last_error = %s WHERE id = ANY(%s) AND {OPEN}"
_REPAIRED = f"""
UPDATE gaps SET repaired_at = clock_timestamp(), repaired_rows = %(rows)s, run_id = coalesce(%(run_id)s, run_id),
    last_error = NULL, detail = concat_ws('; ', nullif(detail, ''), nullif(%(note)s, ''))
WHERE id = %(id)s AND {OPEN}
"""
_GIVEN_UP = f"""
UPDATE gaps SET unrepairable = %(why)s, run_id = coalesce(%(run_id)s, run_id) WHERE id = %(id)s AND {OPEN}
"""
_LOST_PART = f"""
INSERT INTO gaps (trading_pair_id, kind, "interval", gap_start, gap_end, first_id, last_id, reason, detail, detected_at,
    attempts, last_attempt_at, unrepairable, run_id)
SELECT trading_pair_id, kind, coalesce(%(interval)s, "interval"), %(start)s, %(end)s, %(first_id)s, %(last_id)s, reason,
    'part of gap ' || id, detected_at, attempts, last_attempt_at, %(why)s, coalesce(%(run_id)s, run_id)
FROM gaps WHERE id = %(id)s AND {OPEN}
"""
_ADVANCE = (
    f"UPDATE gaps SET first_id = %(next)s WHERE id = %(id)s AND {OPEN} AND coalesce(last_id, %(next)s) >= %(next)s"
)


def load_due_gaps(
    conn: Connection, exchange: str, pair_ids: Collection[int] | None = None, limit: int = 100
) -> list[Gap]:
    """Open gaps of an exchange (or those pairs of it) that ended and whose time to be tried has come, newest first."""
    parameters = {"exchange": exchange, "pairs": None if pair_ids is None else list(pair_ids), "limit": limit}
    with driver_connection(conn).cursor() as cursor:
        return [Gap(*row) for row in cursor.execute(_DUE, parameters)]


def load_overdue_gaps(
    conn: Connection, age: timedelta, attempts: int, rest: timedelta, limit: int = 1_000
) -> list[Gap]:
    """Open gaps that ended and that are older than `age` or were tried `attempts` times, newest first.

    Those that somebody tried within `rest` are left out, which doubles with each attempt beyond `attempts`, six times.
    """
    parameters = {"age": age, "attempts": attempts, "rest": rest, "limit": limit}
    with driver_connection(conn).cursor() as cursor:
        return [Gap(*row) for row in cursor.execute(_OVERDUE, parameters)]


def begin_attempt(conn: Connection, gap_ids: Sequence[int], run_id: str | None = None) -> set[int]:
    """Count an attempt at those gaps; the ones that are still open are returned."""
    with driver_connection(conn).cursor() as cursor:
        return {row[0] for row in cursor.execute(_BEGIN, (run_id, list(gap_ids)))}


def lock_as_seen(conn: Connection, gaps: Sequence[Gap]) -> set[int]:
    """The gaps that are open and end where they did when they were read; locked until the caller's transaction ends.

    A later end that came meanwhile (of a streamer that was killed and started again) is still to be repaired.
    """
    seen = ([gap.id for gap in gaps], [gap.end for gap in gaps], [gap.last_id for gap in gaps])
    with driver_connection(conn).cursor() as cursor:
        return {row[0] for row in cursor.execute(_AS_SEEN, seen)}


def record_failure(conn: Connection, gap_ids: Sequence[int], error: str) -> None:
    """Note why the attempt at those gaps failed; they stay open."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_FAILED, (error, list(gap_ids)))


def close_gap(
    conn: Connection,
    gap_id: int,
    rows: int,
    *,
    lost: Sequence[LostPart] = (),
    note: str = "",
    run_id: str | None = None,
) -> None:
    """Repaired, but for what is `lost`: each such part becomes a row of its own that says so."""
    with driver_connection(conn).cursor() as cursor:
        for part in lost:
            cursor.execute(
                _LOST_PART,
                {
                    "id": gap_id,
                    "interval": part.interval,
                    "start": part.start,
                    "end": part.end,
                    "first_id": part.first_id,
                    "last_id": part.last_id,
                    "why": part.why,
                    "run_id": run_id,
                },
            )
        cursor.execute(_REPAIRED, {"id": gap_id, "rows": rows, "note": note, "run_id": run_id})


def mark_unrepairable(conn: Connection, gap_id: int, why: str, *, run_id: str | None = None) -> None:
    """Nothing of the gap can be had again."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_GIVEN_UP, {"id": gap_id, "why": why, "run_id": run_id})


def advance_gap(conn: Connection, gap_id: int, next_id: int) -> None:
    """The trades below `next_id` are there: only the rest of the gap's ids is still missing."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_ADVANCE, {"id": gap_id, "next": next_id})
