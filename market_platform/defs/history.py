"""The definitions of what is fetched of exchanges' pasts: every pair that has one, streamed or not, of either database.

Belongs here: which assets, jobs and schedules a pair's past gets. Does not: the assets themselves (assets/history.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from market_platform.defs.assets.history import history_assets, history_candle_key
from market_platform.defs.assets.periods import history_period_asset
from market_platform.defs.history_repair import history_repair_sensor
from market_platform.defs.jobs import database_name, history_day_job, history_period_job
from market_platform.defs.kit import Kit
from market_platform.defs.names import TRAINING, history_day_layers, history_period_intervals, is_training
from market_platform.defs.polls import poll_job, poll_schedule
from market_platform.defs.reissues import reissue_job, reissue_schedule
from market_platform.defs.schedules import HISTORY_PERIODS_AT, PeriodsOf, history_schedule, period_schedule
from market_platform.domain.intervals import PERIOD_INTERVALS
from market_platform.domain.pairs import TradingPair
from market_platform.embedded.databases import has_training_database
from market_platform.exchanges.codes import has_archive, is_polled

if TYPE_CHECKING:
    from market_platform.exchanges.binance.dumps.client import BinanceDumps


def add_history(kit: Kit, pairs: Sequence[TradingPair]) -> None:
    """Add the past of every pair that has one."""
    settings, partitions, policies = kit.settings, kit.partitions, kit.policies
    having = [pair for pair in pairs if history_day_layers(pair)]
    for pair in having:
        kit.assets.append(history_assets(pair, partitions, policies))
        kit.assets += [
            history_period_asset(pair, interval, partitions, policies) for interval in history_period_intervals(pair)
        ]
    for database, mine in (
        ("realtime", [pair for pair in having if not is_training(pair)]),
        (TRAINING, [pair for pair in having if is_training(pair)]),
    ):
        if mine:
            # without a training database its pairs are fetched when a person asks, not twice every night into the same tables
            nightly = database != TRAINING or has_training_database(settings)
            days = history_day_job(mine, database)
            kit.jobs.append(days)
            if nightly:
                kit.schedules.append(history_schedule(mine, days, database))
                sensor = history_repair_sensor(
                    mine,
                    partitions,
                    days,
                    kit.clock,
                    database,
                    lookback_days=settings.repair_lookback_days,
                    runs_per_tick=settings.repair_runs_per_tick,
                    days_per_run=settings.backfill_days_per_run,
                )
                kit.sensors.append(sensor)
            _add_periods(kit, mine, database, nightly=nightly)
            _add_reissues(kit, mine, database, nightly=nightly)
    stocks = [pair for pair in having if is_polled(pair) and not is_training(pair)]
    if stocks and settings.stock_poll_minutes:
        polls = poll_job(stocks)
        kit.jobs.append(polls)
        kit.schedules.append(poll_schedule(stocks, polls, settings.stock_poll_minutes))


def _add_periods(kit: Kit, pairs: Sequence[TradingPair], database: str, *, nightly: bool) -> None:
    """What launches runs of weeks and months of a database's pairs."""
    prefix = database_name("history_", database)
    for interval in PERIOD_INTERVALS:
        having = [pair for pair in pairs if interval in history_period_intervals(pair)]
        if having:
            job = history_period_job(having, interval, database)
            kit.jobs.append(job)
            if nightly:
                of = PeriodsOf(prefix, HISTORY_PERIODS_AT, history_candle_key)
                kit.schedules.append(period_schedule(having, interval, job, of))


def _add_reissues(kit: Kit, pairs: Sequence[TradingPair], database: str, *, nightly: bool) -> None:
    """What looks for files that an exchange published again."""

    def open_archive() -> BinanceDumps:
        from market_platform.exchanges.registry import binance_archive

        return binance_archive(kit.settings, kit.clock)

    having = [pair for pair in pairs if has_archive(pair)]
    if having:
        job = reissue_job(having, open_archive, database)
        kit.jobs.append(job)
        if nightly:
            kit.schedules.append(reissue_schedule(job))
