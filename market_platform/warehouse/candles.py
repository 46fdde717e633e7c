"""Candles in Postgres: exact, written by COPY, changed only where they differ, together with their `candle_days`.

Belongs here: the order of a write's statements. Does not: the rules of what a write changes (candle_changes.py) and makes of
its days (candle_day_changes.py), the SQL of the rows (candle_rows.py).

A write locks its rows of `candle_days` first, in sorted order, so two writers of the same day (a backfill beside the
streamer) come one after the other and never deadlock. Then it reads what is stored of the days, and writes the
difference: new candles by COPY into the table, anything else by COPY into a staging table and one upsert.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import psycopg
from psycopg import errors
from sqlalchemy import Connection

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import WarehouseError
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candle_changes import CandleWrite, Changes, combine, find_changes
from market_platform.warehouse.candle_day_changes import save_day_changes
from market_platform.warehouse.candle_days import CandleDay, DayKey, load_candle_days, lock_days
from market_platform.warehouse.candle_rows import (
    Span,
    delete_rows,
    insert_rows,
    read_candles,
    read_spans,
    upsert_rows,
)
from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.series import MAX_CHANGES, SeriesBump

__all__ = ["CandleDay", "CandleWrite", "load_candle_days", "read_candles", "write_candle_days", "write_candles"]

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
        saved = save_day_changes(cursor, ordered, before, changes, run_id, code_version)
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


def _apply(
    connection: psycopg.Connection[Any],
    cursor: psycopg.Cursor[Any],
    rows: pl.DataFrame,
    writes: Sequence[CandleWrite],
    before: Mapping[DayKey, CandleDay],
) -> Changes:
    filled = [write for write in writes if before[write.starlisting_id, write.day].rows]
    changes = find_changes(rows, writes, read_spans(cursor, _spans(filled)))
    if changes.updates.is_empty() and changes.inserts.height:
        try:
            with connection.transaction():
                insert_rows(cursor, changes.inserts)
        except errors.UniqueViolation:  # candles that no candle_days row knew of, from a restore or by hand
            changes = find_changes(rows, writes, read_spans(cursor, _spans(writes)))
            upsert_rows(cursor, changes)
    else:
        upsert_rows(cursor, changes)
    delete_rows(cursor, changes.deletes)
    return changes


def _note(bump: SeriesBump, changes: Changes) -> None:
    """Hand on which candles changed; where one is gone, only that there is something to read anew."""
    for starlisting_id in changes.deletes["starlisting_id"].unique():
        bump.resync(starlisting_id)
    times = changes.changed.group_by("starlisting_id").agg(pl.col("time").head(MAX_CHANGES + 1))
    for starlisting_id, changed in times.iter_rows():
        bump.add(starlisting_id, "candle", changed)


def _spans(writes: Sequence[CandleWrite]) -> list[Span]:
    """Starlisting and half-open span of what each write could touch, whole days where they are replaced; spans that meet are one."""
    spans: list[Span] = []
    for write in writes:
        if write.replace:
            first = datetime.combine(write.day, time(), UTC)
            after = first + _ONE_DAY
        elif write.candles.height:
            first = write.candles["time"][0]
            after = write.candles["time"][-1] + timedelta(milliseconds=1)
        else:
            continue
        if spans and spans[-1][0] == write.starlisting_id and spans[-1][2] == first:
            spans[-1] = (write.starlisting_id, spans[-1][1], after)
        else:
            spans.append((write.starlisting_id, first, after))
    return spans


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
