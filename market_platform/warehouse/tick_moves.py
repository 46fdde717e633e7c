"""`tick_moves`: how far each day of legacy ticks is on its way from `market_ticks` into the lake.

Belongs here: reading and writing these rows. Does not: the ticks (market_ticks.py), moving them (pipeline/).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.lake_days import LakeDay

MoveState = Literal["copied", "verified", "kept", "dropped"]
Relation = Literal["moved", "equal", "lake_has_more", "postgres_has_more", "differs"]


@dataclass(frozen=True, slots=True)
class TickMove:
    """One row of `tick_moves`.

    `rows` counts all of the day in Postgres, `duplicates` those that equal an earlier one, `truncated` those whose time was cut
    to milliseconds, `merged` those that became equal by that, `zeroed` those whose volume was NULL. `relation` is how the
    rows relate to what the lake had; `object_key` and `content_hash` name the lake's file of the day, None without one.
    """

    trading_pair_id: int
    day: date
    state: MoveState
    rows: int
    duplicates: int
    truncated: int
    merged: int
    zeroed: int
    relation: Relation
    source_hash: str
    object_key: str | None
    content_hash: str | None
    run_id: str

    def is_of(self, lake: LakeDay | None) -> bool:
        """Whether the lake's day is the one that the move was made with."""
        held = (lake.object_key, lake.content_hash) if lake is not None else (None, "")
        return held == (self.object_key, self.content_hash or "")


_COLUMNS = (
    "trading_pair_id, day, state, rows, duplicates, truncated, merged, zeroed, relation, source_hash, object_key, "
    "content_hash, run_id"
)

_SAVE = f"""
INSERT INTO tick_moves ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (trading_pair_id, day) DO UPDATE
SET state = excluded.state, rows = excluded.rows, duplicates = excluded.duplicates, truncated = excluded.truncated,
    merged = excluded.merged, zeroed = excluded.zeroed, relation = excluded.relation, source_hash = excluded.source_hash,
    object_key = excluded.object_key, content_hash = excluded.content_hash, run_id = excluded.run_id,
    changed_at = clock_timestamp()
"""

_LOAD = f"SELECT {_COLUMNS} FROM tick_moves WHERE trading_pair_id = %s AND day = %s"

_OF_DAYS = f"SELECT {_COLUMNS} FROM tick_moves WHERE day BETWEEN %s AND %s ORDER BY trading_pair_id, day"


def save_move(conn: Connection, move: TickMove) -> None:
    """Record how far a day is, in the caller's transaction."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_SAVE, astuple(move))


def load_move(conn: Connection, trading_pair_id: int, day: date, *, lock: bool = False) -> TickMove | None:
    """How far a day is, or None; with `lock` it stays so until the transaction ends."""
    query = _LOAD + " FOR UPDATE" if lock else _LOAD
    with driver_connection(conn).cursor() as cursor:
        row: tuple[Any, ...] | None = cursor.execute(query.encode(), (trading_pair_id, day)).fetchone()
    return TickMove(*row) if row else None


def load_moves(conn: Connection, first: date, last: date) -> list[TickMove]:
    """How far the days of all pairs are, both ends included, sorted by pair and day."""
    with driver_connection(conn).cursor() as cursor:
        return [TickMove(*row) for row in cursor.execute(_OF_DAYS.encode(), (first, last))]
