"""The numbering of final changes: every candle, funding or open-interest row that changes gets the next number of its starlisting.

Belongs here: giving numbers in the transaction that changes the rows, telling listeners, pruning. Does not: reading by
number (series_queries.py), what counts as a change (candle_changes.py, market_context.py).

Numbers are given at the end of a transaction's writes, in the order of starlistings, so that writers can't deadlock over
them: a transaction that writes more than once hands one `SeriesBump` to every write and saves it last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from market_platform.domain.live_frames import SERIES_CHANNEL
from market_platform.warehouse.driver import driver_connection

ChangeKind = Literal["candle", "funding", "open_interest"]

MAX_CHANGES = 1_000
"""More changed rows of one starlisting in one transaction are one `resync`: reading anew is quicker than catching up."""

_IDS_A_PAYLOAD = 250
"""`id:seq` is at most 31 bytes with its space, so a payload stays under NOTIFY's limit (live_frames.MAX_PAYLOAD)."""

_SAVE = f"""
WITH wanted AS (
    SELECT starlisting_id, n FROM unnest(%(ids)s::integer[], %(counts)s::bigint[]) AS given (starlisting_id, n)
), moved AS (
    INSERT INTO series_state AS stored (starlisting_id, seq) SELECT starlisting_id, n FROM wanted ORDER BY starlisting_id
    ON CONFLICT (starlisting_id) DO UPDATE SET seq = stored.seq + excluded.seq
    RETURNING starlisting_id, seq
), appended AS (
    INSERT INTO series_changes (starlisting_id, seq, kind, "time")
    SELECT change.starlisting_id, moved.seq - wanted.n + change.position, change.kind, change."time"
    FROM unnest(%(change_ids)s::integer[], %(positions)s::bigint[], %(kinds)s::text[], %(times)s::timestamptz[])
        AS change (starlisting_id, position, kind, "time")
    JOIN moved USING (starlisting_id)
    JOIN wanted USING (starlisting_id)
)
SELECT pg_notify('{SERIES_CHANNEL}', string_agg(concat(starlisting_id, ':', seq), ' ' ORDER BY starlisting_id))
FROM (SELECT starlisting_id, seq, (row_number() OVER (ORDER BY starlisting_id) - 1) / {_IDS_A_PAYLOAD} AS part FROM moved)
    AS numbered
GROUP BY part
"""

_PRUNE = """
DELETE FROM series_changes AS change USING series_state AS state
WHERE change.starlisting_id = state.starlisting_id AND change.written_at < now() - %(age)s
    AND change.seq <= state.seq - %(keep)s
"""


class SeriesBump:
    """What a transaction changed, to be numbered at its end."""

    def __init__(self) -> None:
        self._changes: defaultdict[int, list[tuple[datetime, ChangeKind]]] = defaultdict(list)
        self._resync: set[int] = set()

    def add(self, starlisting_id: int, kind: ChangeKind, times: Iterable[datetime]) -> None:
        """Rows of the starlisting (or its pair) that appeared or differ, by their times."""
        self._changes[starlisting_id] += ((time, kind) for time in times)

    def resync(self, starlisting_id: int) -> None:
        """Something that no row can say: many changes, or a row that is gone."""
        self._resync.add(starlisting_id)

    def save(self, conn: Connection) -> None:
        """Number what was added, in the caller's transaction, and tell listeners at its commit. Nothing added, nothing done.

        Changes of a starlisting are numbered by time; candles come before funding and open interest of the same time.
        """
        ids = sorted(self._changes.keys() | self._resync)
        if not ids:
            return
        counts: list[int] = []
        rows: list[tuple[int, int, str, datetime | None]] = []
        for starlisting_id in ids:
            changes = self._changes.get(starlisting_id, [])
            if starlisting_id in self._resync or len(changes) > MAX_CHANGES:
                counts.append(1)
                rows.append((starlisting_id, 1, "resync", None))
            else:
                counts.append(len(changes))
                rows += (
                    (starlisting_id, position, kind, time)
                    for position, (time, kind) in enumerate(sorted(changes), start=1)
                )
        self._changes.clear()
        self._resync.clear()
        change_ids, positions, kinds, times = (list(column) for column in zip(*rows, strict=True))
        with driver_connection(conn).cursor() as cursor:
            cursor.execute(
                _SAVE,
                {
                    "ids": ids,
                    "counts": counts,
                    "change_ids": change_ids,
                    "positions": positions,
                    "kinds": kinds,
                    "times": times,
                },
            )


def prune_changes(conn: Connection, older_than: timedelta, keep: int) -> int:
    """Delete changes that are older and not among the starlisting's `keep` newest; returns how many.

    Who asks for what was deleted is told to read anew.
    """
    with driver_connection(conn).cursor() as cursor:
        return cursor.execute(_PRUNE, {"age": older_than, "keep": keep}).rowcount
