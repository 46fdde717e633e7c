"""What a file of quote ticks looks like.

Columns, all 64-bit integers without NULLs so that every file of the lake has one schema (delta encoding makes the unused
width free: measured 4.10 bytes a tick on EURUSD either way):

    time        timestamp[ms, UTC]      delta
    bid         price units             delta        price = units / 10**price_scale
    spread      price units, ask - bid  delta        (negative when crossed)
    bid_volume  volume units            dictionary   volume = units / 10**volume_scale, base currency
    ask_volume  volume units            dictionary

Scales and the file's description are key-value metadata of the Parquet footer; the ticks never depend on the description.
How rows become a file: row_file.py. How a file is written and sealed: parquet_file.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from market_platform.domain.ticks import HASH_FORM, Ints, Ticks
from market_platform.lake.parquet_file import Layout
from market_platform.lake.row_file import RowFile

LAYOUT = Layout(
    noun="tick",
    format="market-platform ticks",
    version="1",
    columns=("time", "bid", "spread", "bid_volume", "ask_volume"),
    types=(pa.timestamp("ms", "UTC"), pa.int64(), pa.int64(), pa.int64(), pa.int64()),
    delta=frozenset({"time", "bid", "spread"}),
    scales=("price_scale", "volume_scale"),
    units={
        "time": "ms since 1970-01-01 UTC",
        "bid": "1/10**price_scale",
        "spread": "1/10**price_scale",
        "bid_volume": "1/10**volume_scale",
        "ask_volume": "1/10**volume_scale",
    },
)


def _stored(ticks: Ticks) -> tuple[Sequence[Ints], Sequence[int]]:
    columns = (ticks.time, ticks.bid, ticks.ask - ticks.bid, ticks.bid_volume, ticks.ask_volume)
    return columns, (ticks.price_scale, ticks.volume_scale)


TICK_FILE = RowFile(
    LAYOUT,
    content=(("time",), ("bid",), ("bid", "spread"), ("bid_volume",), ("ask_volume",)),
    hash_form=HASH_FORM,
    make=Ticks,
    stored=_stored,
)
