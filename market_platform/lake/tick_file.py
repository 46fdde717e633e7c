"""Ticks ⇄ Parquet bytes: exact, small, the same bytes for the same ticks and description.

Columns, all 64-bit integers without NULLs so that every file of the lake has one schema (delta encoding makes the unused
width free: measured 4.10 bytes a tick on EURUSD either way):

    time        timestamp[ms, UTC]      delta
    bid         price units             delta        price = units / 10**price_scale
    spread      price units, ask - bid  delta        (negative when crossed)
    bid_volume  volume units            dictionary   volume = units / 10**volume_scale, base currency
    ask_volume  volume units            dictionary

Scales and the file's description are key-value metadata of the Parquet footer; the ticks never depend on the description.
How a file is written and sealed: parquet_file.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from market_platform.domain.ticks import Ints, Ticks
from market_platform.lake.parquet_file import Layout, decode_columns, decode_metadata, encode_columns, table_columns

SCHEMA_VERSION = "1"
LAYOUT = Layout(
    noun="tick",
    format="market-platform ticks",
    columns=("time", "bid", "spread", "bid_volume", "ask_volume"),
    types=(pa.timestamp("ms", "UTC"), pa.int64(), pa.int64(), pa.int64(), pa.int64()),
    delta=frozenset({"time", "bid", "spread"}),
    scales=("price_scale", "volume_scale"),
)
UNITS = json.dumps(
    {
        "time": "ms since 1970-01-01 UTC",
        "bid": "1/10**price_scale",
        "spread": "1/10**price_scale",
        "bid_volume": "1/10**volume_scale",
        "ask_volume": "1/10**volume_scale",
    },
    separators=(",", ":"),
)


def encode_ticks(ticks: Ticks, description: Mapping[str, str], *, content_hash: str | None = None) -> bytes:
    """A Parquet file of the ticks that describes itself; see the module for columns and units.

    `description` adds to what the ticks say of themselves (scales, rows, span, content hash) and can't override it.
    `content_hash` saves computing it when the caller has it.
    """
    own = {
        "format": LAYOUT.format,
        "schema_version": SCHEMA_VERSION,
        "units": UNITS,
        "price_scale": str(ticks.price_scale),
        "volume_scale": str(ticks.volume_scale),
        "rows": str(len(ticks)),
        "content_hash": content_hash or ticks.content_hash(),
    }
    if len(ticks):
        own |= {"first_ms": str(int(ticks.time[0])), "last_ms": str(int(ticks.time[-1]))}
    values = (ticks.time, ticks.bid, ticks.ask - ticks.bid, ticks.bid_volume, ticks.ask_volume)
    return encode_columns(LAYOUT, values, {**description, **own})


def decode_ticks(data: bytes, what: str = "tick file") -> Ticks:
    """All ticks of a file's bytes; the columns are read-only. `what` names the file in messages.

    Raises:
        CorruptObjectError: it is no tick file, or damaged.
    """
    columns, metadata = decode_columns(LAYOUT, SCHEMA_VERSION, data, what)
    return _ticks(columns, metadata)


def read_description(data: bytes, what: str = "tick file") -> dict[str, str]:
    """What a file's bytes say of themselves; the last part of the file, with its footer and seal, is enough.

    Raises:
        CorruptObjectError: it is no tick file, or its footer is damaged.
    """
    return decode_metadata(LAYOUT, SCHEMA_VERSION, data, what)


def table_to_ticks(table: pa.Table, description: Mapping[str, str], what: str) -> Ticks:
    """Ticks of an Arrow table with this module's columns, without copying a column that is in one piece."""
    return _ticks(table_columns(LAYOUT, table, what), description)


def _ticks(columns: Sequence[Ints], metadata: Mapping[str, str]) -> Ticks:
    time, bid, spread, bid_volume, ask_volume = columns
    scales = int(metadata["price_scale"]), int(metadata["volume_scale"])
    return Ticks(time, bid, bid + spread, bid_volume, ask_volume, *scales)
