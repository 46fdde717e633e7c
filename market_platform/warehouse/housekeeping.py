"""Keeping tables small that would grow for ever.

Belongs here: bounded deletes. Does not: when they run (defs/), TimescaleDB's own policies (sql/).
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection

# Dagster derives which partitions are materialised, failed or checked from ASSET_… events, and a run's times from its
# PIPELINE_… events, so those stay for ever. What goes is what only a run's own page shows: steps, engine, captured logs.
_PRUNE = """
WITH prunable AS (
    SELECT id FROM dagster.event_logs AS event
    WHERE id > %(after)s AND "timestamp" < (now() - %(age)s) AT TIME ZONE 'UTC'
        AND asset_key IS NULL
        AND NOT starts_with(coalesce(dagster_event_type, ''), 'ASSET_')
        AND NOT starts_with(coalesce(dagster_event_type, ''), 'PIPELINE_')
        AND NOT EXISTS (
            SELECT FROM dagster.runs
            WHERE runs.run_id = event.run_id AND runs.status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')
        )
    ORDER BY id LIMIT %(batch)s
), deleted AS (
    DELETE FROM dagster.event_logs USING prunable WHERE event_logs.id = prunable.id RETURNING event_logs.id
)
SELECT count(*), max(id) FROM deleted
"""


def prune_event_log(
    conn: Connection, older_than: timedelta, *, batch_rows: int = 10_000, max_rows: int = 1_000_000
) -> int:
    """Delete events of finished runs that Dagster needs no more; returns how many.

    Every statement deletes at most `batch_rows`, a call at most `max_rows`; what is left goes with the next call. Events
    of unfinished runs stay, as do all events that a partition's or a check's state is derived from. Does nothing where
    Dagster's tables are not in this database.
    """
    deleted, after = 0, 0
    with driver_connection(conn).cursor() as cursor:
        if cursor.execute("SELECT to_regclass('dagster.event_logs'), to_regclass('dagster.runs')").fetchone() == (
            None,
            None,
        ):
            return 0
        while deleted < max_rows:
            batch = min(batch_rows, max_rows - deleted)
            row = cursor.execute(_PRUNE, {"after": after, "age": older_than, "batch": batch}).fetchone()
            assert row is not None
            deleted += row[0]
            if row[0] < batch:
                break
            after = row[1]
    return deleted
