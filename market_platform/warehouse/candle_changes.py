"""What a write of candles changes, worked out on frames: no SQL, so that every rule can be read and tested on its own.

A *row frame* has the columns of `ROW_SCHEMA`, sorted by starlisting and time. Rules: a row is replaced by one of the same
or a higher rank if it differs; NULL never overwrites a value; with `replace`, stored rows of the day that are not in the
write go, unless they outrank it. Partial ticks prove nothing by what they lack: they remove only what partial ticks wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import polars as pl

from market_platform.domain.candles import CANDLE_COLUMNS, CANDLE_SCHEMA, PRICE_COLUMNS
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import WarehouseError
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candle_versions import content_hashes

KEY = ("starlisting_id", "time")
VALUES = ("num_trades", *PRICE_COLUMNS, "volume")
ROW_SCHEMA = pl.Schema(
    [
        ("starlisting_id", pl.Int32()),
        ("source", pl.Int16()),
        ("time", CANDLE_SCHEMA["time"]),
        *((name, CANDLE_SCHEMA[name]) for name in VALUES),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class CandleWrite:
    """All candles of one starlisting and day (for 1w and 1M: of the period that begins on `day`).

    `candles` is a frame of `CANDLE_SCHEMA`. `replace` says that these are all candles of the day, so others go; a live
    writer that adds candles one by one sets it to False. `condition` None leaves the day's condition (a new day's is
    `pending`). `input_version` says what these candles were built from (empty: unknown); without `replace` it is not used.
    `complete` False says that candles of the day may be lacking here (an exchange that has lost some): stored ones stay.
    """

    starlisting_id: int
    day: date
    candles: pl.DataFrame
    condition: Condition | None
    rank: CandleRank
    replace: bool = True
    input_version: str = ""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class DayChange:
    """What a write does to its day.

    `rows`, `first_time` and `last_time` are of all candles of the day afterwards as far as they were read: all with
    `replace`, else those within the span written. `added_rows` counts candles that appear, `changed_rows` those that appear,
    differ or go, `raised_rows` those whose only change is a higher rank. `outranked` says that stored candles of a higher
    rank stay, `kept` that others do which a write that is not complete lacks. `content` is a hash of the changed candles, empty
    without any.
    """

    rows: int
    added_rows: int
    changed_rows: int
    raised_rows: int
    outranked: bool
    first_time: datetime | None
    last_time: datetime | None
    content: str
    kept: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Row frames to insert and to update, keys to delete, and the effect on each write's day (same order as the writes).

    `changed` has the keys of what is inserted or updated, without those whose only change is a higher rank.
    """

    inserts: pl.DataFrame
    updates: pl.DataFrame
    deletes: pl.DataFrame
    changed: pl.DataFrame
    days: tuple[DayChange, ...]


def combine(writes: Sequence[CandleWrite]) -> pl.DataFrame:
    """One frame of all candles of the writes, which must be sorted by starlisting and day: `ROW_SCHEMA` and `write`.

    Raises:
        WarehouseError: naming starlisting and day, when times are out of order, doubled or of another day, or a price is
            NULL.
    """
    heights = [each.candles.height for each in writes]
    candles = pl.concat([_conformed(each.candles) for each in writes], rechunk=True)
    repeated = {
        "write": pl.Series(np.repeat(np.arange(len(writes), dtype=np.uint32), heights)),
        "starlisting_id": pl.Series(np.repeat(np.array([each.starlisting_id for each in writes], np.int32), heights)),
        "source": pl.Series(np.repeat(np.array([int(each.rank) for each in writes], np.int16), heights)),
        "day": pl.Series(np.repeat(np.array([each.day for each in writes], "datetime64[D]"), heights)).cast(pl.Date),
    }
    rows = candles.with_columns(**repeated)
    _check(rows, writes)
    return rows.select("write", *ROW_SCHEMA)


def _conformed(candles: pl.DataFrame) -> pl.DataFrame:
    return candles if candles.schema == CANDLE_SCHEMA else candles.select(CANDLE_COLUMNS).cast(CANDLE_SCHEMA)


def _check(rows: pl.DataFrame, writes: Sequence[CandleWrite]) -> None:
    same_write = pl.col("write") == pl.col("write").shift(1)
    problems = {
        "has a candle of another day": pl.col("time").dt.date() != pl.col("day"),
        "is not sorted by time, or has a time twice": same_write & (pl.col("time") <= pl.col("time").shift(1)),
        "has a candle without a price, volume or time": pl.any_horizontal(
            pl.col("time", *PRICE_COLUMNS, "volume").is_null()
        ),
    }
    wrong = (
        rows.lazy().select("write", **{text: test.fill_null(value=False) for text, test in problems.items()}).collect()
    )
    for text in problems:
        bad = wrong.filter(pl.col(text))
        if bad.height:
            write = writes[bad["write"][0]]
            raise WarehouseError(f"candles of starlisting {write.starlisting_id} for {write.day}: the frame {text}")


def find_changes(rows: pl.DataFrame, writes: Sequence[CandleWrite], stored: pl.DataFrame) -> Changes:
    """Compare the combined frame of the writes with what is stored of their days (a row frame)."""
    if rows.select(ROW_SCHEMA.names()).equals(stored.sort(KEY)):
        return _no_changes(writes)
    joined = rows.join(stored, on=KEY, how="left", suffix="_stored", maintain_order="left")
    known = pl.col("source_stored").is_not_null()
    judged = joined.with_columns(
        known=known,
        outranked=(pl.col("source_stored") > pl.col("source")).fill_null(value=False),
        raised=(pl.col("source_stored") < pl.col("source")).fill_null(value=False),
        num_trades=pl.coalesce("num_trades", "num_trades_stored"),
    ).with_columns(
        differs=~pl.col("outranked")
        & pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_stored")) for name in VALUES)
    )
    columns = list(ROW_SCHEMA)
    inserts = judged.filter(~pl.col("known")).select(columns)
    updates = judged.filter(pl.col("known") & (pl.col("differs") | pl.col("raised"))).select(columns)
    with_day = _with_write(stored, writes)
    partial = pl.col("rank") == int(CandleRank.PARTIAL_TICKS)
    removable = (pl.col("source") == pl.col("rank")) | (~partial & (pl.col("source") < pl.col("rank")))
    lacking = with_day.filter(pl.col("replaced") & removable).join(rows, on=KEY, how="anti")
    deletes = lacking.filter(pl.col("complete"))
    kept = set(lacking.filter(~pl.col("complete"))["write"])
    changed = judged.filter(pl.col("differs")).select(KEY)
    days = _day_changes(judged, with_day, deletes, writes, kept)
    return Changes(inserts, updates, deletes.select(KEY), changed, days)


def _no_changes(writes: Sequence[CandleWrite]) -> Changes:
    none = pl.DataFrame(schema=ROW_SCHEMA)
    times = [each.candles["time"] for each in writes]
    days = tuple(
        DayChange(
            rows=len(time),
            added_rows=0,
            changed_rows=0,
            raised_rows=0,
            outranked=False,
            first_time=time[0] if len(time) else None,
            last_time=time[-1] if len(time) else None,
            content="",
        )
        for time in times
    )
    return Changes(none, none, none.select(KEY), none.select(KEY), days)


def _with_write(stored: pl.DataFrame, writes: Sequence[CandleWrite]) -> pl.DataFrame:
    """Stored rows with the index of the write of their day, its rank, and whether it replaces the day and is complete."""
    index = pl.DataFrame(
        {
            "write": pl.Series(range(len(writes)), dtype=pl.UInt32),
            "starlisting_id": pl.Series([each.starlisting_id for each in writes], dtype=pl.Int32),
            "day": pl.Series([each.day for each in writes], dtype=pl.Date),
            "rank": pl.Series([int(each.rank) for each in writes], dtype=pl.Int16),
            "replaced": pl.Series([each.replace for each in writes], dtype=pl.Boolean),
            "complete": pl.Series([each.complete for each in writes], dtype=pl.Boolean),
        }
    )
    dated = stored.with_columns(day=pl.col("time").dt.date())
    return dated.join(index, on=["starlisting_id", "day"], how="inner")


def _day_changes(
    judged: pl.DataFrame, stored: pl.DataFrame, deletes: pl.DataFrame, writes: Sequence[CandleWrite], lacked: set[int]
) -> tuple[DayChange, ...]:
    counts = {
        row["write"]: row
        for row in judged.group_by("write")
        .agg(
            added=(~pl.col("known")).sum(),
            changed=pl.col("differs").sum(),
            raised=(pl.col("raised") & ~pl.col("differs")).sum(),
        )
        .iter_rows(named=True)
    }
    were = dict(stored.group_by("write").agg(pl.len()).iter_rows())
    removed = dict(deletes.group_by("write").agg(pl.len()).iter_rows())
    outranked = set(stored.filter(pl.col("source") > pl.col("rank"))["write"])
    kept = stored.join(deletes, on=KEY, how="anti").select("write", "time")
    spans = {
        write: (first, last)
        for write, first, last in pl.concat([judged.select("write", "time"), kept])
        .group_by("write")
        .agg(pl.col("time").min().alias("first"), pl.col("time").max().alias("last"))
        .iter_rows()
    }
    hashes = content_hashes(judged.filter(pl.col("differs")), deletes)
    none = {"added": 0, "changed": 0, "raised": 0}
    return tuple(
        DayChange(
            rows=were.get(index, 0) + count["added"] - removed.get(index, 0),
            added_rows=count["added"],
            changed_rows=count["changed"] + removed.get(index, 0),
            raised_rows=count["raised"],
            outranked=index in outranked,
            first_time=spans.get(index, (None, None))[0],
            last_time=spans.get(index, (None, None))[1],
            content=hashes.get(index, ""),
            kept=index in lacked,
        )
        for index in range(len(writes))
        for count in (counts.get(index, none),)
    )
