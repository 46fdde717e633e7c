"""The guard against looking ahead: nothing in a row may be known later than the row's close.

The rule. A candle that opens at `t` is known at its close, `t` + interval. Funding and open interest of minute `m` are the last
values of that minute, so they are known at `m` + 1 minute. A row may hold them when that is not after its close. The merged
set joins them at exactly `m` = `t`: known a minute after the candle's open, at the close of a 1m candle and before that of any
longer one. `next_funding_time` is a schedule, known at the time of its row, though it names a later moment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from market_platform.domain.clock import from_ms
from market_platform.domain.intervals import MINUTE_MS, Interval, bucket_end
from market_platform.pipeline.exports.errors import LeakageError


def check_known_by_close(frame: pl.DataFrame, interval: Interval, joined: Sequence[str], name: str) -> None:
    """Do nothing when everything joined to a candle frame was known at its rows' close.

    `frame` has `time` (open of the candle) and, for each of `joined`, the minute of what was joined or NULL; all in ms. `name`
    is of the export, for the message.

    Raises:
        LeakageError: naming the first row and what is too late.
    """
    if not frame.height:
        return
    closes = close_times(frame["time"], interval)
    for column in joined:
        late = frame[column] + MINUTE_MS > closes
        if late.any():
            row = int(late.fill_null(value=False).arg_true()[0])
            time, minute, close = frame["time"][row], frame[column][row], closes[row]
            raise LeakageError(
                f"{name}: the row of {from_ms(time):%Y-%m-%d %H:%M} would hold a value of {from_ms(minute):%Y-%m-%d %H:%M} "
                f"({column.removesuffix('_time')}), known a minute later, after its close at {from_ms(close):%Y-%m-%d %H:%M}; "
                "no file was written"
            )


def close_times(opens: pl.Series, interval: Interval) -> pl.Series:
    """When candles that open at `opens` (ms) close, in ms."""
    if interval.name != "1M":
        return opens + interval.ms
    return pl.Series(np.array([bucket_end(each, interval) for each in opens], np.int64))
