"""What the lake holds, by its files' own descriptions: the ground for statistics, verification and rebuilt manifests.

A survey lists the lake and reads each day file's footer, one ranged request a file, several at a time. What it can't
account for it names: objects that are not day files, and day files that can't be read.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from market_platform.domain.clock import day_start_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.intervals import DAY_MS
from market_platform.lake.legacy import is_legacy_part
from market_platform.lake.parts import is_part
from market_platform.lake.store import Lake, ObjectInfo
from market_platform.lake.tick_days import ROOT, DayKey, parse_day_key, read_tick_day
from market_platform.lake.tick_file import read_description
from market_platform.lake.tick_scan import read_footer

REQUESTS_IN_FLIGHT = 8
_HEX = re.compile(r"[0-9a-f]{64}")
_PREFERRED = (Condition.AVAILABLE, Condition.DEGRADED, Condition.PENDING, Condition.MISSING, Condition.CLOSED)


@dataclass(frozen=True, slots=True)
class SurveyedDay:
    """A day file as it describes itself; `bytes` and `last_modified` are the object's. Times in ms, UTC.

    `raw_inputs`, `run_id` and `code_version` are those of the run that wrote the file, as far as it told.
    """

    object_key: str
    exchange: str
    symbol: str
    day: date
    condition: Condition
    content_hash: str
    rows: int
    bytes: int
    first_ms: int
    last_ms: int
    raw_inputs: list[Any]
    run_id: str
    code_version: str
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """An object below `ticks/` that a survey can't use, and why."""

    object_key: str
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    """`current` has one file an exchange, symbol and day, sorted; `superseded` are the days' older ones.

    `legacy` counts JSON parts of the old layout by symbol.
    """

    current: tuple[SurveyedDay, ...]
    superseded: tuple[SurveyedDay, ...]
    foreign: tuple[ForeignObject, ...]
    legacy: Mapping[str, int]


def survey(
    lake: Lake,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    first: date | None = None,
    last: date | None = None,
) -> Survey:
    """What the lake holds of an exchange, symbol and range of days (both ends included); None means all.

    Raises:
        LakeUnavailableError: the lake does not answer.
    """
    wanted: list[tuple[ObjectInfo, DayKey]] = []
    foreign: list[ForeignObject] = []
    legacy: dict[str, int] = defaultdict(int)
    for info in lake.list(f"{ROOT}/{symbol}" if symbol else ROOT):
        key = parse_day_key(info.key)
        if key is None:
            if is_legacy_part(info.key):
                legacy[info.key.split("/")[1]] += 1
            elif not is_part(info.key):  # parts wait for their compaction
                foreign.append(ForeignObject(info.key, info.size, "its name is not a day file's"))
        elif (exchange or key.exchange) == key.exchange and (first or key.day) <= key.day <= (last or key.day):
            wanted.append((info, key))
    with ThreadPoolExecutor(REQUESTS_IN_FLIGHT, thread_name_prefix="lake-survey") as pool:
        described = list(pool.map(lambda each: _describe(lake, *each), wanted))
    foreign += [each for each in described if isinstance(each, ForeignObject)]
    by_day: dict[tuple[str, str, date], list[SurveyedDay]] = defaultdict(list)
    for each in described:
        if isinstance(each, SurveyedDay):
            by_day[each.exchange, each.symbol, each.day].append(each)
    current, superseded = [], []
    for _, files in sorted(by_day.items(), key=lambda item: item[0]):
        *older, newest = sorted(files, key=_age)
        current.append(newest)
        superseded += older
    return Survey(
        tuple(current), tuple(superseded), tuple(sorted(foreign, key=lambda each: each.object_key)), dict(legacy)
    )


def check_days(lake: Lake, files: Iterable[SurveyedDay]) -> Iterator[tuple[SurveyedDay, str | None]]:
    """Read each file whole and compare its ticks with its description; the problem in words, or None.

    Raises:
        LakeUnavailableError: the lake does not answer.
    """
    with ThreadPoolExecutor(REQUESTS_IN_FLIGHT, thread_name_prefix="lake-check") as pool:
        yield from pool.map(lambda file: (file, _problem(lake, file)), files)


def _age(file: SurveyedDay) -> tuple[datetime, int, int, str]:
    """Newest last; of files written within the store's clock step, the better condition and the fuller file."""
    return file.last_modified, -_PREFERRED.index(file.condition), file.rows, file.object_key


def _problem(lake: Lake, file: SurveyedDay) -> str | None:
    try:
        ticks = read_tick_day(lake, file.object_key, expect_hash=file.content_hash)
    except CorruptObjectError as error:
        return str(error)
    start = day_start_ms(file.day)
    if (len(ticks), int(ticks.time[0]), int(ticks.time[-1])) != (file.rows, file.first_ms, file.last_ms):
        return f"lake object {file.object_key} describes another number or span of ticks than it holds"
    if (ticks.time[1:] < ticks.time[:-1]).any() or file.first_ms < start or file.last_ms >= start + DAY_MS:
        return f"lake object {file.object_key} holds ticks that are not sorted or not of its day"
    return None


def _describe(lake: Lake, info: ObjectInfo, key: DayKey) -> SurveyedDay | ForeignObject:
    try:
        tail, size = read_footer(lake, info.key)
        description = read_description(tail, f"lake object {info.key}")
        return _surveyed(info, key, size, description)
    except CorruptObjectError as error:
        return ForeignObject(info.key, info.size, str(error))


def _surveyed(info: ObjectInfo, key: DayKey, size: int, description: Mapping[str, str]) -> SurveyedDay:
    """Check a description against the key it was found under."""
    stated = (
        description.get("exchange"),
        description.get("symbol"),
        description.get("day"),
        description.get("condition"),
    )
    named = (key.exchange, key.symbol, key.day.isoformat(), key.condition)
    content_hash = description.get("content_hash", "")
    if stated != named:
        raise CorruptObjectError(
            f"lake object {info.key} says it is {stated}, its name says {named}: it was moved or copied"
        )
    if not _HEX.fullmatch(content_hash) or not content_hash.startswith(key.hash_prefix):
        raise CorruptObjectError(
            f"lake object {info.key} states the content hash {content_hash!r}, which its name denies"
        )
    try:
        condition = Condition(key.condition)
        raw_inputs = json.loads(description.get("raw_inputs", "[]"))
        count, first, last = (int(description[name]) for name in ("rows", "first_ms", "last_ms"))
    except (ValueError, KeyError) as error:
        raise CorruptObjectError(f"lake object {info.key} has a description that can't be read: {error!r}") from None
    return SurveyedDay(
        object_key=info.key,
        exchange=key.exchange,
        symbol=key.symbol,
        day=key.day,
        condition=condition,
        content_hash=content_hash,
        rows=count,
        bytes=size,
        first_ms=first,
        last_ms=last,
        raw_inputs=raw_inputs if isinstance(raw_inputs, list) else [],
        run_id=description.get("run_id", ""),
        code_version=description.get("code_version", ""),
        last_modified=info.last_modified,
    )
