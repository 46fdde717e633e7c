"""Statistics of the lake per symbol, of quotes and of trades, and the check that no partition was left failed."""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.assets.compaction import compacted_key
from market_platform.defs.assets.history import history_candle_key, history_series_key
from market_platform.defs.assets.layers import OWNERS, layer_key
from market_platform.defs.assets.proof import has_proof, proof_key
from market_platform.defs.check_specs import NO_PARTITION_FAILED
from market_platform.defs.metadata import Metadata
from market_platform.defs.names import (
    TICKS,
    TRADES,
    day_layers,
    has_history,
    history_day_layers,
    history_period_intervals,
    history_series,
    identifier,
    is_streamed,
    period_intervals,
)
from market_platform.defs.partition_states import failed_partitions
from market_platform.defs.partitions import Partitions
from market_platform.defs.policies import daily_freshness
from market_platform.defs.resources import WAREHOUSE
from market_platform.domain.history import SeriesKind
from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from market_platform.warehouse.lake_days import LakeStatistics

_SHOWN = 50
_Partitioned = tuple[dg.AssetKey, dg.TimeWindowPartitionsDefinition]


def is_in_lake(pair: TradingPair) -> bool:
    """Whether the lake has days of the pair: ticks that are fetched, or quotes or trades that are streamed."""
    return has_history(pair) or is_streamed(pair)


def lake_statistics_asset(exchange: str, pairs: Sequence[TradingPair], partitions: Partitions) -> dg.AssetsDefinition:
    """Ticks or trades, days, bytes and gaps of each pair of an exchange, made anew every night."""
    key = dg.AssetKey([exchange, "lake_statistics"])

    @dg.asset(
        key=key,
        deps=[
            dg.AssetDep(layer, partition_mapping=dg.AllPartitionMapping())
            for pair in pairs
            for layer in _lake_layers(pair)
        ],
        check_specs=[
            dg.AssetCheckSpec(
                NO_PARTITION_FAILED,
                asset=key,
                description="No partition of any pair is left failed. Names those that are, whoever asked for them.",
            )
        ],
        required_resource_keys={WAREHOUSE},
        group_name=identifier(exchange),
        kinds={"postgres"},
        owners=OWNERS,
        tags={"exchange": exchange, "layer": "lake_statistics"},
        freshness_policy=daily_freshness(),
        description=(
            f"What the lake holds of each pair of {exchange}: ticks (quotes) or trades, bytes, days with data, days by condition, "
            "and gaps (days between the first and the last that lack data although the market was open). Read from the "
            "manifests alone."
        ),
    )
    def lake_statistics(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows the bare class only
        from market_platform.warehouse.lake_days import lake_statistics

        with context.resources.warehouse.connect() as connection:
            rows = [each for each in lake_statistics(connection) if each.exchange == exchange]
        return dg.MaterializeResult(metadata=_metadata(rows), check_results=[_failed_check(context, pairs, partitions)])

    return lake_statistics


def _lake_layers(pair: TradingPair) -> Iterator[dg.AssetKey]:
    """What makes the pair's day files."""
    if has_history(pair):
        yield layer_key(pair, TICKS)
    if is_streamed(pair):
        yield compacted_key(pair)
    if SeriesKind.TRADES in history_series(pair):
        yield history_series_key(pair, SeriesKind.TRADES)


def _metadata(rows: Sequence["LakeStatistics"]) -> Metadata:
    metadata: dict[str, dg.MetadataValue] = {
        "pairs": dg.MetadataValue.int(len({each.symbol for each in rows})),
        "ticks": dg.MetadataValue.int(sum(each.rows for each in rows if each.kind == TICKS)),
        "trades": dg.MetadataValue.int(sum(each.rows for each in rows if each.kind == TRADES)),
        "days": dg.MetadataValue.int(sum(each.days for each in rows)),
        "bytes": dg.MetadataValue.int(sum(each.bytes for each in rows)),
        "gaps": dg.MetadataValue.int(sum(each.gaps for each in rows)),
    }
    if rows:
        metadata["symbols"] = dg.MetadataValue.table([_record(each) for each in rows])
    return metadata


def _record(row: "LakeStatistics") -> dg.TableRecord:
    return dg.TableRecord(
        {
            "symbol": row.symbol,
            "kind": row.kind,
            "rows": row.rows,
            "days": row.days,
            "bytes": row.bytes,
            "bytes_per_row": round(row.bytes / row.rows, 2) if row.rows else 0.0,
            "gaps": row.gaps,
            "first": row.first_time.isoformat() if row.first_time else "",
            "last": row.last_time.isoformat() if row.last_time else "",
            "conditions": ", ".join(f"{count} {name}" for name, count in sorted(row.conditions.items())),
        }
    )


def _partitioned_layers(pair: TradingPair, partitions: Partitions) -> Iterator[_Partitioned]:
    """Every layer of the pair that a run can leave failed, with its partitions."""
    if has_history(pair):
        yield from ((layer_key(pair, layer), partitions.days) for layer in day_layers(pair))
        yield from ((candle_key(pair, each), partitions.of_period(each)) for each in period_intervals(pair))
    if is_streamed(pair):
        yield compacted_key(pair), partitions.streamed_days
        if has_proof(pair):
            yield proof_key(pair), partitions.streamed_days
    yield from ((layer_key(pair, layer), partitions.days) for layer in history_day_layers(pair))
    yield from ((history_candle_key(pair, each), partitions.of_period(each)) for each in history_period_intervals(pair))


def _failed_check(
    context: dg.AssetExecutionContext, pairs: Sequence[TradingPair], partitions: Partitions
) -> dg.AssetCheckResult:
    failed: list[tuple[str, str]] = []
    for pair in pairs:
        for key, definition in _partitioned_layers(pair, partitions):
            failed += [(key.to_user_string(), name) for name in failed_partitions(context.instance, key, definition)]
    metadata: dict[str, dg.MetadataValue] = {"failed_partitions": dg.MetadataValue.int(len(failed))}
    if failed:
        metadata["failed"] = dg.MetadataValue.table(
            [dg.TableRecord({"asset": asset, "partition": name}) for asset, name in failed[:_SHOWN]]
        )
    return dg.AssetCheckResult(
        check_name=NO_PARTITION_FAILED,
        passed=not failed,
        description=f"{len(failed)} partitions are left failed" if failed else "no partition is left failed",
        metadata=metadata,
    )
