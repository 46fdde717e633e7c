"""Parts of a day that is still being streamed: small files that a compaction merges into the day's.

Belongs here: their keys, writing, reading, listing and deleting them. Does not: merging (pipeline/compaction.py).

Key: `{root}/{SYMBOL}/{YYYY}/{MM}/{DD}/parts/{exchange}-{first}-{last}-{hash}.parquet`: the least and greatest trade id in it
(for quotes: time in ms), and the first 16 hex digits of the content hash. The same rows again are the same part, so writing
one twice is harmless; rows in two parts are for the compaction to find.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import structlog

from market_platform.domain.clock import from_ms
from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.ticks import Ticks
from market_platform.domain.trades import Trades
from market_platform.lake.day_files import DayFiles
from market_platform.lake.row_file import R, Rows
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.trade_days import TRADE_DAYS

log = structlog.get_logger(__name__)

_KEY = re.compile(
    r"(?P<root>[^/]+)/(?P<symbol>[^/]+)/(?P<day>\d{4}/\d{2}/\d{2})/parts/"
    r"(?P<exchange>[^/]+?)-\d+-\d+-(?P<hash>[0-9a-f]{16})\.parquet"
)


@dataclass(frozen=True, slots=True)
class PartFile:
    """A part as it is in the lake; `first_ms` and `last_ms` are its span of time."""

    object_key: str
    day: date
    rows: int
    bytes: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class PartKey:
    """What a part's key says."""

    exchange: str
    symbol: str
    day: date
    hash_prefix: str


def write_trade_parts(
    lake: Lake, exchange: str, symbol: str, trades: Trades, description: Mapping[str, str]
) -> list[PartFile]:
    """Put trades into the lake, durably, a part for each UTC day among them; doing it again changes nothing.

    Raises:
        BadPayloadError: one id came twice with different content.
        LakeError: they could not be written; some parts may be there already.
    """
    unique, _ = trades.sorted_unique()
    return [
        _write(
            TRADE_DAYS,
            lake,
            exchange,
            symbol,
            day,
            rows,
            (int(rows.trade_id.min()), int(rows.trade_id.max())),
            description,
        )
        for day, rows in ((day, unique.between(*span)) for day, span in _days(unique))
    ]


def write_tick_parts(
    lake: Lake, exchange: str, symbol: str, ticks: Ticks, description: Mapping[str, str]
) -> list[PartFile]:
    """Put quote ticks into the lake as `write_trade_parts` does trades.

    Raises:
        LakeError: they could not be written; some parts may be there already.
    """
    unique, _ = ticks.sorted_unique()
    return [
        _write(TICK_DAYS, lake, exchange, symbol, day, rows, (int(rows.time[0]), int(rows.time[-1])), description)
        for day, rows in ((day, unique.between(*span)) for day, span in _days(unique))
    ]


def parse_part(days: DayFiles[R], key: str) -> PartKey | None:
    """What a key says, or None when it is not that of a part of this kind."""
    found = _KEY.fullmatch(key)
    if found is None or found["root"] != days.root:
        return None
    try:
        day = date(*map(int, found["day"].split("/")))
    except ValueError:
        return None
    return PartKey(found["exchange"], found["symbol"], day, found["hash"])


def list_parts(days: DayFiles[R], lake: Lake, exchange: str, symbol: str, day: date) -> list[str]:
    """Keys of an exchange's parts of a day, sorted.

    Raises:
        LakeError: the lake does not answer.
    """
    parsed = ((info.key, parse_part(days, info.key)) for info in lake.list(f"{days.folder(symbol, day)}/parts"))
    return [key for key, found in parsed if found is not None and found.exchange == exchange]


def _write(
    days: DayFiles[R],
    lake: Lake,
    exchange: str,
    symbol: str,
    day: date,
    rows: R,
    span: tuple[int, int],
    description: Mapping[str, str],
) -> PartFile:
    content_hash = rows.content_hash()
    key = f"{days.folder(symbol, day)}/parts/{exchange}-{span[0]}-{span[1]}-{content_hash[:16]}.parquet"
    full = {**description, "exchange": exchange, "symbol": symbol, "day": day.isoformat()}
    data = days.file.encode(rows, full, content_hash)
    if not lake.put_new(key, data):
        try:
            days.read(lake, key, content_hash)
        except CorruptObjectError as error:  # torn by a power loss, or deleted by a compaction just now
            log.warning("lake_object_replaced", key=key, reason=str(error))
            lake.replace(key, data)
    return PartFile(key, day, len(rows), len(data), int(rows.time[0]), int(rows.time[-1]))


def _days(rows: Rows) -> list[tuple[date, tuple[int, int]]]:
    """The UTC days of the rows, each with its span in ms."""
    starts = np.unique(rows.time // DAY_MS) * DAY_MS
    return [(from_ms(start).date(), (start, start + DAY_MS)) for start in starts.tolist()]
