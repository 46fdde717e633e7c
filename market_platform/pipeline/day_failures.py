"""Days of a range that fail alone: the others are kept, and one error at the end names those that failed.

Belongs here: what to do when a day is refused. Does not: what is fetched, built or written of a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol, TypeVar

from market_platform.domain.errors import DayFailedError, MarketPlatformError
from market_platform.pipeline.platform import failure_summary


class OfDay(Protocol):
    """Anything of one UTC day."""

    @property
    def day(self) -> date:
        """Which one."""
        ...


Day = TypeVar("Day", bound=OfDay)
Written = TypeVar("Written")


def write_apart(
    batch: Sequence[Day],
    write: Callable[[Sequence[Day]], list[Written]],
    fail: Callable[[Mapping[date, Exception]], None],
) -> list[Written]:
    """Write the days in one transaction; when one of them is refused, each in its own, so that it fails alone.

    `fail` hears of the days that failed. An error that a retry helps is of the database and not of a day: it fails them all.
    """
    if not batch:
        return []
    try:
        return write(batch)
    except MarketPlatformError as error:
        if error.retryable or len(batch) == 1:
            fail(dict.fromkeys((each.day for each in batch), error))
            return []
    return [done for each in batch for done in write_apart([each], write, fail)]


def raise_failed(what: str, failures: Mapping[date, Exception], of: int, unit: str = "days") -> None:
    """Nothing when no day (or period) failed.

    Raises:
        DayFailedError: naming those that failed; a retry helps when it helps every one of them.
    """
    if failures:
        message = failure_summary(what, dict(failures), of, unit)
        raise DayFailedError(message, failures={day.isoformat(): error for day, error in failures.items()})
