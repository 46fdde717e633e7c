"""All definitions of a platform from its pairs and settings; tests swap resources here instead of patching anything."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.candles import candle_assets
from market_platform.defs.assets.compaction import compaction_asset
from market_platform.defs.assets.exchange import exchange_asset
from market_platform.defs.assets.lake_statistics import is_in_lake, lake_statistics_asset
from market_platform.defs.assets.live import live_assets
from market_platform.defs.assets.periods import period_asset
from market_platform.defs.assets.ticks import ticks_asset
from market_platform.defs.assets.verification import equals_exchange_check
from market_platform.defs.exports import add_exports
from market_platform.defs.gaps import gap_job, gap_sensor
from market_platform.defs.history import add_history
from market_platform.defs.housekeeping import prune_job, prune_schedule
from market_platform.defs.jobs import compaction_job, day_job, period_job, statistics_job
from market_platform.defs.kit import Kit
from market_platform.defs.names import has_history, is_streamed, period_intervals
from market_platform.defs.orphans import orphan_sensor
from market_platform.defs.partitions import Partitions
from market_platform.defs.policies import Policies
from market_platform.defs.proof import add_proof
from market_platform.defs.resources import Resources, resources_from_settings
from market_platform.defs.schedules import compaction_schedule, daily_schedule, period_schedule, statistics_schedule
from market_platform.defs.sensors import repair_sensor
from market_platform.defs.stream_reports import late_parts_sensor, report_sensor
from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.errors import ConfigError
from market_platform.domain.intervals import PERIOD_INTERVALS, parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.settings import Settings

if TYPE_CHECKING:
    from market_platform.exchanges.live import LiveExchange


def build_defs(
    pairs: Sequence[TradingPair],
    settings: Settings,
    *,
    resources: Resources | None = None,
    policies: Policies | None = None,
    compare_with_exchange: bool = True,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
    clock: Clock = utc_now,
) -> dg.Definitions:
    """The definitions of every active pair. No I/O: the platform is opened when a step or a tick runs.

    `compare_with_exchange` adds the check that asks the exchange for its own candles, two requests a day.

    Raises:
        ConfigError: there is no active pair, or a pair lacks the intervals its other intervals are built from.
    """
    pairs = [pair for pair in pairs if pair.active]
    if not pairs:
        raise ConfigError(f"no active trading pair is configured; look at {settings.starlistings_file}")
    kit = Kit(settings, Partitions.standard(), policies or Policies.standard(settings.backfill_days_per_run), clock)
    kit.assets += [exchange_asset(exchange) for exchange in sorted({pair.exchange for pair in pairs})]
    ticked = [pair for pair in pairs if has_history(pair)]
    streamed = [pair for pair in pairs if is_streamed(pair)]
    if ticked:
        _check_intervals(ticked)
        _add_ticks(kit, ticked, compare_with_exchange=compare_with_exchange)
    if streamed:
        _add_live(kit, streamed)
    _add_statistics(kit, [pair for pair in pairs if is_in_lake(pair)])
    add_history(kit, pairs)
    add_exports(kit, pairs)
    housekeeping = prune_job(settings.event_log_retention_days)
    return dg.Definitions(
        assets=kit.assets,
        asset_checks=kit.checks,
        jobs=[*kit.jobs, housekeeping],
        schedules=[*kit.schedules, prune_schedule(housekeeping)],
        sensors=[*kit.sensors, orphan_sensor()],
        resources=resources or resources_from_settings(settings, clock),
        loggers=loggers,
        executor=dg.in_process_executor,
    )


def _add_ticks(kit: Kit, pairs: Sequence[TradingPair], *, compare_with_exchange: bool) -> None:
    """Pairs whose days are fetched: ticks and candles, their schedules and the repair of partitions."""
    partitions, policies = kit.partitions, kit.policies
    for pair in pairs:
        kit.assets += [ticks_asset(pair, partitions, policies), candle_assets(pair, partitions, policies)]
        kit.assets += [period_asset(pair, interval, partitions, policies) for interval in period_intervals(pair)]
        if compare_with_exchange:
            kit.checks.append(equals_exchange_check(pair, policies))
    periods = [each for each in PERIOD_INTERVALS if any(each in pair.intervals for pair in pairs)]
    days = day_job(pairs)
    jobs = {"days": days, **{each.name: period_job(pairs, each) for each in periods}}
    kit.jobs += jobs.values()
    kit.schedules += [
        daily_schedule(pairs, days),
        *(period_schedule(pairs, each, jobs[each.name]) for each in periods),
    ]
    kit.sensors.append(
        repair_sensor(
            pairs,
            partitions,
            jobs,
            kit.clock,
            lookback_days=kit.settings.repair_lookback_days,
            runs_per_tick=kit.settings.repair_runs_per_tick,
            days_per_run=kit.settings.backfill_days_per_run,
        )
    )


def _add_live(kit: Kit, pairs: Sequence[TradingPair]) -> None:
    """Pairs that are streamed: what the streamer writes, the day files made of it, their proof, and gaps left to repair."""
    streamed = [spec for pair in pairs for spec in live_assets(pair, kit.partitions)]
    kit.assets += [*streamed, *(compaction_asset(pair, kit.partitions, kit.policies) for pair in pairs)]
    compaction = compaction_job(pairs)
    kit.schedules.append(compaction_schedule(pairs, compaction))
    add_proof(kit, pairs)

    def open_exchange(code: str) -> LiveExchange:
        from market_platform.exchanges.registry import live_exchange

        return live_exchange(code, kit.settings, kit.clock)

    exchanges = sorted({pair.exchange for pair in pairs})
    repairs = {exchange: gap_job(exchange, open_exchange) for exchange in exchanges}
    kit.jobs += [compaction, *repairs.values()]
    kit.sensors += [
        gap_sensor(exchanges, repairs, kit.clock),
        report_sensor(frozenset(spec.key for spec in streamed), kit.clock),
        late_parts_sensor(pairs, compaction, kit.clock),
    ]


def _add_statistics(kit: Kit, pairs: Sequence[TradingPair]) -> None:
    """What the lake holds of each exchange, counted every night."""
    exchanges = sorted({pair.exchange for pair in pairs})
    if not exchanges:
        return
    for exchange in exchanges:
        mine = [pair for pair in pairs if pair.exchange == exchange]
        kit.assets.append(lake_statistics_asset(exchange, mine, kit.partitions))
    statistics = statistics_job(exchanges)
    kit.jobs.append(statistics)
    kit.schedules.append(statistics_schedule(statistics))


def accept_beta() -> None:
    """Say nothing, in this process, about three features that Dagster calls beta and that are used on purpose.

    `backfill_policy` is what makes a run take many days; `allow_nonexistent_upstream_partitions` lets the first month begin
    before the first day; `owners` of sensors Dagster passes on by itself. The
    first two are covered by tests, and Dagster is pinned to a minor version.
    """
    names = "backfill_policy|allow_nonexistent_upstream_partitions|owners"
    warnings.filterwarnings("ignore", message=f"Parameter `({names})`", category=dg.BetaWarning)


def _check_intervals(pairs: Sequence[TradingPair]) -> None:
    for pair in pairs:
        if not any(each.is_intraday for each in pair.intervals):
            raise ConfigError(f"{pair.name} has no interval of a day or shorter; give it 1m at least")
        if period_intervals(pair) and parse_interval("1d") not in pair.intervals:
            raise ConfigError(f"{pair.name}: 1w and 1M candles are built from 1d candles; add 1d to its intervals")
