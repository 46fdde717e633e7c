"""What the starlisting API reads: the list of starlistings, and candles, funding and open interest as JSON text. Async.

Belongs here: the SQL behind section 2 of the API. Does not: how a row looks (row_json.py), HTTP, the chart API's reads
(chart_queries.py).

Every function takes a psycopg connection in autocommit mode whose session is in UTC; what one call returns is of one snapshot.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

from psycopg import AsyncConnection

from market_platform.warehouse.row_json import candle_json, funding_json, open_interest_json

Connection = AsyncConnection[tuple[Any, ...]]
PairRows = Literal["funding_rates", "open_interest"]


class StarlistingRow(NamedTuple):
    """A starlisting with the names people read, in the order of the API's answer. `active`: it, its pair and its exchange are.

    `licence` is its exchange's: `public`, or `private` for data that may not be passed on.
    """

    id: int
    exchange: str
    exchange_display: str
    coin: str
    coin_name: str
    quote: str
    quote_name: str
    trading_pair: str
    trading_pair_id: int
    market_type: str
    market_type_display: str
    interval: str
    interval_seconds: int
    active: bool
    symbol: str
    exchange_id: int
    licence: str = "private"


class CandleRows(NamedTuple):
    """JSON objects joined by commas, oldest first; how many rows."""

    text: bytes
    rows: int


_STARLISTINGS = """
SELECT s.id, e.code, e.display_name, c.code, c.name, q.code, q.name, concat(c.code, '/', q.code), p.id, m.code, m.display_name,
    i.name, i.seconds, s.active AND p.active AND e.active, p.symbol, e.id, e.licence
FROM starlistings AS s
JOIN intervals AS i ON i.id = s.interval_id
JOIN trading_pairs AS p ON p.id = s.trading_pair_id
JOIN exchanges AS e ON e.id = p.exchange_id
JOIN coins AS c ON c.id = p.coin_id
JOIN quote_currencies AS q ON q.id = p.quote_currency_id
JOIN market_types AS m ON m.id = p.market_type_id
ORDER BY s.id
"""


def _newest(table: str, owner: str) -> str:
    return f"""
    SELECT * FROM {table}
    WHERE {owner} = %(id)s AND "time" >= coalesce(%(start)s::timestamptz, '-infinity')
        AND "time" <= coalesce(%(end)s::timestamptz, 'infinity')
    ORDER BY "time" DESC LIMIT %(limit)s
    """


def _joined(expression: str) -> str:
    """The rows as they are found, newest first, a line each: turning lines around in Python is quicker than a sort here."""
    return f"""convert_to(coalesce(string_agg({expression}, E'\\n'), ''), 'UTF8')"""


def _oldest_first(lines: bytes) -> bytes:
    return b",".join(lines.split(b"\n")[::-1])


_CANDLES = f"""
SELECT {_joined(candle_json("row"))}, count(*) FROM ({_newest("candles", "starlisting_id")}) AS row
"""

_PAIR_ROW_JSON: dict[PairRows, str] = {
    "funding_rates": funding_json("row"),
    "open_interest": open_interest_json("row"),
}
_PAIR_ROWS: dict[PairRows, str] = {
    table: f"SELECT {_joined(expression)}, count(*) FROM ({_newest(table, 'trading_pair_id')}) AS row"
    for table, expression in _PAIR_ROW_JSON.items()
}


async def load_starlistings(connection: Connection) -> list[StarlistingRow]:
    """Every starlisting, inactive ones too, by id."""
    cursor = await connection.execute(_STARLISTINGS)
    return [StarlistingRow(*row) for row in await cursor.fetchall()]


async def load_newest_candles(
    connection: Connection, starlisting_id: int, *, start: datetime | None, end: datetime | None, limit: int
) -> CandleRows:
    """The newest `limit` candles that open from `start` to `end`, both included, None for without end."""
    parameters = {"id": starlisting_id, "start": start, "end": end, "limit": limit}
    row = await (await connection.execute(_CANDLES, parameters, prepare=True, binary=True)).fetchone()
    assert row is not None
    return CandleRows(_oldest_first(row[0]), row[1])


async def load_newest_of_pair(
    connection: Connection,
    table: PairRows,
    trading_pair_id: int,
    *,
    start: datetime | None,
    end: datetime | None,
    limit: int,
) -> tuple[bytes, int]:
    """The newest `limit` rows of a pair, as `CandleRows` has text and rows."""
    parameters = {"id": trading_pair_id, "start": start, "end": end, "limit": limit}
    row = await (await connection.execute(_PAIR_ROWS[table], parameters, prepare=True, binary=True)).fetchone()
    assert row is not None
    return _oldest_first(row[0]), row[1]
