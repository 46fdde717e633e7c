"""Jobs: what a schedule, a sensor or a person launches. A job's assets share one partitions definition."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition  # has no public name

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.assets.compaction import compacted_key
from market_platform.defs.assets.history import history_candle_key
from market_platform.defs.names import (
    TRAINING,
    asset_path,
    day_layers,
    history_day_layers,
    history_period_intervals,
    identifier,
)
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair

AssetJob = UnresolvedAssetJobDefinition
DAYS, WEEKS, MONTHS, COMPACTION = "days", "weeks", "months", "compaction"
ASSET_JOBS = frozenset({DAYS, WEEKS, MONTHS})
HISTORY_DAYS, HISTORY_WEEKS, HISTORY_MONTHS = "history_days", "history_weeks", "history_months"


def day_job(pairs: Sequence[TradingPair]) -> AssetJob:
    """The job of everything with day partitions."""
    keys = [dg.AssetKey(asset_path(pair, layer)) for pair in pairs for layer in day_layers(pair)]
    return dg.define_asset_job(
        DAYS,
        selection=dg.AssetSelection.assets(*keys),
        description="Ticks and candles 1m to 1d of every pair, for any days.",
    )


def period_job(pairs: Sequence[TradingPair], interval: Interval) -> AssetJob:
    """The job of all weekly or all monthly candles."""
    keys = [candle_key(pair, interval) for pair in pairs if interval in pair.intervals]
    name = WEEKS if interval.name == "1w" else MONTHS
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        description=f"{interval} candles of every pair, from complete days.",
    )


def history_day_job(pairs: Sequence[TradingPair], database: str) -> AssetJob:
    """The job of everything that is fetched of the past of a database's pairs."""
    keys = [dg.AssetKey(asset_path(pair, layer)) for pair in pairs for layer in history_day_layers(pair)]
    return dg.define_asset_job(
        database_name(HISTORY_DAYS, database),
        selection=dg.AssetSelection.assets(*keys),
        description=(
            "Candles, funding rates, open interest, trades, dividends and splits as the exchanges have them, for any days of any "
            f"pair of the {database} database."
        ),
    )


def history_period_job(pairs: Sequence[TradingPair], interval: Interval, database: str) -> AssetJob:
    """The job of all weekly or all monthly candles built from fetched days."""
    keys = [history_candle_key(pair, interval) for pair in pairs if interval in history_period_intervals(pair)]
    name = HISTORY_WEEKS if interval.name == "1w" else HISTORY_MONTHS
    return dg.define_asset_job(
        database_name(name, database),
        selection=dg.AssetSelection.assets(*keys),
        description=f"{interval} candles of every pair whose days are fetched, from complete days ({database} database).",
    )


def database_name(name: str, database: str) -> str:
    """Name of a job, schedule or sensor of a database: those of training begin with `training_`."""
    return identifier(TRAINING, name) if database == TRAINING else name


def compaction_job(pairs: Sequence[TradingPair]) -> AssetJob:
    """The job of the day files of all streamed pairs."""
    return dg.define_asset_job(
        COMPACTION,
        selection=dg.AssetSelection.assets(*(compacted_key(pair) for pair in pairs)),
        description="One file a day of the trades or quotes of every streamed pair, from the streamer's parts.",
    )


def statistics_job(exchanges: Sequence[str]) -> AssetJob:
    """The job of the statistics of all exchanges."""
    keys = [dg.AssetKey([exchange, "lake_statistics"]) for exchange in exchanges]
    return dg.define_asset_job(
        "lake_statistics",
        selection=dg.AssetSelection.assets(*keys),
        description="Counts what the lake holds, and looks for partitions left failed.",
    )
