"""Funding rates and open interest in Postgres: a row a pair and minute, put together from whatever its writers know.

Belongs here: their writes. Does not: gathering the last of a minute (streamer/), reading them for the API
(starlisting_queries.py).

NULL never overwrites a value. A writer of the same rank or a higher one replaces values; a lower one only fills what is
NULL. Only rows that change are written, and the series of every active starlisting of their pair hear of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from psycopg import errors
from sqlalchemy import Connection

from market_platform.domain.clock import from_ms
from market_platform.domain.errors import WarehouseError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.intervals import MINUTE_MS
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.series import SeriesBump


class FundingRow(NamedTuple):
    """What is known of a pair's funding at a minute (ms since the epoch, a multiple of 60,000)."""

    trading_pair_id: int
    minute_ms: int
    funding: Funding


class OpenInterestRow(NamedTuple):
    """What is known of a pair's open interest at a minute (ms since the epoch, a multiple of 60,000)."""

    trading_pair_id: int
    minute_ms: int
    open_interest: OpenInterest


Minute = tuple[int, datetime]
"""A trading pair and the minute of a row."""

_DECIMALS = {
    "funding_rates": ("funding_rate", "premium", "mark_price", "index_price", "oracle_price", "mid_price"),
    "open_interest": ("open_interest", "notional_value", "day_base_volume", "day_notional_volume"),
}


def _upsert(table: str, columns: dict[str, str]) -> str:
    """One statement: upsert, and for each changed row the active starlistings of its pair. Names are constants of this module."""
    names = ", ".join(columns)
    arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in columns.items())
    merged = [
        f"CASE WHEN excluded.source >= stored.source THEN coalesce(excluded.{name}, stored.{name}) "
        f"ELSE coalesce(stored.{name}, excluded.{name}) END"
        for name in columns
    ]
    assigned = ", ".join(f"{name} = {value}" for name, value in zip(columns, merged, strict=True))
    stored = ", ".join(f"stored.{name}" for name in columns)
    return f"""
    WITH written AS (
        INSERT INTO {table} AS stored (trading_pair_id, "time", source, {names})
        SELECT pair, minute, %(source)s, {names}
        FROM unnest(%(pairs)s::integer[], %(times)s::timestamptz[], {arrays}) AS given (pair, minute, {names})
        ORDER BY pair, minute
        ON CONFLICT (trading_pair_id, "time") DO UPDATE
        SET source = greatest(stored.source, excluded.source), {assigned}
        WHERE ({", ".join(merged)}) IS DISTINCT FROM ({stored})
        RETURNING trading_pair_id, "time", xmax = 0 AS added
    )
    SELECT written.trading_pair_id, written."time", written.added, listed.id
    FROM written LEFT JOIN starlistings AS listed ON listed.trading_pair_id = written.trading_pair_id AND listed.active
    """


_WRITE = {
    "funding_rates": _upsert(
        "funding_rates",
        {**dict.fromkeys(_DECIMALS["funding_rates"], "numeric"), "next_funding_time": "timestamptz"},
    ),
    "open_interest": _upsert("open_interest", dict.fromkeys(_DECIMALS["open_interest"], "numeric")),
}


def write_funding(
    conn: Connection,
    rows: Sequence[FundingRow],
    *,
    rank: CandleRank = CandleRank.EXCHANGE,
    series: SeriesBump | None = None,
    added: set[Minute] | None = None,
) -> int:
    """Write funding rates in the caller's transaction; returns how many rows changed.

    `series` collects the changes when the transaction writes more than this; without it they are numbered at once. `added`
    collects the minutes of which there was no row before.

    Raises:
        WarehouseError: a time is not on the minute, or a value does not fit its column exactly.
    """
    kept = _merged((row.trading_pair_id, row.minute_ms, _funding_values(row.funding)) for row in rows)
    return _write(conn, "funding_rates", "funding", kept, rank, series, added)


def write_open_interest(
    conn: Connection,
    rows: Sequence[OpenInterestRow],
    *,
    rank: CandleRank = CandleRank.EXCHANGE,
    series: SeriesBump | None = None,
    added: set[Minute] | None = None,
) -> int:
    """Write open interest as `write_funding` writes funding.

    Raises:
        WarehouseError: as `write_funding`.
    """
    kept = _merged((row.trading_pair_id, row.minute_ms, _values(row.open_interest)) for row in rows)
    return _write(conn, "open_interest", "open_interest", kept, rank, series, added)


Values = dict[str, Any]
Minutes = dict[Minute, Values]

_WITHOUT = """
SELECT minute
FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 minute', interval '1 minute') AS minute
WHERE NOT EXISTS (SELECT FROM funding_rates WHERE trading_pair_id = %(pair)s AND "time" = minute)
    OR NOT EXISTS (SELECT FROM open_interest WHERE trading_pair_id = %(pair)s AND "time" = minute)
ORDER BY minute
"""


def load_minutes_without_context(
    conn: Connection, trading_pair_id: int, start: datetime, end: datetime
) -> list[datetime]:
    """Minutes from `start` until before `end` (both on the minute) without a row of funding or of open interest."""
    with driver_connection(conn).cursor() as cursor:
        found = cursor.execute(_WITHOUT, {"pair": trading_pair_id, "start": start, "end": end})
        return [minute for (minute,) in found]


def _funding_values(funding: Funding) -> Values:
    values = {name: getattr(funding, name) for name in _DECIMALS["funding_rates"]}
    next_ms = funding.next_funding_ms
    return {**values, "next_funding_time": None if next_ms is None else from_ms(next_ms)}


def _values(interest: OpenInterest) -> Values:
    return {name: getattr(interest, name) for name in _DECIMALS["open_interest"]}


def _merged(rows: Iterator[tuple[int, int, Values]]) -> Minutes:
    """One row a pair and minute: of several, the last that is not None of each value."""
    minutes: Minutes = {}
    for pair, minute_ms, values in rows:
        if minute_ms % MINUTE_MS:
            raise WarehouseError(
                f"funding or open interest of trading pair {pair} at {minute_ms} ms is not on the minute"
            )
        before = minutes.setdefault((pair, from_ms(minute_ms)), values)
        before.update({name: value for name, value in values.items() if value is not None})
    return minutes


def _write(
    conn: Connection,
    table: Literal["funding_rates", "open_interest"],
    kind: Literal["funding", "open_interest"],
    minutes: Minutes,
    rank: CandleRank,
    series: SeriesBump | None,
    added: set[Minute] | None,
) -> int:
    if not minutes:
        return 0
    columns: dict[str, list[Any]] = {name: [values[name] for values in minutes.values()] for name in _columns(minutes)}
    for (pair, _), values in minutes.items():
        _check_exact(pair, table, values)
    parameters = {
        "source": int(rank),
        "pairs": [pair for pair, _ in minutes],
        "times": [time for _, time in minutes],
        **columns,
    }
    bump = SeriesBump() if series is None else series
    changed: set[Minute] = set()
    with driver_connection(conn).cursor() as cursor, _explained(table):
        for pair, time, is_new, starlisting_id in cursor.execute(_WRITE[table], parameters):
            changed.add((pair, time))
            if is_new and added is not None:
                added.add((pair, time))
            if starlisting_id is not None:
                bump.add(starlisting_id, kind, [time])
    if series is None:
        bump.save(conn)
    return len(changed)


def _columns(minutes: Minutes) -> list[str]:
    return list(next(iter(minutes.values())))


def _check_exact(pair: int, table: str, values: Values) -> None:
    """Postgres would round what has more digits than the column."""
    for name in _DECIMALS[table]:
        value: Decimal | None = values[name]
        if value is None or not value.is_finite():
            continue  # NaN and infinity are Postgres's to refuse
        _, digits, exponent = value.as_tuple()
        beyond = int(exponent) + 18
        if beyond < 0 and any(digits[beyond:]):
            raise WarehouseError(f"{name} {value} of trading pair {pair} has more than 18 decimals")


@contextmanager
def _explained(table: str) -> Iterator[None]:
    try:
        yield
    except (errors.CheckViolation, errors.NumericValueOutOfRange, errors.NotNullViolation) as error:
        detail = error.diag.message_detail or error.diag.context or ""
        raise WarehouseError(f"Postgres refused a row of {table}: {error.diag.message_primary}. {detail}") from None
