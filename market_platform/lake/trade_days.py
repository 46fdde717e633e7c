"""A day's trades in the lake: `trades/{SYMBOL}/{YYYY}/{MM}/{DD}/{exchange}-{hash}.parquet`, sorted by time and id, no id twice.

How keys are made, and what holds of every day file: day_files.py. A symbol tells the market too: `BTCUSDT` is spot,
`BTCUSDT.P` the perpetual.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from market_platform.domain.ticks import Ints
from market_platform.domain.trades import Trades
from market_platform.lake.day_files import DayFiles
from market_platform.lake.trade_file import TRADE_FILE


def _disorder(pieces: Iterable[Trades]) -> str | None:
    rising = True
    last_time, last_id = np.empty(0, np.int64), np.empty(0, np.int64)
    for piece in pieces:
        time = np.concatenate([last_time, piece.time])
        trade_id = np.concatenate([last_id, piece.trade_id])
        later = time[1:] - time[:-1]
        if (later < 0).any() or ((later == 0) & (trade_id[1:] < trade_id[:-1])).any():
            return "trades that are not sorted by time and id"
        rising = rising and bool((trade_id[1:] > trade_id[:-1]).all())
        last_time, last_id = time[-1:], trade_id[-1:]
    return None if rising else _repeated(np.concatenate([piece.trade_id for piece in pieces]))


def _repeated(ids: Ints) -> str | None:
    """An id that comes twice. Only an exchange whose ids do not rise with time costs eight bytes a trade here."""
    ids.sort()
    again = ids[1:][ids[1:] == ids[:-1]]
    return f"trade {again[0]} twice ({len(again):,} such)" if len(again) else None


TRADE_DAYS = DayFiles("trades", TRADE_FILE, _disorder)
