"""What the lake holds, by its files' own descriptions: the ground for statistics, verification and rebuilt manifests.

A survey lists the lake and reads each day file's footer, one ranged request a file, several at a time. What it can't
account for it names: objects that are neither day files nor parts, and day files that can't be read.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from market_platform.domain.conditions import Condition
from market_platform.domain.errors import CorruptObjectError
from market_platform.lake.day_files import DayKey
from market_platform.lake.kinds import KINDS
from market_platform.lake.legacy import is_legacy_part
from market_platform.lake.parquet_file import read_footer
from market_platform.lake.parts import PartKey, parse_part
from market_platform.lake.store import Lake, ObjectInfo

REQUESTS_IN_FLIGHT = 8
_HEX = re.compile(r"[0-9a-f]{64}")
_PREFERRED = (Condition.AVAILABLE, Condition.DEGRADED, Condition.PENDING, Condition.MISSING, Condition.CLOSED)


@dataclass(frozen=True, slots=True)
class SurveyedDay:
    """A day file as it describes itself; `bytes` and `last_modified` are the object's. Times in ms, UTC.

    `run_id` and `code_version` are those of the run that wrote the file, as far as it told; so are its raw inputs, kept as the
    text of a JSON list, because parsed they take four times the memory and a lake has many days.
    """

    object_key: str
    kind: str
    exchange: str
    symbol: str
    day: date
    condition: Condition
    content_hash: str
    rows: int
    bytes: int
    first_ms: int
    last_ms: int
    inputs_json: str
    run_id: str
    code_version: str
    last_modified: datetime

    @property
    def raw_inputs(self) -> list[Any]:
        """What the file's rows were made of, by its writer."""
        parsed = json.loads(self.inputs_json)
        return parsed if isinstance(parsed, list) else []


@dataclass(frozen=True, slots=True)
class SurveyedPart:
    """A part of a streamed day, by its name: it waits for the day's compaction. Its footer is not read."""

    object_key: str
    kind: str
    exchange: str
    symbol: str
    day: date
    hash_prefix: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """An object below a kind's folder that a survey can't use, and why."""

    object_key: str
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    """`current` has one file a kind, exchange, symbol and day, sorted; `superseded` are the days' older ones.

    `legacy` counts JSON parts of the old layout by symbol; `parts` are those of days that are still streamed, sorted by key.
    """

    current: tuple[SurveyedDay, ...]
    superseded: tuple[SurveyedDay, ...]
    foreign: tuple[ForeignObject, ...]
    legacy: Mapping[str, int]
    parts: tuple[SurveyedPart, ...] = ()


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
    listing = _Listing(exchange, first, last)
    for kind in KINDS:
        for info in lake.list(f"{kind}/{symbol}" if symbol else kind):
            listing.add(kind, info)
    with ThreadPoolExecutor(REQUESTS_IN_FLIGHT, thread_name_prefix="lake-survey") as pool:
        described = list(pool.map(lambda each: _describe(lake, *each), listing.files))
    unreadable = [each for each in described if isinstance(each, ForeignObject)]
    foreign = sorted([*listing.foreign, *unreadable], key=lambda each: each.object_key)
    by_day: dict[tuple[str, str, str, date], list[SurveyedDay]] = defaultdict(list)
    for each in described:
        if isinstance(each, SurveyedDay):
            by_day[each.exchange, each.symbol, each.kind, each.day].append(each)
    current, superseded = [], []
    for _, files in sorted(by_day.items(), key=lambda item: item[0]):
        *older, newest = sorted(files, key=_age)
        current.append(newest)
        superseded += older
    return Survey(tuple(current), tuple(superseded), tuple(foreign), dict(listing.legacy), tuple(listing.parts))


@dataclass(slots=True)
class _Listing:
    """Objects below the kinds' folders by what their names say, of an exchange and days where these are given."""

    exchange: str | None
    first: date | None
    last: date | None
    files: list[tuple[str, ObjectInfo, DayKey]] = field(default_factory=list)
    parts: list[SurveyedPart] = field(default_factory=list)
    foreign: list[ForeignObject] = field(default_factory=list)
    legacy: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, info: ObjectInfo) -> None:
        days = KINDS[kind]
        if (key := days.parse(info.key)) is not None:
            if self._is_wanted(key):
                self.files.append((kind, info, key))
        elif (part := parse_part(days, info.key)) is not None:
            if self._is_wanted(part):
                named = part.exchange, part.symbol, part.day, part.hash_prefix
                self.parts.append(SurveyedPart(info.key, kind, *named, info.size))
        elif is_legacy_part(info.key):
            self.legacy[info.key.split("/")[1]] += 1
        else:
            self.foreign.append(ForeignObject(info.key, info.size, "its name is not a day file's"))

    def _is_wanted(self, key: DayKey | PartKey) -> bool:
        of_exchange = (self.exchange or key.exchange) == key.exchange
        return of_exchange and (self.first or key.day) <= key.day <= (self.last or key.day)


def _age(file: SurveyedDay) -> tuple[datetime, int, int, str]:
    """Newest last; of files written within the store's clock step, the better condition and the fuller file."""
    return file.last_modified, -_PREFERRED.index(file.condition), file.rows, file.object_key


def _describe(lake: Lake, kind: str, info: ObjectInfo, key: DayKey) -> SurveyedDay | ForeignObject:
    try:
        tail, size = read_footer(lake, info.key)
        description = KINDS[kind].file.describe(tail, f"lake object {info.key}")
        return _surveyed(kind, info, key, size, description)
    except CorruptObjectError as error:
        return ForeignObject(info.key, info.size, str(error))


def _surveyed(kind: str, info: ObjectInfo, key: DayKey, size: int, description: Mapping[str, str]) -> SurveyedDay:
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
        inputs_json = description.get("raw_inputs", "[]")
        json.loads(inputs_json)
        count, first, last = (int(description[name]) for name in ("rows", "first_ms", "last_ms"))
    except (ValueError, KeyError) as error:
        raise CorruptObjectError(f"lake object {info.key} has a description that can't be read: {error!r}") from None
    return SurveyedDay(
        object_key=info.key,
        kind=kind,
        exchange=key.exchange,
        symbol=key.symbol,
        day=key.day,
        condition=condition,
        content_hash=content_hash,
        rows=count,
        bytes=size,
        first_ms=first,
        last_ms=last,
        inputs_json=inputs_json,
        run_id=description.get("run_id", ""),
        code_version=description.get("code_version", ""),
        last_modified=info.last_modified,
    )
