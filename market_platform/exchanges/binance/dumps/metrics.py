"""Files of metrics to readings of open interest. Belongs here: metrics, and what their times mean. Does not: zips, days.

A row is a reading every five minutes. Its `create_time` was the moment of the reading until 2026-06-24, in files that go from
00:05 to 00:00 of the next day. From 2026-06-25 on it is the beginning of the five minutes at whose end the reading was taken, in files from 00:00
to 23:55 (binance-public-data, issue 491). Here a reading always has the time at which it was taken, so that nothing is known
before it was; so a file never holds the reading of its own first midnight, but that of the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from market_platform.domain.events import OpenInterest
from market_platform.domain.intervals import DAY_MS, MINUTE_MS
from market_platform.exchanges.binance.dumps.files import DumpFile
from market_platform.exchanges.binance.dumps.tables import Table

COLUMNS = ("create_time", "symbol", "sum_open_interest", "sum_open_interest_value")
STEP_MS = 5 * MINUTE_MS
LABELLED_BY_START = date(2026, 6, 25)
"""From this day on `create_time` is the beginning of the five minutes."""
_FORM = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """A file's readings, sorted, from the first five minutes of its day to the next midnight; `blanks` are rows without one."""

    readings: tuple[OpenInterest, ...]
    blanks: tuple[int, ...]
    flags: tuple[str, ...]


def read_metrics(csv: bytes, file: DumpFile) -> Readings:
    """Open interest in coins and its value in the quote currency, where the file has them: a blank is none, never 0.

    Raises:
        BadPayloadError: naming the file: a value is no number, a row is of another symbol or day, or two of one time differ.
    """
    table = Table.read(csv, COLUMNS, file.path)
    frame = table.frame
    others = frame["symbol"].filter(frame["symbol"].fill_null("") != file.symbol)
    if len(others):
        table.refuse(f"it has rows of {others[0]!r}")
    labels = frame["create_time"].str.to_datetime(_FORM, time_unit="ms", strict=False).dt.epoch("ms")
    if labels.null_count():
        table.refuse(
            f"create_time {frame['create_time'].filter(labels.is_null())[0]!r} is not a time like 2026-03-01 00:05:00"
        )
    times = labels + (STEP_MS if _by_start(labels, file) else 0)
    rows = pl.DataFrame(
        [
            times.alias("time"),
            frame["sum_open_interest"].alias("amount"),
            frame["sum_open_interest_value"].alias("value"),
        ]
    ).with_columns(pl.col("time") - pl.col("time") % MINUTE_MS)
    if rows.filter((pl.col("time") <= file.start_ms) | (pl.col("time") > file.end_ms)).height:
        table.refuse("it has rows of another day")
    flags: list[str] = []
    if rows["time"].is_duplicated().any():
        before, rows = rows.height, rows.unique(maintain_order=True)
        flags.append(f"{file.stem}: {before - rows.height} rows came twice, the same each time")
    rows = rows.sort("time")
    if rows["time"].is_duplicated().any():
        table.refuse(f"two rows of {rows['time'].filter(rows['time'].is_duplicated())[0]} differ")
    return _readings(rows, file, flags)


def _by_start(labels: pl.Series, file: DumpFile) -> bool:
    """Whether labels begin their five minutes: the file shows it at its ends, or its date says it."""
    if (labels == file.end_ms).any():
        return False
    return bool((labels == file.start_ms).any()) or file.first >= LABELLED_BY_START


def _readings(rows: pl.DataFrame, file: DumpFile, flags: list[str]) -> Readings:
    blank = pl.col("amount").fill_null("") == ""
    filled = rows.filter(~blank)
    table = Table(filled, file.path)
    amounts = table.amounts("amount")["amount"].to_list()
    valued = filled.filter(pl.col("value").fill_null("") != "")
    values = dict(zip(valued["time"], Table(valued, file.path).amounts("value")["value"].to_list(), strict=True))
    if zeros := sum(1 for amount in amounts if not amount):
        flags.append(f"{file.stem}: {zeros} readings are 0")
    readings = tuple(
        OpenInterest(file.symbol, amount, values.get(time), time_ms=time)
        for time, amount in zip(filled["time"], amounts, strict=True)
    )
    return Readings(readings, tuple(rows.filter(blank)["time"]), tuple(flags))


def due_on(start_ms: int) -> range:
    """The times at which readings of a day are due."""
    return range(start_ms, start_ms + DAY_MS, STEP_MS)
