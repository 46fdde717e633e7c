"""How the streamer is: its connections and its state, rewritten every few seconds by it and read by the API and commands.

Belongs here: saving and reading those rows. Does not: what they mean for health (api_service/health).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection

ConnectionState = Literal["connecting", "open", "backing_off", "stopped"]
BreakerState = Literal["closed", "half_open", "open"]


@dataclass(frozen=True, slots=True)
class StreamConnection:
    """A connection of the streamer. `lag_ms` is from the exchange's event time to its receipt; counts are since its start.

    `updated_at` is set by the database when saving.
    """

    exchange: str
    name: str
    state: ConnectionState
    breaker: BreakerState = "closed"
    connected_at: datetime | None = None
    last_message_at: datetime | None = None
    last_event_time: datetime | None = None
    lag_ms: float | None = None
    subscriptions: int = 0
    stale_subscriptions: int = 0
    messages: int = 0
    dead_letters: int = 0
    reconnects: int = 0
    last_error: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StreamState:
    """A streamer process. `alarm` is a sentence for a person, None when all is well; `updated_at` as of a connection."""

    name: str
    started_at: datetime
    accepting: bool = True
    alarm: str | None = None
    journal_rows: int = 0
    journal_bytes: int = 0
    oldest_pending_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    updated_at: datetime | None = None


_CONNECTION_COLUMNS = tuple(each.name for each in fields(StreamConnection))
_STATE_COLUMNS = tuple(each.name for each in fields(StreamState))


def _upsert(table: str, key: tuple[str, ...], columns: Sequence[str]) -> str:
    """Names are constants of this module."""
    written = [name for name in columns if name != "updated_at"]
    assigned = ", ".join(f"{name} = excluded.{name}" for name in written if name not in key)
    return f"""
    INSERT INTO {table} ({", ".join(written)}) VALUES ({", ".join(f"%({name})s" for name in written)})
    ON CONFLICT ({", ".join(key)}) DO UPDATE SET {assigned}, updated_at = clock_timestamp()
    """


_SAVE_CONNECTION = _upsert("stream_connections", ("exchange", "name"), _CONNECTION_COLUMNS)
_SAVE_STATE = _upsert("stream_state", ("name",), _STATE_COLUMNS)
_FORGET = "DELETE FROM stream_connections WHERE exchange = %s AND NOT name = ANY(%s)"
_CONNECTIONS = f"""
SELECT {", ".join(_CONNECTION_COLUMNS)} FROM stream_connections
WHERE %(exchange)s::text IS NULL OR exchange = %(exchange)s ORDER BY exchange, name
"""
_STATES = f"SELECT {', '.join(_STATE_COLUMNS)} FROM stream_state ORDER BY name"


def save_connections(conn: Connection, exchange: str, connections: Sequence[StreamConnection]) -> None:
    """Make these the exchange's connections: rows of others of the exchange go."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_FORGET, (exchange, [each.name for each in connections]))
        if connections:
            cursor.executemany(_SAVE_CONNECTION, [_parameters(each, _CONNECTION_COLUMNS) for each in connections])


def save_stream_state(conn: Connection, state: StreamState) -> None:
    """Write the state of the streamer of that name."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_SAVE_STATE, _parameters(state, _STATE_COLUMNS))


def read_connections(conn: Connection, exchange: str | None = None) -> list[StreamConnection]:
    """All connections (of an exchange), by exchange and name; for commands."""
    with driver_connection(conn).cursor() as cursor:
        return [StreamConnection(*row) for row in cursor.execute(_CONNECTIONS, {"exchange": exchange})]


def read_stream_states(conn: Connection) -> list[StreamState]:
    """Every streamer that ever wrote its state; for commands."""
    with driver_connection(conn).cursor() as cursor:
        return [StreamState(*row) for row in cursor.execute(_STATES)]


async def load_connections(
    connection: AsyncConnection[tuple[Any, ...]], exchange: str | None = None
) -> list[StreamConnection]:
    """All connections (of an exchange), by exchange and name."""
    cursor = await connection.execute(_CONNECTIONS, {"exchange": exchange}, prepare=True)
    return [StreamConnection(*row) for row in await cursor.fetchall()]


async def load_stream_states(connection: AsyncConnection[tuple[Any, ...]]) -> list[StreamState]:
    """Every streamer that ever wrote its state."""
    cursor = await connection.execute(_STATES, prepare=True)
    return [StreamState(*row) for row in await cursor.fetchall()]


def _parameters(row: StreamConnection | StreamState, columns: Sequence[str]) -> dict[str, Any]:
    return {name: Jsonb(row.details) if name == "details" else getattr(row, name) for name in columns}
