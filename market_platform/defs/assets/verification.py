"""The check that asks the exchange: minute candles from our ticks = the exchange's own.

A step of its own, in the exchange's pool: it costs two requests a day, can be left out of a run by not selecting it, and
can be run alone from the UI, for the newest complete day.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.check_specs import EQUALS_EXCHANGE, exchange_check_description
from market_platform.defs.checks import Finding, Outcome, check_result, comparison_finding
from market_platform.defs.failures import is_last_attempt, typed_failures
from market_platform.defs.names import day_intervals, pool_name
from market_platform.defs.partitions import run_days
from market_platform.defs.policies import Policies
from market_platform.defs.quality import record_outcomes
from market_platform.defs.resources import PLATFORM
from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import MarketPlatformError, is_retryable
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from market_platform.pipeline.platform import Platform
    from market_platform.pipeline.reports import ExchangeComparison

_ALONE_LOOKS_BACK = timedelta(days=31)
_DAYS_AT_ONCE = 3


def equals_exchange_check(pair: TradingPair, policies: Policies) -> dg.AssetChecksDefinition:
    """The check of a pair, on its shortest candles."""
    shortest = day_intervals(pair)[0]
    key = candle_key(pair, shortest)

    @dg.asset_check(
        asset=key,
        name=EQUALS_EXCHANGE,
        description=exchange_check_description(),
        blocking=False,
        pool=pool_name(pair.exchange),
        retry_policy=policies.retry,
        required_resource_keys={PLATFORM},
    )
    def equals_exchange_candles(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return _evaluate(context, pair, shortest, policies)

    return equals_exchange_candles


def _evaluate(
    context: dg.AssetCheckExecutionContext, pair: TradingPair, interval: Interval, policies: Policies
) -> dg.AssetCheckResult:
    """Compare the run's complete days; an exchange that can't be asked is a warning in the end, not a failed run."""
    platform: Platform = context.resources.platform
    key, run_id = candle_key(pair, interval), context.run.run_id
    with typed_failures(f"{pair.name} {EQUALS_EXCHANGE}"):
        days = comparable_days(platform, pair, run_days(context.run.tags))
        try:
            comparisons = asyncio.run(_compare(platform, pair, days))
        except MarketPlatformError as error:
            if is_retryable(error) and not is_last_attempt(context, policies.retry):
                raise
            problem = f"not compared: {error}"
            findings = [Finding(day, problem, dg.AssetCheckSeverity.WARN) for day in days]
        else:
            findings = [comparison_finding(comparison) for comparison in comparisons]
            compared = sum(comparison.compared for comparison in comparisons)
            context.log.info(
                f"{pair.name}: {compared:,} minute candles of {len(days)} days compared with the exchange's own"
            )
        outcome = Outcome(EQUALS_EXCHANGE, tuple(findings))
        record_outcomes(platform, pair, {interval: [outcome]}, run_id)
    return check_result(key, outcome)


def comparable_days(platform: "Platform", pair: TradingPair, asked: Sequence[date] | None) -> list[date]:
    """Complete days with ticks among those asked for; without any asked for, the newest such day."""
    from market_platform.warehouse.lake_days import load_lake_days
    from market_platform.warehouse.reference import load_pair

    yesterday = platform.clock().date() - timedelta(days=1)
    days = asked if asked is not None else days_between(yesterday - _ALONE_LOOKS_BACK, yesterday)
    if not days:
        return []
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        manifests = load_lake_days(connection, row.id, min(days), max(days))
    complete = [
        day
        for day in days
        if day in manifests and manifests[day].condition is Condition.AVAILABLE and manifests[day].rows
    ]
    return complete if asked is not None else complete[-1:]


async def _compare(platform: "Platform", pair: TradingPair, days: Sequence[date]) -> "list[ExchangeComparison]":
    from market_platform.pipeline.verify import compare_with_exchange

    gate = asyncio.Semaphore(_DAYS_AT_ONCE)

    async def compare(day: date) -> "ExchangeComparison":
        async with gate:
            return await compare_with_exchange(platform, pair, day)

    return await asyncio.gather(*(compare(day) for day in days))
