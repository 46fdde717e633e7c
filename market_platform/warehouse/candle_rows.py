"""Rows of `candles` as frames: read, and changed by COPY, exact.

Belongs here: the SQL of that table's rows. Does not: what a write changes (candle_changes.py), the order of its statements
(candles.py), the API's JSON (chart_queries.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl
import psycopg
from sqlalchemy import Connection

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import from_ms
from market_platform.warehouse.candle_changes import ROW_SCHEMA, Changes
from market_platform.warehouse.driver import copy_in, copy_out, driver_connection

Span = tuple[int, datetime, datetime]
"""A starlisting's id and a half-open span of open times."""

_MAKE_STAGING = """
CREATE TEMP TABLE IF NOT EXISTS candles_staging (
    starlisting_id integer, source smallint, "time" timestamptz, num_trades bigint,
    open numeric(30, 18), high numeric(30, 18), low numeric(30, 18), close numeric(30, 18), volume numeric(40, 18)
) ON COMMIT DELETE ROWS
"""

# The frame comparison before it leaves only rows that differ; the conditions here hold whoever writes beside us.
_UPSERT = """
INSERT INTO candles AS stored (starlisting_id, source, "time", num_trades, open, high, low, close, volume)
SELECT starlisting_id, source, "time", num_trades, open, high, low, close, volume
FROM candles_staging ORDER BY starlisting_id, "time"
ON CONFLICT (starlisting_id, "time") DO UPDATE
SET source = excluded.source, num_trades = coalesce(excluded.num_trades, stored.num_trades), open = excluded.open,
    high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume
WHERE excluded.source >= stored.source
    AND (excluded.source, coalesce(excluded.num_trades, stored.num_trades), excluded.open, excluded.high, excluded.low,
         excluded.close, excluded.volume)
        IS DISTINCT FROM
        (stored.source, stored.num_trades, stored.open, stored.high, stored.low, stored.close, stored.volume)
"""

_DELETE = """
DELETE FROM candles USING unnest(%s::integer[], %s::timestamptz[]) AS gone (starlisting_id, "time")
WHERE candles.starlisting_id = gone.starlisting_id AND candles."time" = gone."time"
"""

_READ_RANGES = """
SELECT candles.starlisting_id, source, (extract(epoch FROM candles."time") * 1000)::bigint, num_trades,
    open, high, low, close, volume
FROM unnest(%s::integer[], %s::timestamptz[], %s::timestamptz[]) AS wanted (starlisting_id, first, after)
JOIN candles ON candles.starlisting_id = wanted.starlisting_id
    AND candles."time" >= wanted.first AND candles."time" < wanted.after
"""

_READ = """
SELECT (extract(epoch FROM "time") * 1000)::bigint, open, high, low, close, volume, num_trades
FROM candles WHERE starlisting_id = %s AND "time" >= %s AND "time" < %s ORDER BY "time"
"""


def read_candles(conn: Connection, starlisting_id: int, start_ms: int, end_ms: int) -> pl.DataFrame:
    """Candles that open in [start, end), ms, sorted, as a frame of `CANDLE_SCHEMA`; decimals exactly as stored."""
    with driver_connection(conn).cursor() as cursor:
        frame = copy_out(cursor, _READ, (starlisting_id, from_ms(start_ms), from_ms(end_ms)), _as_copied(CANDLE_SCHEMA))
    return _with_times(frame)


def read_spans(cursor: psycopg.Cursor[Any], spans: Sequence[Span]) -> pl.DataFrame:
    """What is stored of these spans, as a row frame."""
    if not spans:
        return pl.DataFrame(schema=ROW_SCHEMA)
    parameters = [list(column) for column in zip(*spans, strict=True)]
    return _with_times(copy_out(cursor, _READ_RANGES, parameters, _as_copied(ROW_SCHEMA)))


def insert_rows(cursor: psycopg.Cursor[Any], rows: pl.DataFrame) -> None:
    """COPY a row frame of candles that are not there.

    Raises:
        psycopg.errors.UniqueViolation: one is.
    """
    copy_in(cursor, "candles", rows)


def upsert_rows(cursor: psycopg.Cursor[Any], changes: Changes) -> None:
    """Write what is to be inserted and updated by way of a staging table."""
    rows = pl.concat([changes.inserts, changes.updates])
    if rows.height:
        cursor.execute(_MAKE_STAGING)
        cursor.execute("DELETE FROM candles_staging")
        copy_in(cursor, "candles_staging", rows)
        cursor.execute(_UPSERT)


def delete_rows(cursor: psycopg.Cursor[Any], keys: pl.DataFrame) -> None:
    """Delete the candles with these keys."""
    if keys.height:
        cursor.execute(_DELETE, (keys["starlisting_id"].to_list(), keys["time"].to_list()))


def _as_copied(schema: pl.Schema) -> pl.Schema:
    """The schema with its times as the milliseconds that COPY sends."""
    return pl.Schema((name, pl.Int64() if name == "time" else kind) for name, kind in schema.items())


def _with_times(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("time").cast(CANDLE_SCHEMA["time"]))
