"""The indexes of `market_ticks`, dropped for a load and built again after it.

Belongs here: which indexes may go, dropping and building them, ANALYZE. Does not: the load's record (bulk_loads.py).
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from market_platform.domain.errors import WarehouseError

# Not what a constraint needs, and nothing unique: without it rows could come that it can never be built on again.
_INDEXES = """
SELECT relname, pg_get_indexdef(indexrelid), indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE indrelid = 'market_ticks'::regclass AND NOT indisunique AND NOT indisprimary
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY relname
"""

_IS_HYPERTABLE = "SELECT to_regclass('_timescaledb_catalog.hypertable') IS NOT NULL"


def dropped_indexes(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Drop the indexes in the caller's transaction; name → definition.

    Raises:
        WarehouseError: the table is a hypertable, whose indexes can't be built concurrently.
    """
    timescale = connection.execute(_IS_HYPERTABLE).fetchone()
    if timescale and timescale[0]:
        raise WarehouseError(
            "TimescaleDB does not build a hypertable's index concurrently; load without --manage-indexes"
        )
    indexes = {name: definition for name, definition, _ in connection.execute(_INDEXES).fetchall()}
    for name in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    return indexes


def build_index(connection: psycopg.Connection[Any], name: str, definition: str) -> bool:
    """Build a dropped index again without locking out writers; False when it is there. An invalid one is built anew."""
    there = {each: valid for each, _, valid in connection.execute(_INDEXES).fetchall()}
    if there.get(name):
        return False
    connection.execute("SET lock_timeout = '10min'")  # it waits for every transaction that is older than it
    if name in there:
        connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(name)))
    connection.execute(definition.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1).encode())
    return True


def analyze(connection: psycopg.Connection[Any]) -> None:
    """Let Postgres's planner know the table's new content."""
    connection.execute("ANALYZE market_ticks")
