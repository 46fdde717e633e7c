"""Reading by number: where a starlisting's numbering is, what changed since, and a snapshot with the number it is of.

Belongs here: async reads for clients that follow a series. Does not: giving numbers (series.py), how rows look as JSON
(row_json.py), HTTP and WebSockets.

Every function takes a psycopg connection in autocommit mode whose session is in UTC; what one call returns is of one snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from psycopg import AsyncConnection

from market_platform.warehouse.row_json import candle_json, funding_json, open_interest_json

Connection = AsyncConnection[tuple[Any, ...]]
ChangeKind = Literal["candle", "funding", "open_interest"]

MAX_CATCH_UP = 1_000
"""Who is further behind is told to read anew."""


class SeriesState(NamedTuple):
    """Where the numbering is. `seq` 0 and `epoch` 0: nothing changed yet."""

    epoch: int
    seq: int


class SeriesChange(NamedTuple):
    """A change and its row as it is now: a JSON object in the shape of section 2 of the API (decimals are strings)."""

    seq: int
    kind: ChangeKind
    time: datetime
    data: str


@dataclass(frozen=True, slots=True)
class SeriesUpdates:
    """What changed after a number. `seq` is the newest one.

    `changes` is None when they can't be told one by one (too many, pruned, or the rows were replaced): read a snapshot.
    """

    epoch: int
    seq: int
    changes: tuple[SeriesChange, ...] | None


@dataclass(frozen=True, slots=True)
class SeriesSnapshot:
    """The newest rows of a starlisting and of its pair, oldest first, and the number they are of.

    Each of `candles`, `funding` and `open_interest` is a JSON array in the shape of section 2 of the API; the counts are
    their lengths.
    """

    epoch: int
    seq: int
    candles: str
    candle_count: int
    funding: str
    funding_count: int
    open_interest: str
    open_interest_count: int


_STATES = "SELECT starlisting_id, epoch, seq FROM series_state WHERE starlisting_id = ANY(%(ids)s)"

# Rows are looked up one by one, each a step down a primary key, whatever the planner thinks of the tables' sizes.
_CHANGES = f"""
SELECT wanted.starlisting_id, coalesce(state.epoch, 0), coalesce(state.seq, 0), change.seq, change.kind, change."time",
    CASE change.kind
        WHEN 'candle' THEN (
            SELECT {candle_json("row")} FROM candles AS row
            WHERE row.starlisting_id = wanted.starlisting_id AND row."time" = change."time")
        WHEN 'funding' THEN (
            SELECT {funding_json("row")} FROM funding_rates AS row
            WHERE row.trading_pair_id = listed.trading_pair_id AND row."time" = change."time")
        WHEN 'open_interest' THEN (
            SELECT {open_interest_json("row")} FROM open_interest AS row
            WHERE row.trading_pair_id = listed.trading_pair_id AND row."time" = change."time")
    END
FROM unnest(%(ids)s::integer[], %(sinces)s::bigint[]) AS wanted (starlisting_id, since)
LEFT JOIN starlistings AS listed ON listed.id = wanted.starlisting_id
LEFT JOIN series_state AS state ON state.starlisting_id = wanted.starlisting_id
LEFT JOIN LATERAL (
    SELECT seq, kind, "time" FROM series_changes AS numbered
    WHERE numbered.starlisting_id = wanted.starlisting_id AND numbered.seq > wanted.since
        AND state.seq - wanted.since <= {MAX_CATCH_UP}
    ORDER BY seq
) AS change ON true
ORDER BY wanted.starlisting_id, change.seq
"""


def _newest(table: str, owner: str, expression: str) -> str:
    return f"""
    SELECT coalesce(string_agg({expression}, ',' ORDER BY row."time"), '') AS text, count(*) AS n
    FROM (
        SELECT * FROM {table} WHERE {owner} ORDER BY "time" DESC LIMIT %(limit)s
    ) AS row
    """


_SNAPSHOT = f"""
SELECT coalesce(state.epoch, 0), coalesce(state.seq, 0), candle.text, candle.n, funding.text, funding.n, interest.text, interest.n
FROM (SELECT %(id)s::integer AS id) AS wanted
LEFT JOIN series_state AS state ON state.starlisting_id = wanted.id
CROSS JOIN ({_newest("candles", "starlisting_id = %(id)s", candle_json("row"))}) AS candle
CROSS JOIN ({_newest("funding_rates", "trading_pair_id = %(pair)s", funding_json("row"))}) AS funding
CROSS JOIN ({_newest("open_interest", "trading_pair_id = %(pair)s", open_interest_json("row"))}) AS interest
"""

_PAIR = "SELECT trading_pair_id FROM starlistings WHERE id = %(id)s"


async def load_series_state(connection: Connection, ids: Sequence[int]) -> dict[int, SeriesState]:
    """The numbering of each starlisting; one that never changed is at 0."""
    cursor = await connection.execute(_STATES, {"ids": list(ids)}, prepare=True)
    states = {row[0]: SeriesState(row[1], row[2]) for row in await cursor.fetchall()}
    return {each: states.get(each, SeriesState(0, 0)) for each in ids}


async def load_changes(connection: Connection, since: Mapping[int, int]) -> dict[int, SeriesUpdates]:
    """For each starlisting the changes after a number, in order, each with its row.

    A row that changed twice comes twice, both times as it is now.
    """
    parameters = {"ids": list(since), "sinces": list(since.values())}
    cursor = await connection.execute(_CHANGES, parameters, prepare=True)
    states: dict[int, SeriesState] = {}
    changes: dict[int, list[SeriesChange] | None] = {}
    for starlisting_id, epoch, seq, number, kind, time, data in await cursor.fetchall():
        states[starlisting_id] = SeriesState(epoch, seq)
        found = changes.setdefault(starlisting_id, [])
        if number is None or found is None:
            continue
        if data is None:  # a resync, or a row that went after all
            changes[starlisting_id] = None
        else:
            found.append(SeriesChange(number, kind, time, data))
    return {each: _updates(states[each], changes[each], since[each]) for each in states}


def _updates(state: SeriesState, changes: list[SeriesChange] | None, since: int) -> SeriesUpdates:
    whole = changes is not None and len(changes) == state.seq - since
    return SeriesUpdates(state.epoch, state.seq, tuple(changes or ()) if whole else None)


async def load_snapshot(connection: Connection, starlisting_id: int, limit: int) -> SeriesSnapshot:
    """The newest `limit` candles of a starlisting, funding rates and open interests of its pair, and the number of them all."""
    cursor = await connection.execute(_PAIR, {"id": starlisting_id}, prepare=True)
    pair = await cursor.fetchone()
    parameters = {"id": starlisting_id, "pair": pair[0] if pair else None, "limit": limit}
    row = await (await connection.execute(_SNAPSHOT, parameters, prepare=True)).fetchone()
    assert row is not None
    epoch, seq, candles, candle_count, funding, funding_count, interest, interest_count = row
    return SeriesSnapshot(
        epoch, seq, f"[{candles}]", candle_count, f"[{funding}]", funding_count, f"[{interest}]", interest_count
    )
