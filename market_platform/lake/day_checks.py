"""Whether day files and parts hold what they say: content hash, number, span, order, nothing twice, all of their day.

Belongs here: reading files whole to judge them. Does not: finding them (survey.py), comparing them with manifests (pipeline/).

A file is gone through row group by row group, so one costs its bytes in the lake and one row group decoded. Several are read
at a time, of those larger than `LARGE_BYTES` one, always on the same thread (freed memory stays with the thread that used it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, TypeVar

from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.intervals import DAY_MS
from market_platform.lake.day_files import DayFiles
from market_platform.lake.kinds import KINDS
from market_platform.lake.row_groups import RowGroups
from market_platform.lake.store import Lake
from market_platform.lake.survey import REQUESTS_IN_FLIGHT, SurveyedDay, SurveyedPart

LARGE_BYTES = 4 << 20
F = TypeVar("F", SurveyedDay, SurveyedPart)


def check_days(lake: Lake, files: Iterable[SurveyedDay]) -> Iterator[tuple[SurveyedDay, str | None]]:
    """Compare each file's rows with its description; the problem in words, or None.

    Raises:
        LakeUnavailableError: the lake does not answer.
    """
    return _checked(files, lambda file: _day_problem(lake, file))


def check_parts(lake: Lake, parts: Iterable[SurveyedPart]) -> Iterator[tuple[SurveyedPart, str | None]]:
    """As `check_days`. A part that is no longer there was compacted meanwhile, which is no problem.

    Raises:
        LakeUnavailableError: the lake does not answer.
    """
    return _checked(parts, lambda part: _part_problem(lake, part))


def _checked(files: Iterable[F], problem: Callable[[F], str | None]) -> Iterator[tuple[F, str | None]]:
    def check(file: F) -> str | None:
        try:
            return problem(file)
        except CorruptObjectError as error:
            return str(error)

    with (
        ThreadPoolExecutor(REQUESTS_IN_FLIGHT, "lake-check") as pool,
        ThreadPoolExecutor(1, "lake-check-large") as large,
    ):
        checks = [(file, (large if file.bytes > LARGE_BYTES else pool).submit(check, file)) for file in files]
        yield from ((file, each.result()) for file, each in checks)


def _day_problem(lake: Lake, file: SurveyedDay) -> str | None:
    days, what = KINDS[file.kind], f"lake object {file.object_key}"
    groups = RowGroups(days.file, lake.get(file.object_key), what)
    return _problem(days, groups, what, file.day, (file.content_hash, file.rows, file.first_ms, file.last_ms))


def _part_problem(lake: Lake, part: SurveyedPart) -> str | None:
    days, what = KINDS[part.kind], f"lake object {part.object_key}"
    try:
        data = lake.get(part.object_key)
    except CorruptObjectError:
        if lake.exists(part.object_key):
            raise
        return None
    groups = RowGroups(days.file, data, what)
    said = groups.description
    named = (part.exchange, part.symbol, part.day.isoformat())
    if (said.get("exchange"), said.get("symbol"), said.get("day")) != named:
        return f"{what} says it is of another pair or day: it was moved or copied"
    content_hash = said.get("content_hash", "")
    if not content_hash.startswith(part.hash_prefix):
        return f"{what} states the content hash {content_hash!r}, which its name denies"
    rows, first, last = (int(said.get(name, -1)) for name in ("rows", "first_ms", "last_ms"))
    return _problem(days, groups, what, part.day, (content_hash, rows, first, last))


def _problem(
    days: DayFiles[Any], groups: RowGroups[Any], what: str, day: date, stated: tuple[str, int, int, int]
) -> str | None:
    """What is wrong with a file's rows; `stated` are the content hash, rows, first and last time they should have."""
    content_hash, *sizes = stated
    found = groups.content_hash()
    if found != content_hash:
        return str(days.mismatch(what, found, content_hash, "its own description"))
    disorder = days.disorder(groups)
    if disorder:
        return f"{what} holds {disorder}"
    spans = [(int(time.min()), int(time.max())) for (time,) in groups.columns(("time",)) if len(time)]
    if not spans:
        return f"{what} holds no {days.root}"
    first, last = min(low for low, _ in spans), max(high for _, high in spans)
    if [groups.rows, first, last] != sizes:
        return f"{what} describes another number or span of {days.root} than it holds"
    if first < day_start_ms(day) or last >= day_start_ms(day) + DAY_MS:
        return f"{what} holds {days.root} that are not of its day"
    return None
