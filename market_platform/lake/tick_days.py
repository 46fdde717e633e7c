"""A day's quote ticks in the lake: `ticks/{SYMBOL}/{YYYY}/{MM}/{DD}/{exchange}-{hash}.parquet`, sorted by time, none twice.

How keys are made, and what holds of every day file: day_files.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from market_platform.domain.ticks import Ticks, concat_ticks
from market_platform.lake.day_files import DayFiles
from market_platform.lake.tick_file import TICK_FILE


def _disorder(pieces: Iterable[Ticks]) -> str | None:
    last = Ticks.empty()
    for piece in pieces:
        ticks = concat_ticks([last, piece])
        if (ticks.time[1:] < ticks.time[:-1]).any():
            return "ticks that are not sorted by time"
        unique, repeated = ticks.sorted_unique()
        if repeated:
            return f"{repeated} ticks twice"
        if len(unique):
            end = int(unique.time[-1])
            last = unique.between(end, end + 1)
    return None


TICK_DAYS = DayFiles("ticks", TICK_FILE, _disorder)
