"""A streamed day's ticks as one verified file: the parts of the day → sorted, each trade once, committed in `lake_days`."""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.live import stream_key
from market_platform.defs.failures import typed_failures
from market_platform.defs.metadata import compaction_metadata
from market_platform.defs.names import COMPACTION_POOL, TICKS, asset_path, group_name, tick_kind
from market_platform.defs.partitions import Partitions, partition_dates
from market_platform.defs.policies import Policies, daily_freshness
from market_platform.defs.resources import PLATFORM
from market_platform.defs.table_schemas import tick_schema, trade_schema
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import COMPACTION_VERSION

if TYPE_CHECKING:
    from market_platform.pipeline.reports import CompactionReport


def compacted_key(pair: TradingPair) -> dg.AssetKey:
    """Key of a streamed pair's day files: `binance/BTCUSDT/trades`, `oanda/EURUSD/ticks`."""
    return dg.AssetKey(asset_path(pair, tick_kind(pair.exchange)))


def compaction_asset(pair: TradingPair, partitions: Partitions, policies: Policies) -> dg.AssetsDefinition:
    """The day files of a streamed pair, a partition a day, any number of days a run."""
    kind = tick_kind(pair.exchange)
    schema = tick_schema if kind == TICKS else trade_schema

    @dg.asset(
        key=compacted_key(pair),
        deps=[stream_key(pair)],
        partitions_def=partitions.streamed_days,
        backfill_policy=policies.backfill,
        retry_policy=policies.retry,
        freshness_policy=daily_freshness(),
        required_resource_keys={PLATFORM},
        pool=COMPACTION_POOL,
        code_version=COMPACTION_VERSION,
        group_name=group_name(pair),
        kinds={"parquet"},
        owners=["team:market-data"],
        tags={"exchange": pair.exchange, "symbol": pair.symbol, "layer": kind},
        metadata={"dagster/column_schema": schema(pair.coin, pair.quote)},
        description=(
            f"The {kind} of {pair.trading_pair} that {pair.exchange} streamed on the day: sorted, each once, one Parquet file, named by its "
            "content.\n\nMade of the parts that the streamer wrote. Rows and hash are proven against the parts, the row of "
            "`lake_days` switches to the file, and only then do the parts go. A part that comes later, from a repair, is merged "
            "when the day is materialised again."
        ),
    )
    def compacted(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows the bare class only
        return _materialise(context, pair, kind)

    return compacted


def _materialise(context: dg.AssetExecutionContext, pair: TradingPair, kind: str) -> dg.MaterializeResult[None]:
    from market_platform.pipeline.compaction import compact_day
    from market_platform.pipeline.platform import Provenance
    from market_platform.warehouse.reference import load_pair

    platform = context.resources.platform
    provenance = Provenance(context.run.run_id, COMPACTION_VERSION)
    reports: list[CompactionReport] = []
    with typed_failures(f"{pair.name} {kind}"):
        with platform.warehouse.connect() as connection:
            row = load_pair(connection, pair.exchange, pair.symbol)
        for day in partition_dates(context):
            report = compact_day(platform, row, day, kind, provenance)
            reports.append(report)
            context.log.info(f"{pair.name} {day}: {report.rows:,} {kind} of {report.parts:,} parts")
            context.add_asset_metadata(
                compaction_metadata(report, COMPACTION_VERSION), partition_key=report.day.isoformat()
            )
    only = reports[0].content_hash or "empty" if len(reports) == 1 else None
    return dg.MaterializeResult(data_version=dg.DataVersion(only) if only else None)
