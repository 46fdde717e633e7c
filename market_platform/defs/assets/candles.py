"""Candles of a pair from 1m to 1d: the day's ticks → the table `candles`, all intervals of a day in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.layers import Results, Step, layer_key, layer_spec
from market_platform.defs.assets.results import Made, layer_result, log_partitions
from market_platform.defs.check_specs import candle_check_specs
from market_platform.defs.checks import Outcome, check_candle_days
from market_platform.defs.failures import as_failure, is_last_attempt, typed_failures
from market_platform.defs.metadata import candle_metadata
from market_platform.defs.names import TICKS, candle_layer, day_intervals, identifier
from market_platform.defs.partitions import Partitions, partition_dates
from market_platform.defs.policies import Policies, daily_freshness
from market_platform.defs.quality import record_outcomes
from market_platform.defs.resources import PLATFORM
from market_platform.defs.table_schemas import candle_schema
from market_platform.domain.errors import DayFailedError
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import CANDLES_VERSION

if TYPE_CHECKING:
    from market_platform.pipeline.reports import CandleDayReport


def candle_key(pair: TradingPair, interval: Interval) -> dg.AssetKey:
    """Key of an interval's candles: `dukascopy/EURUSD/candles_5m`."""
    return layer_key(pair, candle_layer(interval))


def candle_assets(pair: TradingPair, partitions: Partitions, policies: Policies) -> dg.AssetsDefinition:
    """The candle layers of a pair with a partition a day: one step builds whichever are selected."""
    intervals = day_intervals(pair)
    schema = candle_schema(pair.coin, pair.quote, pair.candle_price)
    specs = [
        _spec(pair, interval, before, schema, partitions)
        for before, interval in zip((None, *intervals), intervals, strict=False)
    ]
    checks = [
        check
        for interval in intervals
        for check in candle_check_specs(candle_key(pair, interval), with_coverage=interval == intervals[0])
    ]
    return Step(
        specs,
        partial(_materialise, pair=pair, policies=policies),
        PLATFORM,
        checks,
        name=identifier(pair.exchange, "", pair.symbol, "", "candles"),
        description=f"Candles of {pair.trading_pair} on {pair.exchange}, {intervals[0]} to {intervals[-1]}, of whole days.",
    ).as_assets(policies)


def report_candles_of_kept_days(context: dg.AssetExecutionContext, pair: TradingPair, days: Sequence[date]) -> None:
    """For a run whose ticks failed in part: build the good days' candles if the run was to, and report them one by one.

    The step that would build them is skipped with the failure; without this, one bad day would keep a whole range from
    its candles.
    """
    from market_platform.pipeline.candles import build_candle_days
    from market_platform.pipeline.platform import Provenance

    wanted = set(context.run.asset_selection or context.job_def.asset_layer.executable_asset_keys)
    intervals = [each for each in day_intervals(pair) if candle_key(pair, each) in wanted]
    if not intervals:
        return
    reports: list[CandleDayReport] = []
    try:
        build_candle_days(
            context.resources.platform,
            pair,
            days,
            intervals,
            Provenance(context.run.run_id, CANDLES_VERSION),
            reports.append,
        )
    except DayFailedError as error:
        context.log.error(str(error))
    _log_days(context, pair, reports)


def _materialise(context: dg.AssetExecutionContext, pair: TradingPair, policies: Policies) -> Results:
    from market_platform.pipeline.candles import build_candle_days
    from market_platform.pipeline.platform import Provenance

    platform = context.resources.platform
    days = partition_dates(context)
    intervals = [each for each in day_intervals(pair) if candle_key(pair, each) in context.selected_asset_keys]
    reports: list[CandleDayReport] = []
    with typed_failures(f"{pair.name} candles"):
        try:
            provenance = Provenance(context.run.run_id, CANDLES_VERSION)
            build_candle_days(platform, pair, days, intervals, provenance, reports.append)
        except DayFailedError as error:
            failure = as_failure(error, last_attempt=is_last_attempt(context, policies.retry))
            if not failure.allow_retries:
                _log_days(context, pair, reports)
            raise failure from error
    changed = sum(report.changed_rows for report in reports)
    context.log.info(f"{pair.name}: {len(days)} days at {len(intervals)} intervals, {changed:,} rows changed")
    selected = context.op_execution_context.selected_asset_check_keys
    by_interval = {each: [report for report in reports if report.interval == each.name] for each in intervals}
    outcomes: dict[Interval | None, Sequence[Outcome]] = {
        interval: check_candle_days(
            mine, [check.name for check in selected if check.asset_key == candle_key(pair, interval)]
        )
        for interval, mine in by_interval.items()
    }
    with typed_failures(f"{pair.name} candle checks"):
        record_outcomes(platform, pair, outcomes, context.run.run_id)
    for interval, mine in by_interval.items():
        yield layer_result(context, candle_key(pair, interval), [_made(each) for each in mine], outcomes[interval])


def _log_days(context: dg.AssetExecutionContext, pair: TradingPair, reports: Sequence[CandleDayReport]) -> None:
    """Report each partition by an event of its own, in the order of dependencies."""
    for interval in day_intervals(pair):
        mine = [_made(report) for report in reports if report.interval == interval.name]
        log_partitions(context, candle_key(pair, interval), mine)


def _made(report: CandleDayReport) -> Made:
    return Made(report.day, candle_metadata(report, CANDLES_VERSION), report.data_version)


def _spec(
    pair: TradingPair, interval: Interval, before: Interval | None, schema: dg.TableSchema, partitions: Partitions
) -> dg.AssetSpec:
    return layer_spec(
        pair,
        candle_layer(interval),
        partitions.days,
        deps=[layer_key(pair, TICKS) if before is None else candle_key(pair, before)],
        storage="postgres",
        schema=schema,
        table=view_name(interval),
        freshness=daily_freshness() if interval.name in ("1m", "1d") else None,
        code_version=CANDLES_VERSION,
        skippable=True,
        description=candle_description(pair, interval),
    )


def candle_description(pair: TradingPair, interval: Interval) -> str:
    """What a person should know of an interval's candles."""
    side = "mid prices, (bid + ask) / 2" if pair.candle_price == "mid" else f"{pair.candle_price} prices"
    volume = "bid plus ask volume" if pair.candle_price == "mid" else f"{pair.candle_price} volume"
    return (
        f"{interval.name} candles of {pair.trading_pair} on {pair.exchange} from {side}, exact: open, high, low and close in "
        f"{pair.quote}, `volume` = {volume} in {pair.coin}, `num_trades` = ticks. `time` is the open, UTC. No ticks, no "
        "candle.\n\n"
        f"Rows of the table `candles`, easiest read through the view `{view_name(interval)}`; `candle_days` says for each "
        "partition what it holds, its condition and its data version."
    )


def view_name(interval: Interval) -> str:
    """The view that shows an interval's candles with their pair's name (SQL folds case, so a month is `1mo`)."""
    return "candles_1mo" if interval.name == "1M" else candle_layer(interval)
