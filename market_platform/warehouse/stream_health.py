"""How the streamer is: its connections and its state, rewritten every few seconds by it and read by commands.

Belongs here: saving and reading those rows. Does not: the API's reads (health_queries.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.health_queries import (
    CONNECTION_COLUMNS,
    CONNECTIONS,
    STATE_COLUMNS,
    STATES,
    BreakerState,
    ConnectionState,
    StreamConnection,
    StreamState,
)

__all__ = [
    "BreakerState",
    "ConnectionState",
    "StreamConnection",
    "StreamState",
    "read_connections",
    "read_stream_states",
    "save_connections",
    "save_stream_state",
]


def _upsert(table: str, key: tuple[str, ...], columns: Sequence[str]) -> str:
    """Names are constants of this module."""
    written = [name for name in columns if name != "updated_at"]
    assigned = ", ".join(f"{name} = excluded.{name}" for name in written if name not in key)
    return f"""
    INSERT INTO {table} ({", ".join(written)}) VALUES ({", ".join(f"%({name})s" for name in written)})
    ON CONFLICT ({", ".join(key)}) DO UPDATE SET {assigned}, updated_at = clock_timestamp()
    """


_SAVE_CONNECTION = _upsert("stream_connections", ("exchange", "name"), CONNECTION_COLUMNS)
_SAVE_STATE = _upsert("stream_state", ("name",), STATE_COLUMNS)
_FORGET = "DELETE FROM stream_connections WHERE exchange = %s AND NOT name = ANY(%s)"


def save_connections(conn: Connection, exchange: str, connections: Sequence[StreamConnection]) -> None:
    """Make these the exchange's connections: rows of others of the exchange go."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_FORGET, (exchange, [each.name for each in connections]))
        if connections:
            cursor.executemany(_SAVE_CONNECTION, [_parameters(each, CONNECTION_COLUMNS) for each in connections])


def save_stream_state(conn: Connection, state: StreamState) -> None:
    """Write the state of the streamer of that name."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_SAVE_STATE, _parameters(state, STATE_COLUMNS))


def read_connections(conn: Connection, exchange: str | None = None) -> list[StreamConnection]:
    """All connections (of an exchange), by exchange and name; for commands."""
    with driver_connection(conn).cursor() as cursor:
        return [StreamConnection(*row) for row in cursor.execute(CONNECTIONS, {"exchange": exchange})]


def read_stream_states(conn: Connection) -> list[StreamState]:
    """Every streamer that ever wrote its state; for commands."""
    with driver_connection(conn).cursor() as cursor:
        return [StreamState(*row) for row in cursor.execute(STATES)]


def _parameters(row: StreamConnection | StreamState, columns: Sequence[str]) -> dict[str, Any]:
    return {name: Jsonb(row.details) if name == "details" else getattr(row, name) for name in columns}
