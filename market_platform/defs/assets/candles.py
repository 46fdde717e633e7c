"""Candles of a pair from 1m to 1d: the day's ticks → the table `candles`, all intervals of a day in one pass."""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.checks import Outcome, candle_check_specs, check_candle_days, check_result
from market_platform.defs.failures import as_failure, is_last_attempt, typed_failures
from market_platform.defs.metadata import candle_metadata, version_tags
from market_platform.defs.names import TICKS, asset_path, candle_layer, day_intervals, group_name, identifier
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
    return dg.AssetKey(asset_path(pair, candle_layer(interval)))


def candle_assets(pair: TradingPair, partitions: Partitions, policies: Policies) -> dg.AssetsDefinition:
    """The candle layers of a pair with a partition a day: one step builds whichever are selected."""
    intervals = day_intervals(pair)
    schema = candle_schema(pair.coin, pair.quote, pair.candle_price)
    specs = [
        _spec(pair, interval, before, schema) for before, interval in zip((None, *intervals), intervals, strict=False)
    ]
    checks = [
        check
        for interval in intervals
        for check in candle_check_specs(candle_key(pair, interval), with_coverage=interval == intervals[0])
    ]

    @dg.multi_asset(
        name=identifier(pair.exchange, "", pair.symbol, "", "candles"),
        specs=specs,
        check_specs=checks,
        can_subset=True,
        partitions_def=partitions.days,
        backfill_policy=policies.backfill,
        retry_policy=policies.retry,
        required_resource_keys={PLATFORM},
        description=f"Candles of {pair.trading_pair} on {pair.exchange}, {intervals[0]} to {intervals[-1]}, of whole days.",
    )
    def candles(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        yield from _materialise(context, pair, policies)

    return candles


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


def _materialise(
    context: dg.AssetExecutionContext, pair: TradingPair, policies: Policies
) -> Iterator[dg.MaterializeResult[None]]:
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
        key = candle_key(pair, interval)
        for report in mine:
            metadata = candle_metadata(report, CANDLES_VERSION)
            context.add_asset_metadata(metadata, asset_key=key, partition_key=report.day.isoformat())
        only = mine[0].data_version or "empty" if len(mine) == 1 else None
        yield dg.MaterializeResult(
            asset_key=key,
            check_results=[check_result(key, outcome) for outcome in outcomes[interval]],
            data_version=dg.DataVersion(only) if only else None,
        )


def _log_days(context: dg.AssetExecutionContext, pair: TradingPair, reports: "Sequence[CandleDayReport]") -> None:
    """Report each partition by an event of its own, in the order of dependencies."""
    for interval in day_intervals(pair):
        for report in reports:
            if report.interval == interval.name:
                context.log_event(
                    dg.AssetMaterialization(
                        candle_key(pair, interval),
                        partition=report.day.isoformat(),
                        metadata=candle_metadata(report, CANDLES_VERSION),
                        tags=version_tags(report.data_version),
                    )
                )


def _spec(pair: TradingPair, interval: Interval, before: Interval | None, schema: dg.TableSchema) -> dg.AssetSpec:
    parent = dg.AssetKey(asset_path(pair, TICKS)) if before is None else candle_key(pair, before)
    return dg.AssetSpec(
        key=candle_key(pair, interval),
        deps=[parent],
        skippable=True,
        code_version=CANDLES_VERSION,
        group_name=group_name(pair),
        kinds={"postgres"},
        owners=["team:market-data"],
        freshness_policy=daily_freshness() if interval.name in ("1m", "1d") else None,
        tags={"exchange": pair.exchange, "symbol": pair.symbol, "layer": candle_layer(interval)},
        metadata={
            "dagster/column_schema": schema,
            "dagster/table_name": f"public.{view_name(interval)}",
        },
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
