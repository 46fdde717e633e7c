"""What the API's health paths read: the streamer's connections and state, open gaps, dead letters. Async.

Belongs here: those reads and their rows. Does not: writing them (stream_health.py, gaps.py, dead_letters.py), what they mean
for health (api_service/health).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from psycopg import AsyncConnection

Connection = AsyncConnection[tuple[Any, ...]]
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


CONNECTION_COLUMNS = tuple(each.name for each in fields(StreamConnection))
STATE_COLUMNS = tuple(each.name for each in fields(StreamState))
CONNECTIONS = f"""
SELECT {", ".join(CONNECTION_COLUMNS)} FROM stream_connections
WHERE %(exchange)s::text IS NULL OR exchange = %(exchange)s ORDER BY exchange, name
"""
STATES = f"SELECT {', '.join(STATE_COLUMNS)} FROM stream_state ORDER BY name"

_GAPS = """
SELECT exchanges.code, count(*), min(detected_at)
FROM gaps
JOIN trading_pairs ON trading_pairs.id = trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id
WHERE repaired_at IS NULL AND unrepairable IS NULL GROUP BY exchanges.code
"""

_DEAD_LETTERS = "SELECT exchange, count(*) FROM dead_letters WHERE received_at > now() - %(age)s GROUP BY exchange"


class OpenGaps(NamedTuple):
    """How many gaps of an exchange are neither repaired nor given up, and when the oldest of them was found."""

    open: int
    oldest: datetime


async def load_connections(connection: Connection, exchange: str | None = None) -> list[StreamConnection]:
    """All connections (of an exchange), by exchange and name."""
    cursor = await connection.execute(CONNECTIONS, {"exchange": exchange}, prepare=True)
    return [StreamConnection(*row) for row in await cursor.fetchall()]


async def load_stream_states(connection: Connection) -> list[StreamState]:
    """Every streamer that ever wrote its state."""
    cursor = await connection.execute(STATES, prepare=True)
    return [StreamState(*row) for row in await cursor.fetchall()]


async def load_open_gaps(connection: Connection) -> dict[str, OpenGaps]:
    """Open gaps by exchange; exchanges without one are left out."""
    cursor = await connection.execute(_GAPS, prepare=True)
    return {row[0]: OpenGaps(row[1], row[2]) for row in await cursor.fetchall()}


async def count_dead_letters(connection: Connection, age: timedelta) -> dict[str, int]:
    """How many dead letters came within that time, by exchange."""
    cursor = await connection.execute(_DEAD_LETTERS, {"age": age}, prepare=True)
    return {row[0]: row[1] for row in await cursor.fetchall()}
