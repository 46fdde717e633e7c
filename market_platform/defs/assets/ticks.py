"""Ticks of a pair: exchange → one verified Parquet file a day in the lake, committed by its manifest row."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.candles import report_candles_of_kept_days
from market_platform.defs.assets.exchange import source_key
from market_platform.defs.assets.layers import Results, Step, layer_spec
from market_platform.defs.assets.results import Made, layer_result, log_partitions
from market_platform.defs.check_specs import tick_check_specs
from market_platform.defs.checks import check_tick_days
from market_platform.defs.failures import as_failure, is_last_attempt, typed_failures
from market_platform.defs.metadata import tick_metadata
from market_platform.defs.names import TICKS, pool_name
from market_platform.defs.partitions import Partitions, partition_dates
from market_platform.defs.policies import Policies, daily_freshness
from market_platform.defs.quality import record_outcomes
from market_platform.defs.resources import PLATFORM
from market_platform.defs.table_schemas import tick_schema
from market_platform.domain.errors import DayFailedError
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import TICKS_VERSION

if TYPE_CHECKING:
    from market_platform.pipeline.reports import TickDayReport

_SAY_EVERY_S = 1.0
KeptReports = dict[str, dict[date, "TickDayReport"]]
"""Reports of days a run has committed so far, by run: a retry in the same process does not fetch them again."""


def ticks_asset(pair: TradingPair, partitions: Partitions, policies: Policies) -> dg.AssetsDefinition:
    """The ticks asset of a pair, a partition a day, any number of days a run."""
    kept: KeptReports = {}
    spec = layer_spec(
        pair,
        TICKS,
        partitions.days,
        deps=[source_key(pair.exchange)],
        storage="parquet",
        schema=tick_schema(pair.coin, pair.quote),
        freshness=daily_freshness(),
        code_version=TICKS_VERSION,
        description=_description(pair),
    )
    return Step(
        [spec],
        partial(_materialise, pair=pair, policies=policies, kept=kept),
        PLATFORM,
        tick_check_specs(spec.key),
        pool_name(pair.exchange),
        op_tags={"dagster/priority": "1"},  # first, also in a run of ticks and, say, 1h without the layers between
    ).as_assets(policies)


def _materialise(
    context: dg.AssetExecutionContext, pair: TradingPair, policies: Policies, kept: KeptReports
) -> Results:
    """Ingest the run's days. When some fail the others are kept, all the way to their candles, and the run names the bad."""
    from market_platform.pipeline.platform import Provenance
    from market_platform.pipeline.ticks import ingest_tick_days

    platform = context.resources.platform
    days = partition_dates(context)
    done = kept.setdefault(context.run.run_id, {})
    missing = [day for day in days if day not in done]

    said_at = 0.0

    def on_day(report: TickDayReport) -> None:
        nonlocal said_at
        done[report.day] = report
        now = time.monotonic()
        if now - said_at >= _SAY_EVERY_S or not report.condition.is_final or report.day == days[-1]:
            said_at = now
            context.log.info(_line(report))  # a line is an event in the database, which is why not every day has one

    with typed_failures(f"{pair.name} ticks"):
        try:
            asyncio.run(
                ingest_tick_days(platform, pair, missing, Provenance(context.run.run_id, TICKS_VERSION), on_day)
            )
        except DayFailedError as error:
            failure = as_failure(error, last_attempt=is_last_attempt(context, policies.retry))
            if not failure.allow_retries:
                _report_kept_days(context, pair, [done[day] for day in sorted(done)])
                kept.pop(context.run.run_id)
            raise failure from error
        reports = [done[day] for day in days]
        kept.pop(context.run.run_id)
        outcomes = check_tick_days(reports, _selected_checks(context))
        record_outcomes(platform, pair, {None: outcomes}, context.run.run_id)
    yield layer_result(context, context.asset_key, [_made(report) for report in reports], outcomes)


def _report_kept_days(context: dg.AssetExecutionContext, pair: TradingPair, reports: list[TickDayReport]) -> None:
    """Report the good days of a failing run one by one, and build and report the candles the run was to build of them."""
    log_partitions(context, context.asset_key, [_made(report) for report in reports])
    if reports:
        report_candles_of_kept_days(context, pair, [report.day for report in reports])


def _made(report: TickDayReport) -> Made:
    return Made(report.day, tick_metadata(report, TICKS_VERSION), report.data_version)


def _selected_checks(context: dg.AssetExecutionContext) -> list[str]:
    return [check.name for check in context.op_execution_context.selected_asset_check_keys]


def _line(report: TickDayReport) -> str:
    changed = "" if report.changed else ", unchanged"
    return f"{report.pair} {report.day}: {report.rows:,} ticks, {report.condition}{changed}"


def _description(pair: TradingPair) -> str:
    return (
        f"Every quote of {pair.trading_pair} that {pair.exchange} sent on the day: time, bid, ask and both volumes, exact, "
        "sorted, exact duplicates dropped.\n\n"
        f"One Parquet file a day in the lake, `ticks/{pair.symbol}/YYYY/MM/DD/{pair.exchange}-<content hash>.parquet`, "
        "immutable; its row in the table `lake_days` is the commit. Times are UTC in milliseconds, prices in "
        f"{pair.quote}, volumes in {pair.coin}.\n\n"
        "A day's condition says what to expect of it: `available`, `degraded` (hours are missing), `pending` (not published "
        "yet), `closed` (the market was), `missing` (the exchange has nothing)."
    )
