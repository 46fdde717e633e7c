"""What the pipelines of an exchange's past report, one record a day; orchestrators turn them into metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.history import RawInput, SeriesKind
from market_platform.domain.intervals import Interval
from market_platform.pipeline.reports import CandleDayReport
from market_platform.warehouse.history_inputs import Reissue

_SHOWN_TIMES = 10


@dataclass(frozen=True, slots=True)
class HistoryCandleReport(CandleDayReport):
    """A day of the exchange's own candles as committed.

    `missing` are the open times at which the market was open and the exchange sent nothing, `flags` what a person should
    look at, `inputs` the raw answers the day was made of, `reissued` those that came with other bytes than before. `kept`
    says that the answer was worse than what is stored, which stays.
    """

    missing: tuple[datetime, ...] = ()
    flags: tuple[str, ...] = ()
    inputs: tuple[RawInput, ...] = ()
    reissued: tuple[str, ...] = ()
    kept: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesDayReport:
    """A day of another series as committed: funding rates, open interest, trades, or dividends and splits.

    `rows` are those stored of the day, whoever wrote them, `changed_rows` those that this write added or changed (trades:
    those that are new). `data_version` is the hash of what is stored, empty without rows. `outline` is a small frame of `time`
    and `value` for the day's picture. The rest as in `HistoryCandleReport`.
    """

    pair: str
    series: SeriesKind
    day: date
    condition: Condition
    rows: int
    changed_rows: int
    first_time: datetime | None
    last_time: datetime | None
    data_version: str
    reason: str = ""
    missing: tuple[datetime, ...] = ()
    flags: tuple[str, ...] = ()
    inputs: tuple[RawInput, ...] = ()
    reissued: tuple[str, ...] = ()
    kept: str | None = None
    object_key: str | None = None
    bytes: int | None = None
    outline: pl.DataFrame | None = None


HistoryReport = HistoryCandleReport | SeriesDayReport


def times_of(missing: Sequence[int]) -> tuple[datetime, ...]:
    """Milliseconds as moments."""
    return tuple(from_ms(ms) for ms in missing)


def told_reissues(reissues: Sequence[Reissue], day: date) -> tuple[str, ...]:
    """What a person reads of answers that came with other bytes: `BTCUSDT-1m-2025-07-01.zip: 3f2a1b… → 9c0d4e…`."""
    return tuple(
        f"{each.name}: {each.earlier_sha256[:12]}… → {each.sha256[:12]}…" for each in reissues if each.day == day
    )


def told_times(times: Sequence[datetime], interval: Interval | None = None) -> str:
    """Times of a day in few words: spans of what follows each other, `00:00–00:59 (60), 13:07`."""
    spans: list[list[datetime]] = []
    for time in sorted(times):
        if spans and interval is not None and (time - spans[-1][-1]).total_seconds() == interval.seconds:
            spans[-1].append(time)
        else:
            spans.append([time])
    told = [
        f"{span[0]:%H:%M}" if len(span) == 1 else f"{span[0]:%H:%M}–{span[-1]:%H:%M} ({len(span)})"
        for span in spans[:_SHOWN_TIMES]
    ]
    more = [f"and {len(spans) - _SHOWN_TIMES} more"] if len(spans) > _SHOWN_TIMES else []
    return ", ".join([*told, *more]) or "none"
