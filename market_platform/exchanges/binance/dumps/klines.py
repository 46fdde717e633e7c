"""Files of candles to frames of `CANDLE_SCHEMA`, checked. Belongs here: klines. Does not: zips, days."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from market_platform.domain.candles import CANDLE_SCHEMA, PRICE_COLUMNS
from market_platform.domain.intervals import Interval
from market_platform.domain.ticks import Ints
from market_platform.exchanges.binance.dumps.files import DumpFile
from market_platform.exchanges.binance.dumps.tables import Table, milliseconds
from market_platform.exchanges.binance.messages import LAST_MS

COLUMNS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
_WANTED = (*COLUMNS[:7], "count")


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """A file's candles, sorted, each once.

    `halted` are the open times (ms) of those that do not end with their bucket, which Binance has from days on which trading
    was halted; `flags` say what else a person should know although all candles are here.
    """

    frame: pl.DataFrame
    halted: Ints
    flags: tuple[str, ...]


def read_klines(csv: bytes, file: DumpFile, interval: Interval) -> Candles:
    """The candles of a file of an interval of a day or shorter.

    Rows out of order are sorted and identical ones taken once, both flagged.

    Raises:
        BadPayloadError: naming the file and the row: a value is no number, a candle is outside the file's span or off the
            interval's grid, its prices or its trades contradict each other, or two of one time differ.
    """
    table = Table.read(csv, COLUMNS, file.path, wanted=_WANTED)
    opened, closed = table.times("open_time"), table.times("close_time")
    rows = pl.DataFrame(
        [
            milliseconds(opened).alias("time"),
            *table.amounts(*PRICE_COLUMNS, "volume").get_columns(),
            table.whole("count")["count"].alias("num_trades"),
            opened,
            closed,
        ]
    )
    flags: list[str] = []
    if not rows["time"].is_sorted():
        rows = rows.sort("time", maintain_order=True)
        flags.append(f"{file.stem}: its rows were not in order of time and were sorted")
    if not rows["time"].is_unique().all():
        before, rows = rows.height, rows.unique(maintain_order=True)
        flags.append(f"{file.stem}: {before - rows.height} rows came twice, the same each time")
    _check(table, rows, file, interval)
    unit = pl.when(pl.col("open_time") > LAST_MS).then(pl.lit(1000, pl.Int64)).otherwise(pl.lit(1, pl.Int64))
    halted = rows.filter(pl.col("close_time") != pl.col("open_time") + unit * interval.ms - 1)
    frame = rows.select(CANDLE_SCHEMA.names()).cast({"time": pl.Datetime("ms")})
    frame = frame.with_columns(pl.col("time").dt.replace_time_zone("UTC"))
    return Candles(frame, halted["time"].to_numpy(), tuple(flags))


def _check(table: Table, rows: pl.DataFrame, file: DumpFile, interval: Interval) -> None:
    """Refuse rows that contradict each other, themselves, or the file's name."""
    time, low, high = pl.col("time"), pl.col("low"), pl.col("high")
    off_grid = (time % interval.ms != 0) | ((pl.col("open_time") > LAST_MS) & (pl.col("open_time") % 1000 != 0))
    body = pl.min_horizontal("open", "close"), pl.max_horizontal("open", "close")
    rules = {
        "is outside the file's span": (time < file.start_ms) | (time >= file.end_ms),
        f"is not on the grid of {interval}": off_grid,
        "comes twice, with different content": ~time.is_unique(),
        "has prices that contradict each other": (low > body[0]) | (high < body[1]),
        "has a price of 0": low <= 0,
        "has a negative number of trades": pl.col("num_trades") < 0,
        "has volume but no trade": (pl.col("num_trades") == 0) & (pl.col("volume") > 0),
    }
    broken = rows.select(rule.any().alias(what) for what, rule in rules.items()).row(0, named=True)
    for what, rule in rules.items():
        if broken[what]:
            wrong = rows.filter(rule).row(0, named=True)
            table.refuse(
                f"the candle at {wrong['open_time']} {what}: open {wrong['open']:f}, high {wrong['high']:f}, low "
                f"{wrong['low']:f}, close {wrong['close']:f}, volume {wrong['volume']:f}, trades {wrong['num_trades']}"
            )
