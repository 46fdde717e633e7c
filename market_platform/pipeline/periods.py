"""Weeks and months from complete days: a candle of a period is written only when every day of it is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import polars as pl

from market_platform.domain.candles import CANDLE_SCHEMA, roll_up
from market_platform.domain.clock import day_start_ms, days_between, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadRequestError, MarketPlatformError
from market_platform.domain.intervals import DAY_MS, Interval, bucket_end, bucket_start, parse_interval
from market_platform.domain.lineage import version_of_days
from market_platform.domain.pairs import TradingPair
from market_platform.domain.quality import ohlc_errors
from market_platform.pipeline.candles import rank_of
from market_platform.pipeline.day_failures import raise_failed
from market_platform.pipeline.platform import Platform, Provenance, starlisting_ids
from market_platform.pipeline.reports import CandleDayReport
from market_platform.warehouse.candle_days import hold_candle_days
from market_platform.warehouse.candles import CandleDay, CandleWrite, read_candles, write_candle_days
from market_platform.warehouse.reference import load_pair

_DAY = parse_interval("1d")


def build_candle_periods(
    platform: Platform,
    pair: TradingPair,
    interval: Interval,
    starts: Sequence[date],
    provenance: Provenance,
    on_report: Callable[[CandleDayReport], None],
) -> list[CandleDayReport]:
    """Build the candle of each period (`1w` or `1M`) that opens on a day of `starts`, from the pair's 1d candles.

    A period with a day that is not materialised or still pending gets no candle: its condition is `pending` and
    `reason` names the days. With a degraded or missing day it is built from what the exchange has, and is `degraded`.

    Raises:
        BadRequestError: when a start is not the first day of a period.
        ConfigError: the database does not list the pair's candles as the config does.
        DayFailedError: after all periods were tried, naming those that could not be read or written.
    """
    for start in starts:
        if bucket_start(day_start_ms(start), interval) != day_start_ms(start):
            raise BadRequestError(f"{start} is not the first day of a {interval} candle")
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
    ids = starlisting_ids(row, pair, [_DAY, interval])
    reports: list[CandleDayReport] = []
    failures: dict[date, Exception] = {}
    for start in starts:
        try:
            report = _build(platform, pair, interval, start, (ids[_DAY], ids[interval]), provenance)
        except MarketPlatformError as error:
            failures[start] = error
            continue
        reports.append(report)
        on_report(report)
    raise_failed(f"{pair.name} {interval} candles", failures, len(starts), "periods")
    return reports


def _build(
    platform: Platform,
    pair: TradingPair,
    interval: Interval,
    start: date,
    ids: tuple[int, int],
    provenance: Provenance,
) -> CandleDayReport:
    """Read the days and write the period in one transaction, in which the days can't change."""
    start_ms = day_start_ms(start)
    end_ms = bucket_end(start_ms, interval)
    days = days_between(start, from_ms(end_ms - DAY_MS).date())
    daily_id, period_id = ids
    with platform.warehouse.begin() as connection:
        known = hold_candle_days(connection, daily_id, days[0], days[-1])
        daily = read_candles(connection, daily_id, start_ms, end_ms)
        condition, reason = _condition(days, known)
        candles = roll_up(daily, interval) if condition is not Condition.PENDING else pl.DataFrame(schema=CANDLE_SCHEMA)
        write = CandleWrite(
            starlisting_id=period_id,
            day=start,
            candles=candles,
            condition=condition,
            rank=rank_of(condition),
            input_version=version_of_days((each.day, each.condition, each.data_version) for each in known.values()),
        )
        written = write_candle_days(connection, [write], run_id=provenance.run_id, code_version=provenance.code_version)
    return replace(
        CandleDayReport.of(pair, interval, start, written[period_id, start], ohlc_errors(candles)),
        reason=reason,
        outline=daily,
    )


def _condition(days: Sequence[date], known: Mapping[date, CandleDay]) -> tuple[Condition, str | None]:
    """The period's condition from its days', and why it is not `available`."""
    waiting = [day for day in days if day not in known or known[day].condition is Condition.PENDING]
    if waiting:
        named = ", ".join(day.isoformat() for day in waiting[:7])
        more = f" and {len(waiting) - 7} more" if len(waiting) > 7 else ""
        return Condition.PENDING, f"not every day is there yet: {named}{more}"
    partial = [day for day in days if known[day].condition in (Condition.DEGRADED, Condition.MISSING)]
    if partial:
        if not any(known[day].rows for day in days):
            return Condition.MISSING, "the exchange has nothing for any of its days"
        return Condition.DEGRADED, "some days lack data: " + ", ".join(day.isoformat() for day in partial)
    if all(known[day].condition is Condition.CLOSED for day in days):
        return Condition.CLOSED, None
    return Condition.AVAILABLE, None
