"""Candles in Postgres: exact, written by COPY, changed only where they differ, together with their `candle_days`.

Belongs here: the order of a write's statements, and reading candles as frames. Does not: the rules of what a write changes
(candle_changes.py), the API's JSON (chart_queries.py).

A write locks its rows of `candle_days` first, in sorted order, so two writers of the same day (a backfill beside the
streamer) come one after the other and never deadlock. Then it reads what is stored of the days, and writes the
difference: new candles by COPY into the table, anything else by COPY into a staging table and one upsert.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import psycopg
from psycopg import errors
from sqlalchemy import Connection

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import WarehouseError
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candle_changes import (
    ROW_SCHEMA,
    CandleWrite,
    Changes,
    DayChange,
    combine,
    find_changes,
    next_version,
)
from market_platform.warehouse.candle_days import (
    CandleDay,
    DayKey,
    load_candle_days,
    lock_days,
    save_days,
    save_inputs,
)
from market_platform.warehouse.driver import copy_in, copy_out, driver_connection
from market_platform.warehouse.series import MAX_CHANGES, SeriesBump

__all__ = ["CandleDay", "CandleWrite", "load_candle_days", "read_candles", "write_candle_days", "write_candles"]

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

_ONE_DAY = timedelta(days=1)


def write_candle_days(
    conn: Connection,
    writes: Sequence[CandleWrite],
    *,
    run_id: str,
    code_version: str,
    series: SeriesBump | None = None,
) -> Mapping[DayKey, CandleDay]:
    """Write the candles of any number of starlistings and days in the caller's transaction.

    Returns the committed-to-be `candle_days` row of every write, by starlisting and day; one whose `changed_rows` is 0 and
    whose condition was the same is as it was before, including its `run_id`, but for its `input_version`. A write that stored candles outrank can't
    make a complete day's condition worse. Call it once a transaction, or keep the calls' days sorted and give them one `series`
    to save at the end, so that writers can't deadlock; without `series` the changes are numbered at once.

    Raises:
        WarehouseError: a frame is not what it must be, a candle breaks a CHECK, or a starlisting does not exist.
    """
    ordered = sorted(writes, key=lambda write: (write.starlisting_id, write.day))
    keys = [(write.starlisting_id, write.day) for write in ordered]
    if len(set(keys)) != len(keys):
        raise WarehouseError("candles of the same starlisting and day were given twice in one write")
    if not keys:
        return {}
    rows = combine(ordered)
    connection = driver_connection(conn)
    with connection.cursor() as cursor, _explained():
        before = lock_days(cursor, keys, run_id, code_version)
        changes = _apply(connection, cursor, rows, ordered, before)
        saved = _save(cursor, ordered, before, changes, run_id, code_version)
    bump = SeriesBump() if series is None else series
    _note(bump, changes)
    if series is None:
        bump.save(conn)
    return saved


def write_candles(
    conn: Connection,
    *,
    starlisting_id: int,
    days: Sequence[date],
    candles: pl.DataFrame,
    source: CandleRank,
    conditions: Mapping[date, Condition],
    run_id: str,
    code_version: str,
    replace_days: bool = True,
) -> dict[date, CandleDay]:
    """Write one frame of a starlisting's candles over several days; see `write_candle_days`.

    Days without a candle in the frame are emptied and still get their condition.

    Raises:
        WarehouseError: as `write_candle_days`; also when the frame has candles of a day that is not in `days`.
    """
    dated = candles.with_columns(day=pl.col("time").dt.date())
    parts = {key[0]: part for key, part in dated.partition_by("day", as_dict=True, include_key=False).items()}
    if not parts.keys() <= set(days):
        raise WarehouseError(
            f"candles of starlisting {starlisting_id}: {min(parts.keys() - set(days))} is not among the days"
        )
    empty = pl.DataFrame(schema=CANDLE_SCHEMA)
    writes = [
        CandleWrite(starlisting_id, day, parts.get(day, empty), conditions.get(day), source, replace=replace_days)
        for day in days
    ]
    written = write_candle_days(conn, writes, run_id=run_id, code_version=code_version)
    return {day: written[starlisting_id, day] for day in days}


def read_candles(conn: Connection, starlisting_id: int, start_ms: int, end_ms: int) -> pl.DataFrame:
    """Candles that open in [start, end), ms, sorted, as a frame of `CANDLE_SCHEMA`; decimals exactly as stored."""
    with driver_connection(conn).cursor() as cursor:
        frame = copy_out(cursor, _READ, (starlisting_id, from_ms(start_ms), from_ms(end_ms)), _as_copied(CANDLE_SCHEMA))
    return _with_times(frame)


def _apply(
    connection: psycopg.Connection[Any],
    cursor: psycopg.Cursor[Any],
    rows: pl.DataFrame,
    writes: Sequence[CandleWrite],
    before: Mapping[DayKey, CandleDay],
) -> Changes:
    filled = [write for write in writes if before[write.starlisting_id, write.day].rows]
    changes = find_changes(rows, writes, _read_stored(cursor, filled))
    if changes.updates.is_empty() and changes.inserts.height:
        try:
            with connection.transaction():
                copy_in(cursor, "candles", changes.inserts)
        except errors.UniqueViolation:  # candles that no candle_days row knew of, from a restore or by hand
            changes = find_changes(rows, writes, _read_stored(cursor, writes))
            _upsert(cursor, changes)
    else:
        _upsert(cursor, changes)
    if changes.deletes.height:
        cursor.execute(_DELETE, (changes.deletes["starlisting_id"].to_list(), changes.deletes["time"].to_list()))
    return changes


def _note(bump: SeriesBump, changes: Changes) -> None:
    """Hand on which candles changed; where one is gone, only that there is something to read anew."""
    for starlisting_id in changes.deletes["starlisting_id"].unique():
        bump.resync(starlisting_id)
    times = changes.changed.group_by("starlisting_id").agg(pl.col("time").head(MAX_CHANGES + 1))
    for starlisting_id, changed in times.iter_rows():
        bump.add(starlisting_id, "candle", changed)


def _upsert(cursor: psycopg.Cursor[Any], changes: Changes) -> None:
    rows = pl.concat([changes.inserts, changes.updates])
    if rows.height:
        cursor.execute(_MAKE_STAGING)
        cursor.execute("DELETE FROM candles_staging")
        copy_in(cursor, "candles_staging", rows)
        cursor.execute(_UPSERT)


def _read_stored(cursor: psycopg.Cursor[Any], writes: Sequence[CandleWrite]) -> pl.DataFrame:
    """Stored rows that the writes could touch, as a row frame: whole days where they are replaced."""
    ranges = _ranges(writes)
    if not ranges:
        return pl.DataFrame(schema=ROW_SCHEMA)
    parameters = [list(column) for column in zip(*ranges, strict=True)]
    return _with_times(copy_out(cursor, _READ_RANGES, parameters, _as_copied(ROW_SCHEMA)))


def _ranges(writes: Sequence[CandleWrite]) -> list[tuple[int, datetime, datetime]]:
    """Starlisting and half-open span of what each write could touch; spans that meet are one."""
    ranges: list[tuple[int, datetime, datetime]] = []
    for write in writes:
        if write.replace:
            first = datetime.combine(write.day, time(), UTC)
            after = first + _ONE_DAY
        elif write.candles.height:
            first = write.candles["time"][0]
            after = write.candles["time"][-1] + timedelta(milliseconds=1)
        else:
            continue
        if ranges and ranges[-1][0] == write.starlisting_id and ranges[-1][2] == first:
            ranges[-1] = (write.starlisting_id, ranges[-1][1], after)
        else:
            ranges.append((write.starlisting_id, first, after))
    return ranges


def _as_copied(schema: pl.Schema) -> pl.Schema:
    """The schema with its times as the milliseconds that COPY sends."""
    return pl.Schema((name, pl.Int64() if name == "time" else kind) for name, kind in schema.items())


def _with_times(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("time").cast(CANDLE_SCHEMA["time"]))


def _save(
    cursor: psycopg.Cursor[Any],
    writes: Sequence[CandleWrite],
    before: Mapping[DayKey, CandleDay],
    changes: Changes,
    run_id: str,
    code_version: str,
) -> dict[DayKey, CandleDay]:
    """Bump `candle_days` where a row or the condition changed, or the row is new; else note only other inputs."""
    after = {
        (write.starlisting_id, write.day): _after(before[write.starlisting_id, write.day], write, change)
        for write, change in zip(writes, changes.days, strict=True)
    }
    raised = {
        (write.starlisting_id, write.day)
        for write, change in zip(writes, changes.days, strict=True)
        if change.raised_rows
    }
    same = {
        key
        for key, day in after.items()
        if before[key].revision
        and key not in raised
        and replace(day, input_version=before[key].input_version) == before[key]
    }
    rebuilt = [after[key] for key in same if after[key] != before[key]]
    if rebuilt:
        save_inputs(cursor, rebuilt)
    moved = [day for key, day in after.items() if key not in same]
    if moved:
        for key, (revision, written_at) in save_days(cursor, moved, run_id, code_version).items():
            after[key] = replace(
                after[key], revision=revision, written_at=written_at, run_id=run_id, code_version=code_version
            )
    return after


def _after(before: CandleDay, write: CandleWrite, change: DayChange) -> CandleDay:
    rows, first, last = change.rows, change.first_time, change.last_time
    if not write.replace:
        rows = before.rows + change.added_rows
        first = min((each for each in (before.first_time, first) if each), default=None)
        last = max((each for each in (before.last_time, last) if each), default=None)
    condition = _condition(before.condition, write.condition, outranked=change.outranked or change.kept)
    rebuilt = write.replace and not (change.kept and condition is not write.condition)
    return replace(
        before,
        rows=rows,
        first_time=first,
        last_time=last,
        condition=Condition.DEGRADED if change.kept and condition is Condition.MISSING else condition,
        data_version=next_version(before.data_version, change.content),
        input_version=write.input_version if rebuilt else before.input_version,
        changed_rows=change.changed_rows,
    )


def _condition(before: Condition, written: Condition | None, *, outranked: bool) -> Condition:
    """The day's condition after a write; one that better candles outlive can't say that the day is worse than it is."""
    if written is None or (outranked and before.is_final and not written.is_final):
        return before
    return written


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (errors.CheckViolation, errors.NumericValueOutOfRange, errors.NotNullViolation) as error:
        detail = error.diag.message_detail or error.diag.context or ""
        raise WarehouseError(f"Postgres refused a candle: {error.diag.message_primary}. {detail}") from None
    except errors.ForeignKeyViolation as error:
        raise WarehouseError(
            f"a starlisting of the write does not exist ({error.diag.message_detail}); run `market-platform config sync`"
        ) from None
