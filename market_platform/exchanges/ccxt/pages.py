"""Pages of CCXT's rows that must fit together. Pure.

Belongs here: checks of a page. Does not: asking (history.py), single rows (rows.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Generic, TypeVar

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Funding, OpenInterest
from market_platform.domain.intervals import MINUTE_MS
from market_platform.exchanges.ccxt.amounts import Amounts
from market_platform.exchanges.day_rows import PagesRead, page_within

Row = TypeVar("Row", Candle, Funding, OpenInterest)


@dataclass(slots=True)
class Read(PagesRead[Row]):
    """What pages brought of a block of days; `served_ms` is the first row that came when there was none so old."""

    served_ms: int | None = None
    amounts: Amounts = field(default_factory=Amounts)


@dataclass(frozen=True, slots=True)
class Series(Generic[Row]):
    """How one series of a market is asked for: CCXT's method, its rows, how far apart they are (0 when that varies)."""

    what: str
    method: str
    before: tuple[str, ...]
    make: Callable[[Any, Amounts], Row]
    time: Callable[[Row], int]
    step_ms: int
    limit: int


def checked_page(
    series: Series[Row], cursor: int, end_ms: int, what: str, amounts: Amounts, answer: Any
) -> tuple[list[Row], int | None]:
    """The rows of a page that are inside [cursor, end), and the first row when all of them are later.

    Raises:
        BadPayloadError: rows are wrong, out of order, twice, or all of them are earlier.
    """
    if not isinstance(answer, Sequence) or isinstance(answer, str):
        raise BadPayloadError(f"{what}: {str(answer)[:80]} are no rows")
    rows = [series.make(each, amounts) for each in answer]
    times = [series.time(row) for row in rows]
    if times and times[0] >= end_ms:
        page_within(times, times[0], times[-1] + 1, what)
        return [], times[0]
    page_within(times, cursor, end_ms, what)
    return [row for row, time in zip(rows, times, strict=True) if cursor <= time < end_ms], None


def next_due(times: Sequence[int], step_ms: int) -> int:
    """When the next row after those may come: a step later, or as soon as rows have followed each other at all."""
    closest = min((after - before for before, after in pairwise(times)), default=MINUTE_MS)
    return times[-1] + (step_ms or closest)
