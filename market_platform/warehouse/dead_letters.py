"""Messages that could not be used, kept for a person to look at.

Belongs here: adding, reading and pruning them. Does not: what makes a message bad (exchanges/, streamer/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection

MAX_TEXT = 65_536
"""Characters of a payload that are kept."""


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A message: where it came from, why it was refused, its text, when it came."""

    exchange: str
    channel: str
    reason: str
    payload: str
    received_at: datetime


_ADD = """
INSERT INTO dead_letters (received_at, exchange, channel, reason, payload)
SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[])
"""

_RECENT = """
SELECT exchange, channel, reason, payload, received_at FROM dead_letters
WHERE %(exchange)s::text IS NULL OR exchange = %(exchange)s ORDER BY received_at DESC, id DESC LIMIT %(limit)s
"""

_PRUNE = "DELETE FROM dead_letters WHERE received_at < now() - %(age)s"


def add_dead_letters(conn: Connection, letters: Sequence[DeadLetterRow]) -> None:
    """Keep them, in the caller's transaction. What Postgres can't hold (NUL, half a surrogate pair) is kept as an escape."""
    if not letters:
        return
    columns = (
        [each.received_at for each in letters],
        *(
            [_storable(getattr(each, name)) for each in letters]
            for name in ("exchange", "channel", "reason", "payload")
        ),
    )
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_ADD, columns)


def load_dead_letters(conn: Connection, exchange: str | None = None, limit: int = 100) -> list[DeadLetterRow]:
    """The newest ones (of that exchange), newest first."""
    with driver_connection(conn).cursor() as cursor:
        return [DeadLetterRow(*row) for row in cursor.execute(_RECENT, {"exchange": exchange, "limit": limit})]


def prune_dead_letters(conn: Connection, older_than: timedelta) -> int:
    """Delete those that came longer ago; returns how many."""
    with driver_connection(conn).cursor() as cursor:
        return cursor.execute(_PRUNE, {"age": older_than}).rowcount


def _storable(text: str) -> str:
    return text[:MAX_TEXT].replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
