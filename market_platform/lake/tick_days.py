"""A day's ticks in the lake: one immutable file, written once, read verified.

Key: `ticks/{SYMBOL}/{YYYY}/{MM}/{DD}/{exchange}-{hash}.parquet`, where `hash` is the first 16 hex digits of the ticks'
content hash, and `…-{hash}-{condition}.parquet` when the day is not `available`. So the same ticks found again change
nothing, while the same ticks with another condition (a day once `pending`, now complete) are another file, and each file
states its condition truly for ever. Everything else in a description (raw inputs, run, code version) is what the first
writer of that name knew. An empty day has no file; only the manifest knows its condition.

The newest file of an exchange's day is its current one: this is what a rebuild of lost manifests goes by, and
`write_tick_day` keeps it true even when an exchange goes back to ticks it had sent before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import structlog

from market_platform.domain.clock import Clock, day_start_ms, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, CorruptObjectError
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.ticks import Ticks
from market_platform.lake.store import Lake, ObjectInfo
from market_platform.lake.tick_file import decode_ticks, encode_ticks, read_description

log = structlog.get_logger(__name__)

ROOT = "ticks"
_KEY = re.compile(
    rf"{ROOT}/(?P<symbol>[^/]+)/(?P<year>\d{{4}})/(?P<month>\d{{2}})/(?P<day>\d{{2}})/"
    r"(?P<exchange>[^/]+?)-(?P<hash>[0-9a-f]{16})(?:-(?P<condition>[a-z]+))?\.parquet"
)


@dataclass(frozen=True, slots=True)
class DayFile:
    """A day's file as it is in the lake; `first_ms` and `last_ms` are the times of its first and last tick."""

    object_key: str
    content_hash: str
    rows: int
    bytes: int
    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class DayKey:
    """What a day file's key says."""

    exchange: str
    symbol: str
    day: date
    hash_prefix: str
    condition: str


def day_folder(symbol: str, day: date) -> str:
    """Where a symbol's day lives, without a slash at the end."""
    return f"{ROOT}/{symbol}/{day:%Y/%m/%d}"


def day_key(exchange: str, symbol: str, day: date, content_hash: str, condition: str) -> str:
    """The object key of a day's file; see the module."""
    suffix = "" if condition == Condition.AVAILABLE else f"-{condition}"
    return f"{day_folder(symbol, day)}/{exchange}-{content_hash[:16]}{suffix}.parquet"


def parse_day_key(key: str) -> DayKey | None:
    """What a key says, or None when it is not a day file's."""
    found = _KEY.fullmatch(key)
    if not found:
        return None
    try:
        day = date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        return None
    return DayKey(
        found["exchange"], found["symbol"], day, found["hash"], found["condition"] or Condition.AVAILABLE.value
    )


def write_tick_day(
    lake: Lake, exchange: str, symbol: str, day: date, ticks: Ticks, description: Mapping[str, str]
) -> DayFile:
    """Put a day's ticks into the lake, durably; doing it again changes nothing.

    `description` may hold `condition` (default `available`), `raw_inputs` (compact JSON), `code_version`, `run_id` and
    whatever else is worth knowing of the file.

    Raises:
        BadPayloadError: no ticks, ticks out of order, or ticks of another day.
        LakeError: they could not be written.
    """
    _check(exchange, symbol, day, ticks)
    condition = Condition(description.get("condition", Condition.AVAILABLE))
    content_hash = ticks.content_hash()
    full = {**description, "exchange": exchange, "symbol": symbol, "day": day.isoformat(), "condition": condition.value}
    data = encode_ticks(ticks, full, content_hash=content_hash)
    key = day_key(exchange, symbol, day, content_hash, condition)
    size = len(data)
    if not lake.put_new(key, data):
        size = _keep_existing(lake, key, data, content_hash)
    return DayFile(key, content_hash, len(ticks), size, int(ticks.time[0]), int(ticks.time[-1]))


def read_tick_day(lake: Lake, object_key: str, *, expect_hash: str | None) -> Ticks:
    """All ticks of a day's file, proved to be those it was written with; columns are read-only.

    `expect_hash` is the manifest's content hash; None compares with the file's own description only.

    Raises:
        CorruptObjectError: the object is missing, damaged, or holds other ticks than expected.
        LakeUnavailableError: the lake does not answer.
    """
    return verified_ticks(lake.get(object_key), f"lake object {object_key}", expect_hash)


def verified_ticks(data: bytes, what: str, expect_hash: str | None) -> Ticks:
    """The ticks of a file's bytes after comparing their hash; see `read_tick_day`."""
    expected = expect_hash or read_description(data, what).get("content_hash", "")
    ticks = decode_ticks(data, what)
    found = ticks.content_hash()
    if found != expected:
        who = "its manifest" if expect_hash else "its own description"
        raise CorruptObjectError(
            f"{what} holds ticks with the hash {found[:16]}…, {who} says {expected[:16]}…; materialise the day again"
        )
    return ticks


def day_files(lake: Lake, exchange: str, symbol: str, day: date) -> list[ObjectInfo]:
    """The files of an exchange's day, the newest (the current one) last."""
    found = []
    for info in lake.list(day_folder(symbol, day)):
        parsed = parse_day_key(info.key)
        if parsed is not None and parsed.exchange == exchange:
            found.append(info)
    return sorted(found, key=lambda info: (info.last_modified, info.key))


def remove_superseded(
    lake: Lake,
    exchange: str,
    symbol: str,
    day: date,
    keep: Collection[str],
    older_than: timedelta,
    clock: Clock = utc_now,
) -> list[str]:
    """Delete the day's files that no manifest names, and what killed writers left; returns the keys removed.

    `keep` are the keys that manifests name. Nothing goes that was written within `older_than` (a writer may be about to
    commit it), and nothing at all unless a file of `keep` is there: without a successor nothing is superseded.

    Raises:
        LakeError: the lake does not answer or refuses.
    """
    before = clock() - older_than
    files = day_files(lake, exchange, symbol, day)
    removed = lake.remove_leftovers(day_folder(symbol, day), before)
    if not any(info.key in keep for info in files):
        return removed
    for info in files:
        if info.key not in keep and info.last_modified < before:
            lake.delete(info.key)
            removed.append(info.key)
    return removed


def _keep_existing(lake: Lake, key: str, data: bytes, content_hash: str) -> int:
    """Make sure that the file already there is whole and the newest of its day; returns its size."""
    there = lake.get(key)
    if there != data:
        try:
            verified_ticks(there, f"lake object {key}", content_hash)
        except CorruptObjectError as error:
            log.warning("lake_object_replaced", key=key, reason=str(error))
            lake.replace(key, data)
            return len(data)
    parsed = parse_day_key(key)
    if parsed is not None and day_files(lake, parsed.exchange, parsed.symbol, parsed.day)[-1].key != key:
        lake.replace(key, there)
    return len(there)


def _check(exchange: str, symbol: str, day: date, ticks: Ticks) -> None:
    where = f"{exchange}/{symbol} {day}"
    if not len(ticks):
        raise BadPayloadError(f"{where}: no ticks to write; an empty day has no file")
    start = day_start_ms(day)
    if int(ticks.time[0]) < start or int(ticks.time[-1]) >= start + DAY_MS:
        raise BadPayloadError(f"{where}: ticks from {ticks.time[0]} to {ticks.time[-1]} ms are not all of that day")
    if (ticks.time[1:] < ticks.time[:-1]).any():
        raise BadPayloadError(f"{where}: ticks are not sorted by time")
