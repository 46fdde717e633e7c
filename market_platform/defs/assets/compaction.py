"""A streamed day's ticks as one verified file: the parts of the day → sorted, each trade once, committed in `lake_days`."""

from __future__ import annotations

from functools import partial

import dagster as dg

from market_platform.defs.assets.layers import Results, Step, layer_key, layer_spec
from market_platform.defs.assets.live import stream_key
from market_platform.defs.assets.results import Made, layer_result
from market_platform.defs.failures import typed_failures
from market_platform.defs.metadata import compaction_metadata
from market_platform.defs.names import COMPACTION_POOL, TICKS, tick_kind
from market_platform.defs.partitions import Partitions, partition_dates
from market_platform.defs.policies import Policies, daily_freshness
from market_platform.defs.resources import PLATFORM
from market_platform.defs.table_schemas import tick_schema, trade_schema
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import COMPACTION_VERSION


def compacted_key(pair: TradingPair) -> dg.AssetKey:
    """Key of a streamed pair's day files: `binance/BTCUSDT/trades`, `oanda/EURUSD/ticks`."""
    return layer_key(pair, tick_kind(pair.exchange))


def compaction_asset(pair: TradingPair, partitions: Partitions, policies: Policies) -> dg.AssetsDefinition:
    """The day files of a streamed pair, a partition a day, any number of days a run."""
    kind = tick_kind(pair.exchange)
    schema = tick_schema if kind == TICKS else trade_schema
    spec = layer_spec(
        pair,
        kind,
        partitions.streamed_days,
        deps=[stream_key(pair)],
        storage="parquet",
        schema=schema(pair.coin, pair.quote),
        freshness=daily_freshness(),
        code_version=COMPACTION_VERSION,
        description=(
            f"The {kind} of {pair.trading_pair} that {pair.exchange} streamed on the day: sorted, each once, one Parquet file, named by its "
            "content.\n\nMade of the parts that the streamer wrote. Rows and hash are proven against the parts, the row of "
            "`lake_days` switches to the file, and only then do the parts go. A part that comes later, from a repair, is merged "
            "when the day is materialised again."
        ),
    )
    work = partial(_materialise, pair=pair, kind=kind)
    return Step([spec], work, PLATFORM, pool=COMPACTION_POOL).as_assets(policies)


def _materialise(context: dg.AssetExecutionContext, pair: TradingPair, kind: str) -> Results:
    from market_platform.pipeline.compaction import compact_day
    from market_platform.pipeline.platform import Provenance
    from market_platform.warehouse.reference import load_pair

    platform = context.resources.platform
    provenance = Provenance(context.run.run_id, COMPACTION_VERSION)
    made: list[Made] = []
    with typed_failures(f"{pair.name} {kind}"):
        with platform.warehouse.connect() as connection:
            row = load_pair(connection, pair.exchange, pair.symbol)
        for day in partition_dates(context):
            report = compact_day(platform, row, day, kind, provenance)
            context.log.info(f"{pair.name} {day}: {report.rows:,} {kind} of {report.parts:,} parts")
            made.append(Made(day, compaction_metadata(report, COMPACTION_VERSION), report.content_hash))
    yield layer_result(context, compacted_key(pair), made)
