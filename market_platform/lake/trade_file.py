"""Trades ⇄ Parquet bytes: exact, small, the same bytes for the same trades and description.

Columns, all 64-bit integers without NULLs, in the order of time and id:

    trade_id   id                      delta
    time       timestamp[ms, UTC]      delta
    price      price units             delta        price = units / 10**price_scale
    quantity   quantity units          dictionary   quantity = units / 10**quantity_scale, base currency
    side       0 sell, 1 buy           dictionary   the side of the order that took
    first_id   id                      delta        first single trade of an aggregated one, -1 unknown
    last_id    id                      delta        last one, -1 unknown

Scales and the file's description are key-value metadata of the Parquet footer. How a file is written and sealed:
parquet_file.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

from market_platform.domain.trades import Trades
from market_platform.lake.parquet_file import Layout, decode_columns, decode_metadata, encode_columns

SCHEMA_VERSION = "1"
LAYOUT = Layout(
    noun="trade",
    format="market-platform trades",
    columns=("trade_id", "time", "price", "quantity", "side", "first_id", "last_id"),
    types=(pa.int64(), pa.timestamp("ms", "UTC"), *[pa.int64()] * 5),
    delta=frozenset({"trade_id", "time", "price", "first_id", "last_id"}),
    scales=("price_scale", "quantity_scale"),
)
UNITS = json.dumps(
    {
        "time": "ms since 1970-01-01 UTC",
        "price": "1/10**price_scale",
        "quantity": "1/10**quantity_scale",
        "side": "0 sell, 1 buy",
        "first_id": "-1 unknown",
        "last_id": "-1 unknown",
    },
    separators=(",", ":"),
)


def encode_trades(trades: Trades, description: Mapping[str, str], *, content_hash: str | None = None) -> bytes:
    """A Parquet file of the trades that describes itself; see the module for columns and units.

    `description` adds to what the trades say of themselves (scales, rows, span, content hash) and can't override it.
    """
    least = trades.canonical()
    own = {
        "format": LAYOUT.format,
        "schema_version": SCHEMA_VERSION,
        "units": UNITS,
        "price_scale": str(least.price_scale),
        "quantity_scale": str(least.quantity_scale),
        "rows": str(len(least)),
        "content_hash": content_hash or least.content_hash(),
    }
    if len(least):
        own |= {"first_ms": str(int(least.time.min())), "last_ms": str(int(least.time.max()))}
    return encode_columns(LAYOUT, least.columns, {**description, **own})


def decode_trades(data: bytes, what: str = "trade file") -> Trades:
    """All trades of a file's bytes; the columns are read-only. `what` names the file in messages.

    Raises:
        CorruptObjectError: it is no trade file, or damaged.
    """
    columns, metadata = decode_columns(LAYOUT, SCHEMA_VERSION, data, what)
    trade_id, time, price, quantity, side, first_id, last_id = columns
    scales = int(metadata["price_scale"]), int(metadata["quantity_scale"])
    return Trades(trade_id, time, price, quantity, side, first_id, last_id, *scales)


def read_trade_description(data: bytes, what: str = "trade file") -> dict[str, str]:
    """What a file's bytes say of themselves; the last part of the file, with its footer and seal, is enough.

    Raises:
        CorruptObjectError: it is no trade file, or its footer is damaged.
    """
    return decode_metadata(LAYOUT, SCHEMA_VERSION, data, what)
