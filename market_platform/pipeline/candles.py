"""Lake → warehouse: the day's ticks to candles of every interval up to a day, a few days in one transaction.

Candles always are those of the ticks committed at the moment of their own commit: the transaction that writes them holds the
days' manifests, and what was built from ticks replaced meanwhile is built again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import cast

import polars as pl

from market_platform.domain.candles import CandlePrice, candle_units, roll_up_units, to_frame
from market_platform.domain.clock import day_start_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.days import Instrument
from market_platform.domain.errors import MarketPlatformError, WarehouseError
from market_platform.domain.intervals import Interval, parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.quality import ohlc_errors, uncovered_hours
from market_platform.domain.ranks import CandleRank
from market_platform.domain.ticks import Ticks
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.day_failures import raise_failed, write_apart
from market_platform.pipeline.platform import Platform, Provenance, starlisting_ids
from market_platform.pipeline.reports import CandleDayReport
from market_platform.warehouse.candles import CandleDay, CandleWrite, write_candle_days
from market_platform.warehouse.lake_days import LakeDay, hold_lake_days, load_lake_days
from market_platform.warehouse.reference import load_instrument, load_pair

DAYS_IN_TRANSACTION = 8
_MINUTE = parse_interval("1m")
_OUTLINED_FROM = 300
"""Reports carry the frame of intervals of 5m and longer; a day of 1m candles is too long for a small chart."""


@dataclass(frozen=True, slots=True)
class _BuiltDay:
    """A day's frames by interval, and what they were built from."""

    day: date
    ticks: LakeDay
    frames: Mapping[Interval, pl.DataFrame]
    uncovered: tuple[int, ...]


_Written = Mapping[tuple[int, date], CandleDay]


def build_candle_days(
    platform: Platform,
    pair: TradingPair,
    days: Sequence[date],
    intervals: Sequence[Interval],
    provenance: Provenance,
    on_report: Callable[[CandleDayReport], None],
) -> list[CandleDayReport]:
    """Build and write the candles of each day at each of `intervals` (all of 1d or shorter).

    Only rows that differ are written, rows that no longer exist go, and `candle_days` moves in the same transaction.
    `on_report` hears of each day and interval, in the order of days and then of `intervals`, once it is committed.

    Raises:
        DayFailedError: after all days were tried, naming those whose ticks are not there or can't be read, or whose candles
            could not be written; the others are committed.
        ConfigError: the database does not list the pair's candles as the config does.
    """
    if not days:
        return []
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        manifests = load_lake_days(connection, row.id, min(days), max(days))
        instrument = load_instrument(connection, row.id)
    ids = starlisting_ids(row, pair, intervals)

    def build(day: date, manifest: LakeDay | None) -> _BuiltDay:
        return _build(platform, pair, day, intervals, manifest, instrument)

    write = partial(_write, platform, row.id, ids, build, provenance)
    reports: list[CandleDayReport] = []
    failures: dict[date, Exception] = {}
    for first in range(0, len(days), DAYS_IN_TRANSACTION):
        built: list[_BuiltDay] = []
        for day in days[first : first + DAYS_IN_TRANSACTION]:
            try:
                built.append(build(day, manifests.get(day)))
            except MarketPlatformError as error:
                failures[day] = error
        for each, written in write_apart(built, write, failures.update):
            for interval in intervals:
                report = _report(pair, each, interval, written[ids[interval], each.day])
                reports.append(report)
                on_report(report)
    raise_failed(f"{pair.name} candles", failures, len(days))
    return reports


def _build(
    platform: Platform,
    pair: TradingPair,
    day: date,
    intervals: Sequence[Interval],
    manifest: LakeDay | None,
    instrument: Instrument | None,
) -> _BuiltDay:
    if manifest is None:
        raise WarehouseError(
            f"{pair.name} {day}: its ticks are not in the lake; materialise {pair.name}/ticks for the day first"
        )
    ticks = (
        TICK_DAYS.read(platform.lake, manifest.object_key, expect_hash=manifest.content_hash)
        if manifest.object_key
        else Ticks.empty()
    )
    minutes = candle_units(ticks, _MINUTE, cast(CandlePrice, pair.candle_price), pair.alignment)
    frames = {
        interval: to_frame(minutes if interval == _MINUTE else roll_up_units(minutes, interval, pair.alignment))
        for interval in intervals
    }
    spans = instrument.calendar.open_spans_of_day(day) if instrument else []
    uncovered = uncovered_hours(minutes.time, spans, day_start_ms(day))
    return _BuiltDay(day, manifest, frames, uncovered)


def _write(
    platform: Platform,
    pair_id: int,
    ids: Mapping[Interval, int],
    build: Callable[[date, LakeDay | None], _BuiltDay],
    provenance: Provenance,
    built: Sequence[_BuiltDay],
) -> list[tuple[_BuiltDay, _Written]]:
    with platform.warehouse.begin() as connection:
        held = hold_lake_days(connection, pair_id, [each.day for each in built])
        current = [
            each
            if each.day in held and held[each.day].content == each.ticks.content
            else build(each.day, held.get(each.day))
            for each in built
        ]
        writes = [
            CandleWrite(
                starlisting_id=ids[interval],
                day=each.day,
                candles=frame,
                condition=each.ticks.condition,
                rank=rank_of(each.ticks.condition),
                input_version=each.ticks.content_hash,
            )
            for each in current
            for interval, frame in each.frames.items()
        ]
        written = write_candle_days(connection, writes, run_id=provenance.run_id, code_version=provenance.code_version)
    return [(each, written) for each in current]


def rank_of(condition: Condition) -> CandleRank:
    """The rank of candles built from ticks of that condition."""
    complete = condition in (Condition.AVAILABLE, Condition.CLOSED)
    return CandleRank.COMPLETE_TICKS if complete else CandleRank.PARTIAL_TICKS


def _report(pair: TradingPair, built: _BuiltDay, interval: Interval, committed: CandleDay) -> CandleDayReport:
    frame = built.frames[interval]
    return replace(
        CandleDayReport.of(pair, interval, built.day, committed, ohlc_errors(frame)),
        uncovered_hours=built.uncovered if interval == _MINUTE else (),
        outline=frame if interval.seconds >= _OUTLINED_FROM else None,
    )
