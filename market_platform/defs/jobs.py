"""Jobs: what a schedule, a sensor or a person launches. A job's assets share one partitions definition."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition  # has no public name

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.assets.compaction import compacted_key
from market_platform.defs.names import asset_path, day_layers
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair

AssetJob = UnresolvedAssetJobDefinition
DAYS, WEEKS, MONTHS, COMPACTION = "days", "weeks", "months", "compaction"
ASSET_JOBS = frozenset({DAYS, WEEKS, MONTHS})


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
