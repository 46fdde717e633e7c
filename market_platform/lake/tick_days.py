"""A day's quote ticks in the lake: `ticks/{SYMBOL}/{YYYY}/{MM}/{DD}/{exchange}-{hash}.parquet`.

How keys are made, and what holds of every day file: day_files.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.ticks import Ticks
from market_platform.lake.day_files import DayFile, DayFiles, DayKey
from market_platform.lake.store import Lake, ObjectInfo
from market_platform.lake.tick_file import decode_ticks, encode_ticks, read_description

__all__ = [
    "ROOT",
    "TICK_DAYS",
    "DayFile",
    "DayKey",
    "day_files",
    "day_folder",
    "day_key",
    "parse_day_key",
    "read_tick_day",
    "remove_superseded",
    "verified_ticks",
    "write_tick_day",
]

ROOT = "ticks"


def _encode(ticks: Ticks, description: Mapping[str, str], content_hash: str) -> bytes:
    return encode_ticks(ticks, description, content_hash=content_hash)


TICK_DAYS = DayFiles(ROOT, _encode, decode_ticks, read_description)


def day_folder(symbol: str, day: date) -> str:
    """Where a symbol's day lives, without a slash at the end."""
    return TICK_DAYS.folder(symbol, day)


def day_key(exchange: str, symbol: str, day: date, content_hash: str, condition: str) -> str:
    """The object key of a day's file."""
    return TICK_DAYS.key(exchange, symbol, day, content_hash, condition)


def parse_day_key(key: str) -> DayKey | None:
    """What a key says, or None when it is not a day file's."""
    return TICK_DAYS.parse(key)


def write_tick_day(
    lake: Lake, exchange: str, symbol: str, day: date, ticks: Ticks, description: Mapping[str, str]
) -> DayFile:
    """Put a day's ticks into the lake, durably; doing it again changes nothing. See `DayFiles.write`.

    Raises:
        BadPayloadError: no ticks, ticks out of order, or ticks of another day.
        LakeError: they could not be written.
    """
    return TICK_DAYS.write(lake, exchange, symbol, day, ticks, description)


def read_tick_day(lake: Lake, object_key: str, *, expect_hash: str | None) -> Ticks:
    """All ticks of a day's file, proved to be those it was written with; columns are read-only. See `DayFiles.read`.

    Raises:
        CorruptObjectError: the object is missing, damaged, or holds other ticks than expected.
        LakeUnavailableError: the lake does not answer.
    """
    return TICK_DAYS.read(lake, object_key, expect_hash)


def verified_ticks(data: bytes, what: str, expect_hash: str | None) -> Ticks:
    """The ticks of a file's bytes after comparing their hash; see `read_tick_day`."""
    return TICK_DAYS.verified(data, what, expect_hash)


def day_files(lake: Lake, exchange: str, symbol: str, day: date) -> list[ObjectInfo]:
    """The files of an exchange's day, the newest (the current one) last."""
    return TICK_DAYS.files(lake, exchange, symbol, day)


def remove_superseded(
    lake: Lake,
    exchange: str,
    symbol: str,
    day: date,
    keep: Collection[str],
    older_than: timedelta,
    clock: Clock = utc_now,
) -> list[str]:
    """Delete the day's files that no manifest names, and what killed writers left. See `DayFiles.remove_superseded`.

    Raises:
        LakeError: the lake does not answer or refuses.
    """
    return TICK_DAYS.remove_superseded(lake, exchange, symbol, day, keep, older_than, clock)
