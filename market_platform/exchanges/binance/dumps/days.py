"""Rows of files to days: which rows a day has, what it misses, and in which condition that leaves it.

Belongs here: `HistoryDay`s. Does not: files' text, asking. Binance's markets never close, so whatever is due and not there is
missing; whether the exchange stood still then, the archive does not say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import MarketPlatformError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.history import HistoryDay, RawInput
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, Interval
from market_platform.domain.trades import Trades
from market_platform.exchanges.binance.dumps.files import DumpFile
from market_platform.exchanges.binance.dumps.funding import FundingMonth
from market_platform.exchanges.binance.dumps.klines import Candles
from market_platform.exchanges.binance.dumps.metrics import STEP_MS, Readings, due_on
from market_platform.exchanges.binance.dumps.trades import FileTrades


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows are from: the file, and its bytes' hash and number."""

    file: DumpFile
    sha256: str
    bytes: int

    def input(self, rows: int) -> RawInput:
        """The file as the input of a day that has so many rows of it."""
        return RawInput(self.file.path, self.sha256, self.bytes, rows)


def candle_days(
    candles: Candles, source: Source, interval: Interval, days: Sequence[date]
) -> list[HistoryDay[pl.DataFrame]]:
    """The days of a file, each with the candles that open within it."""
    opens = candles.frame["time"].dt.epoch("ms").to_numpy()
    made: list[HistoryDay[pl.DataFrame]] = []
    for day in days:
        start = day_start_ms(day)
        low, high = np.searchsorted(opens, [start, start + DAY_MS]).tolist()
        due = range(start, start + DAY_MS, interval.ms)
        missing: tuple[int, ...] = ()
        if high - low < len(due):
            missing = tuple(sorted(set(due).difference(opens[low:high].tolist())))
        made.append(
            HistoryDay(
                day,
                candles.frame.slice(low, high - low),
                high - low,
                _condition(high - low, missing),
                missing,
                _none_at(source.file, f"{interval} candle", missing, len(due)),
                (source.input(high - low),),
                (*_halted_on(start, candles), *candles.flags),
            )
        )
    return made


def trade_day(found: FileTrades, source: Source) -> HistoryDay[Trades]:
    """The day of a file of trades; `missing` are the minutes in which ids are left out."""
    trades, holes = found.trades, found.holes
    before = np.searchsorted(trades.trade_id, np.array([first - 1 for first, _ in holes], np.int64))
    missing = tuple(np.unique(trades.time[before] // MINUTE_MS * MINUTE_MS).tolist())
    reason = ""
    if holes:
        ids = sum(last - first + 1 for first, last in holes)
        reason = f"{source.file.stem} leaves out {ids} trades, the first of them {holes[0][0]}"
    elif not len(trades):
        reason = f"{source.file.stem} has no trade"
    condition = _condition(len(trades), missing)
    return HistoryDay(
        source.file.first, trades, len(trades), condition, missing, reason, (source.input(len(trades)),), found.flags
    )


def joined(days: Sequence[HistoryDay[Trades]]) -> list[HistoryDay[Trades]]:
    """Sorted days of trades; one whose ids do not go on where those of the day before it ended is degraded."""
    made: list[HistoryDay[Trades]] = []
    for day in days:
        before = made[-1] if made else None
        follows = before is not None and before.day + timedelta(days=1) == day.day and before.count and day.count
        if (
            before is not None
            and follows
            and (due := int(before.rows.trade_id[-1]) + 1) != (first := int(day.rows.trade_id[0]))
        ):
            reason = f"trade {due} was due after {before.day}, and the day begins with {first}"
            missing = tuple(sorted({day_start_ms(day.day), *day.missing}))
            day = replace(  # noqa: PLW2901 - the same day, with what only its neighbour shows
                day, condition=Condition.DEGRADED, missing=missing, reason="; ".join(filter(None, (day.reason, reason)))
            )
        made.append(day)
    return made


def funding_days(month: FundingMonth, source: Source, days: Sequence[date]) -> list[HistoryDay[tuple[Funding, ...]]]:
    """The days of a month of funding rates. A day on which none was due is available without a row."""
    made: list[HistoryDay[tuple[Funding, ...]]] = []
    for day in days:
        start, end = day_start_ms(day), day_start_ms(day) + DAY_MS
        rates = tuple(rate for rate in month.rates if rate.time_ms is not None and start <= rate.time_ms < end)
        missing = tuple(time for time in month.missing if start <= time < end)
        empty = not month.rates
        made.append(
            HistoryDay(
                day,
                rates,
                len(rates),
                _condition(len(rates), missing) if missing or empty else Condition.AVAILABLE,
                missing,
                _none_at(source.file, "rate", missing, len(rates) + len(missing))
                if not empty
                else "the month has no rate",
                (source.input(len(rates)),),
            )
        )
    return made


def reading_day(
    day: date, own: tuple[Readings, Source], before: tuple[Readings, Source] | MarketPlatformError
) -> HistoryDay[tuple[OpenInterest, ...]]:
    """A day of open interest: its own file's readings, and that of its first midnight out of the file of the day before."""
    readings, source = own
    start = day_start_ms(day)
    rows = [each for each in readings.readings if each.time_ms is not None and each.time_ms < start + DAY_MS]
    inputs = [source.input(len(rows))]
    blanks = [time for time in readings.blanks if time < start + DAY_MS]
    reasons: list[str] = []
    if isinstance(before, MarketPlatformError):
        reasons.append(f"the reading of 00:00 is in the file of the day before: {before}")
    else:
        earlier, file = before
        midnight = [each for each in earlier.readings if each.time_ms == start]
        blanks += [time for time in earlier.blanks if time == start]
        rows = midnight + rows
        if midnight:
            inputs.insert(0, file.input(len(midnight)))
    taken = {time - time % STEP_MS for time in (each.time_ms or 0 for each in rows)}
    due = due_on(start)
    missing = tuple(time for time in due if time not in taken)
    if missing:
        reasons.insert(0, _none_at(source.file, "reading", missing, len(due)))
    if blanks:
        reasons.append(f"{len(blanks)} rows are there without a value")
    return HistoryDay(
        day,
        tuple(rows),
        len(rows),
        _condition(len(rows), missing),
        missing,
        "; ".join(reasons) if missing else "",
        tuple(inputs),
        readings.flags,
    )


def _halted_on(start: int, candles: Candles) -> list[str]:
    halted = candles.halted[(candles.halted >= start) & (candles.halted < start + DAY_MS)]
    if not len(halted):
        return []
    return [f"{len(halted)} candles do not end with their bucket, the first at {from_ms(int(halted[0])):%H:%M}"]


def _condition(rows: int, missing: Collection[int]) -> Condition:
    if not rows:
        return Condition.MISSING
    return Condition.DEGRADED if missing else Condition.AVAILABLE


def _none_at(file: DumpFile, what: str, missing: Sequence[int], due: int) -> str:
    if not missing:
        return ""
    return (
        f"{file.stem} has no {what} for {len(missing)} of {due} times, the first {from_ms(missing[0]):%Y-%m-%d %H:%M}"
    )
