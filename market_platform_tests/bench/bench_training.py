"""A year of 24 training stars through Dagster, against the same pipeline functions called alone: what orchestration adds.

The exchange is in this process and answers at once, so that what Dagster adds has nothing to hide behind. The work of such a
year is to fetch it, and how fast that may go the exchange says: the limit compares what is added with the least time in which
Binance's weights allow the same candles over REST. The ratio to the functions alone, with an exchange that costs nothing, is
told beside it without a limit, also in processor time, which other work on the machine changes less. Postgres and Dagster's
storage are real (the repository's dagster.yaml), the stars are those of config/training_stars.yaml at four of their
intervals. All of it is one run, as `BACKFILL_DAYS_PER_RUN=366` makes it; loading the definitions counts, starting a process
for the run does not (bench_backfill has that).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from functools import cache, partial
from pathlib import Path

import dagster as dg
import polars as pl

from market_platform.defs.build import accept_beta, build_defs
from market_platform.defs.names import asset_path, history_candle_layer
from market_platform.defs.partitions import range_tags
from market_platform.defs.policies import Policies
from market_platform.defs.resources import resources
from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import Interval, parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.embedded.databases import migrate_database, sync_database
from market_platform.exchanges.binance.config import Market
from market_platform.exchanges.binance.rest import KLINES_A_PAGE, klines_weight
from market_platform.exchanges.binance.transport import WEIGHT_A_MINUTE
from market_platform.exchanges.history import HistorySource, NoHistory
from market_platform.pipeline.history_candles import build_history_candles
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.settings import Settings, load_settings
from market_platform.starlistings import configured_pairs
from market_platform.warehouse.engine import create_warehouse
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.fixtures.defs_world import dagster_on_postgres
from market_platform_tests.fixtures.scripted_history import made_candles, raw_input

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
INTERVALS = [parse_interval(name) for name in ("1m", "1h", "4h", "1d")]
WHAT = "a year × 24 training stars"
LIMIT = 0.2


class AtOnce(NoHistory):
    """An exchange whose days are all alike, and there before they are asked for."""

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource`."""
        return HistoryDays(tuple(_day(pair, interval, day) for day in days))


def measure(database_url: str, folder: Path) -> list[BenchRow]:
    """The functions alone into one training database, then the run into another."""
    accept_beta()
    alone, through = (_settings(database_url, folder, name) for name in ("alone", "through"))
    for settings in (alone, through):
        for database in ("realtime", "training"):
            migrate_database(settings, database)
            sync_database(settings, database)
    pairs = [
        replace(pair, intervals=tuple(INTERVALS)) for pair in configured_pairs(alone) if pair.database == "training"
    ]
    _warm(alone, pairs[0])
    began, began_work = time.perf_counter(), time.process_time()
    _functions_alone(alone, pairs)
    alone_s, alone_work_s = time.perf_counter() - began, time.process_time() - began_work
    runs, through_s, through_work_s = _through_dagster(through, database_url, pairs)
    rows = _rows(alone)
    assert rows == _rows(through)
    added_s, allowed_s = through_s - alone_s, max(_least_seconds(pairs, market) for market in WEIGHT_A_MINUTE)
    days = days_between(FIRST, LAST)
    peer = f"{through_s:.1f} s through Dagster, {alone_s:.1f} s alone; {rows:,} candles, {len(pairs) * len(INTERVALS)} stars"
    return [
        BenchRow(f"{WHAT}: runs", runs, "runs", 1),
        BenchRow(
            f"{WHAT}: added by Dagster ÷ the least time to fetch them",
            added_s / allowed_s,
            "×",
            LIMIT,
            peer=f"{allowed_s:.0f} s by the exchange's limits (REST); {added_s:.1f} s added",
        ),
        BenchRow(
            f"{WHAT}: added by Dagster", added_s / len(days) / len(pairs) / len(INTERVALS) * 1000, "ms a partition"
        ),
        BenchRow(
            f"{WHAT}: with an exchange that costs nothing ÷ the functions alone", through_s / alone_s, "×", peer=peer
        ),
        BenchRow(
            f"{WHAT}: the same in processor time, Postgres left out",
            through_work_s / alone_work_s,
            "×",
            peer=f"{through_work_s:.1f} s through Dagster, {alone_work_s:.1f} s alone",
        ),
    ]


def _least_seconds(pairs: Sequence[TradingPair], market: Market) -> float:
    """In which a market's weight allows the year's candles of its pairs, page by page."""
    mine = [pair for pair in pairs if (pair.market_type == "perps") == (market == "usdm")]
    minutes = len(days_between(FIRST, LAST)) * 24 * 60
    page = KLINES_A_PAGE[market]
    pages = sum(math.ceil(minutes * 60 / each.seconds / page) for each in INTERVALS) * len(mine)
    return pages * klines_weight(market, page) / WEIGHT_A_MINUTE[market] * 60


def _settings(database_url: str, folder: Path, name: str) -> Settings:
    return load_settings(
        _env_file=None,
        market_data_dir=folder / name,
        database_url=database_url,
        training_database=f"bench_training_{name}",
        backfill_days_per_run=366,
    )


def _open(settings: Settings) -> Platform:
    from market_platform.embedded.databases import find_database

    found = find_database(settings, "training")
    opened = Platform.from_settings(settings, found.url, role=found.role)
    return replace(opened, open_history=_at_once)


@asynccontextmanager
async def _at_once(_pair: TradingPair) -> AsyncIterator[HistorySource]:
    yield AtOnce()


def _warm(settings: Settings, pair: TradingPair) -> None:
    """Whatever is loaded or made at first use is."""
    for interval in INTERVALS:
        _like(interval)
    platform = _open(settings)
    _build(platform, pair, [FIRST])
    platform.close()


def _functions_alone(settings: Settings, pairs: Sequence[TradingPair]) -> None:
    platform = _open(settings)
    for pair in pairs:
        _build(platform, pair, days_between(FIRST, LAST))
    platform.close()


def _build(platform: Platform, pair: TradingPair, days: Sequence[date]) -> None:
    build_history_candles(platform, pair, days, INTERVALS, Provenance("alone", "bench"), lambda _report: None)


def _through_dagster(settings: Settings, database_url: str, pairs: Sequence[TradingPair]) -> tuple[int, float, float]:
    """One run of all of it; how many runs there were, seconds from loading the definitions until its end, and of the processor."""
    keys = [dg.AssetKey(asset_path(pair, history_candle_layer(each))) for pair in pairs for each in INTERVALS]
    silent = logging.Logger("silent", logging.CRITICAL)  # noqa: LOG001 - Dagster wants one of its own
    with dagster_on_postgres(settings, database_url) as instance:
        instance.get_run_records(limit=1)  # its tables are made at the first start, not at every run
        began, began_work = time.perf_counter(), time.process_time()
        definitions = build_defs(
            pairs,
            settings,
            resources=resources(partial(_open, settings), partial(create_warehouse, database_url)),
            policies=Policies.standard(settings.backfill_days_per_run),
            loggers={"console": dg.LoggerDefinition(lambda _context: silent)},
        )
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=keys,
            tags=range_tags(FIRST, LAST),
            run_config={"loggers": {"console": {}}},
        )
        seconds, work = time.perf_counter() - began, time.process_time() - began_work
        assert result.success
        partitions = {key: len(instance.get_materialized_partitions(key)) for key in keys}
        assert set(partitions.values()) == {(LAST - FIRST).days + 1}, partitions
        return len(instance.get_run_records()), seconds, work


def _rows(settings: Settings) -> int:
    platform = _open(settings)
    try:
        with platform.warehouse.connect() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM candles").scalar_one())
    finally:
        platform.close()


@cache
def _like(interval: Interval) -> pl.DataFrame:
    return made_candles(FIRST, interval)


def _day(pair: HistoryPair, interval: Interval, day: date) -> HistoryDay[pl.DataFrame]:
    later = pl.duration(milliseconds=day_start_ms(day) - day_start_ms(FIRST))
    frame = _like(interval).with_columns(time=pl.col("time") + later)
    name = f"{pair.symbol}-{interval}-{day}.zip"
    return HistoryDay(day, frame, frame.height, Condition.AVAILABLE, inputs=(raw_input(name),))
