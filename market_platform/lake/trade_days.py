"""A day's trades in the lake: `trades/{SYMBOL}/{YYYY}/{MM}/{DD}/{exchange}-{hash}.parquet`, sorted by time and id.

How keys are made, and what holds of every day file: day_files.py. A symbol tells the market too: `BTCUSDT` is spot,
`BTCUSDT.P` the perpetual.
"""

from __future__ import annotations

from collections.abc import Mapping

from market_platform.domain.trades import Trades
from market_platform.lake.day_files import DayFiles
from market_platform.lake.trade_file import decode_trades, encode_trades, read_trade_description

ROOT = "trades"


def _encode(trades: Trades, description: Mapping[str, str], content_hash: str) -> bytes:
    return encode_trades(trades, description, content_hash=content_hash)


TRADE_DAYS = DayFiles(ROOT, _encode, decode_trades, read_trade_description)
