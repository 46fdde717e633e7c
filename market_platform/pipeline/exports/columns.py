"""Each data set's columns: name, type, unit, meaning.

Belongs here: the schema registry that the files, their JSON and the guard read. Does not: SQL, reading, writing.

A decimal is `decimal128(38, 18)`, the widest that Parquet's readers share. NUMERIC(40, 18) can hold two digits more; an export
that meets them ends with an error that names the row, and rounds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from market_platform.pipeline.exports.request import Dataset, Numbers

SCHEMA_VERSION = "1"
"""Of the files' columns and of the JSON beside them."""

Kind = Literal["time", "decimal", "integer", "double"]

_POLARS: dict[Kind, Any] = {
    "time": pl.Datetime("ms", "UTC"),
    "decimal": pl.Decimal(38, 18),
    "integer": pl.Int64(),
    "double": pl.Float64(),
}
_ARROW: dict[Kind, Any] = {
    "time": pa.timestamp("ms", "UTC"),
    "decimal": pa.decimal128(38, 18),
    "integer": pa.int64(),
    "double": pa.float64(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a file. `nullable`: NULL is possible, and is what nobody knows; nothing is ever filled in."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    nullable: bool = True

    def polars_type(self) -> Any:
        """Its type in a frame."""
        return _POLARS[self.kind]

    def as_json(self) -> dict[str, Any]:
        """For the JSON beside a file."""
        return {
            "name": self.name,
            "type": str(_ARROW[self.kind]),
            "unit": self.unit,
            "nullable": self.nullable,
            "meaning": self.meaning,
        }


_CANDLES = (
    Column("open", "decimal", "quote", "price of the first trade", nullable=False),
    Column("high", "decimal", "quote", "highest price", nullable=False),
    Column("low", "decimal", "quote", "lowest price", nullable=False),
    Column("close", "decimal", "quote", "price of the last trade", nullable=False),
    Column("volume", "decimal", "base", "traded volume; with candles from quotes bid + ask volume", nullable=False),
    Column(
        "num_trades", "integer", "1", "trades; with candles from quotes ticks; NULL where the exchange does not say"
    ),
)
_COUNTED = {
    "volume": "number of prices in the candle; no volume is traded there",
    "num_trades": "number of prices in the candle",
}
_COUNTS_PRICES = {"oanda"}
"""Exchanges whose candles have no traded volume, and count prices in its place."""

_FUNDING = (
    Column("funding_rate", "decimal", "1", "funding rate of a funding period, as a fraction"),
    Column("premium", "decimal", "1", "premium of the perpetual over its index, as a fraction"),
    Column("mark_price", "decimal", "quote", "mark price"),
    Column("index_price", "decimal", "quote", "index price"),
    Column("oracle_price", "decimal", "quote", "oracle price"),
    Column("mid_price", "decimal", "quote", "middle of best bid and ask"),
    Column("next_funding_time", "time", "UTC", "when funding is next paid, as scheduled at the time of the row"),
)
_INTEREST = (
    Column("open_interest", "decimal", "base", "open contracts"),
    Column("notional_value", "decimal", "quote", "their value"),
    Column("day_base_volume", "decimal", "base", "volume of the last 24 hours"),
    Column("day_notional_volume", "decimal", "quote", "its value"),
)
_TIMES = {
    Dataset.CANDLES: "open of the candle",
    Dataset.FUNDING: "the minute; its last values, known when the minute is over",
    Dataset.OPEN_INTEREST: "the minute; its last values, known when the minute is over",
    Dataset.MERGED: "open of the candle; funding and open interest are those of exactly this minute",
    Dataset.FEATURES: "open of the candle that the features are of, known at its close",
}
_VALUES = {
    Dataset.CANDLES: _CANDLES,
    Dataset.FUNDING: (replace(_FUNDING[0], nullable=False), *_FUNDING[1:]),
    Dataset.OPEN_INTEREST: (replace(_INTEREST[0], nullable=False), *_INTEREST[1:]),
    Dataset.MERGED: (*_CANDLES, *_FUNDING, *_INTEREST),
    Dataset.FEATURES: (),
}


def columns_of(
    dataset: Dataset, numbers: Numbers, features: Sequence[str] = (), *, exchange: str = ""
) -> tuple[Column, ...]:
    """A data set's columns, the time first; `features` are the names of a feature set's.

    `exchange` decides what the volume is: OANDA's counts prices.
    """
    time = Column("time", "time", "UTC", _TIMES[dataset], nullable=False)
    named = (Column(name, "double", "", "feature") for name in features)
    columns = (time, *_VALUES[dataset], *named)
    if exchange in _COUNTS_PRICES:
        columns = tuple(
            replace(column, unit="1", meaning=_COUNTED[column.name]) if column.name in _COUNTED else column
            for column in columns
        )
    if numbers == "decimal":
        return columns
    return tuple(replace(column, kind="double") if column.kind == "decimal" else column for column in columns)


def rounding_of(numbers: Numbers) -> str:
    """What was done to the decimals, for metadata."""
    if numbers == "decimal":
        return "none: decimals are exact"
    return "each decimal is rounded to the nearest double; numbers=decimal has all digits"


def polars_schema(columns: Sequence[Column]) -> pl.Schema:
    """The schema of a frame of these columns."""
    return pl.Schema({column.name: column.polars_type() for column in columns})


def arrow_schema(columns: Sequence[Column], metadata: Mapping[str, str]) -> pa.Schema:
    """The same for Arrow and Parquet, with each column's unit and the file's own description."""
    fields = [
        pa.field(
            column.name,
            _ARROW[column.kind],
            nullable=column.nullable,
            metadata={"unit": column.unit, "meaning": column.meaning},
        )
        for column in columns
    ]
    return pa.schema(fields, metadata=dict(sorted(metadata.items())))
