"""What a file of trades looks like.

Columns, all 64-bit integers without NULLs, in the order of time and id:

    trade_id   id                      delta
    time       timestamp[ms, UTC]      delta
    price      price units             delta        price = units / 10**price_scale
    quantity   quantity units          dictionary   quantity = units / 10**quantity_scale, base currency
    side       0 sell, 1 buy           dictionary   the side of the order that took
    first_id   id                      delta        first single trade of an aggregated one, -1 unknown
    last_id    id                      delta        last one, -1 unknown

Scales are the smallest that hold every digit; they and the file's description are key-value metadata of the Parquet footer.
How rows become a file: row_file.py. How a file is written and sealed: parquet_file.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from market_platform.domain.ticks import Ints
from market_platform.domain.trades import HASH_FORM, Trades
from market_platform.lake.parquet_file import Layout
from market_platform.lake.row_file import RowFile

LAYOUT = Layout(
    noun="trade",
    format="market-platform trades",
    version="1",
    columns=("trade_id", "time", "price", "quantity", "side", "first_id", "last_id"),
    types=(pa.int64(), pa.timestamp("ms", "UTC"), *[pa.int64()] * 5),
    delta=frozenset({"trade_id", "time", "price", "first_id", "last_id"}),
    scales=("price_scale", "quantity_scale"),
    units={
        "time": "ms since 1970-01-01 UTC",
        "price": "1/10**price_scale",
        "quantity": "1/10**quantity_scale",
        "side": "0 sell, 1 buy",
        "first_id": "-1 unknown",
        "last_id": "-1 unknown",
    },
)


def _stored(trades: Trades) -> tuple[Sequence[Ints], Sequence[int]]:
    least = trades.canonical()
    return least.columns, (least.price_scale, least.quantity_scale)


TRADE_FILE = RowFile(
    LAYOUT,
    content=tuple((name,) for name in LAYOUT.columns),
    hash_form=HASH_FORM,
    make=Trades,
    stored=_stored,
)
