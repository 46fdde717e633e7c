"""Statistics of the lake per symbol, and the check that no partition was left failed."""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Sequence

import dagster as dg

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.checks import NO_PARTITION_FAILED
from market_platform.defs.names import TICKS, asset_path, day_layers, identifier, period_intervals
from market_platform.defs.partition_states import failed_partitions
from market_platform.defs.partitions import Partitions
from market_platform.defs.policies import daily_freshness
from market_platform.defs.resources import WAREHOUSE
from market_platform.domain.pairs import TradingPair

_SHOWN = 50


def lake_statistics_asset(exchange: str, pairs: Sequence[TradingPair], partitions: Partitions) -> dg.AssetsDefinition:
    """Ticks, days, bytes and gaps of each pair of an exchange, made anew every night."""
    key = dg.AssetKey([exchange, "lake_statistics"])

    @dg.asset(
        key=key,
        deps=[
            dg.AssetDep(dg.AssetKey(asset_path(pair, TICKS)), partition_mapping=dg.AllPartitionMapping())
            for pair in pairs
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
        owners=["team:market-data"],
        tags={"exchange": exchange, "layer": "lake_statistics"},
        freshness_policy=daily_freshness(),
        description=(
            f"What the lake holds of each pair of {exchange}: ticks, bytes, days with data, days by condition, and gaps (days "
            "between the first and the last that lack data although the market was open). Read from the manifests alone."
        ),
    )
    def lake_statistics(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows the bare class only
        from market_platform.warehouse.lake_days import lake_statistics

        with context.resources.warehouse.connect() as connection:
            rows = [each for each in lake_statistics(connection) if each.exchange == exchange]
        records = [
            dg.TableRecord(
                {
                    "symbol": each.symbol,
                    "ticks": each.rows,
                    "days": each.days,
                    "bytes": each.bytes,
                    "bytes_per_tick": round(each.bytes / each.rows, 2) if each.rows else 0.0,
                    "gaps": each.gaps,
                    "first": each.first_time.isoformat() if each.first_time else "",
                    "last": each.last_time.isoformat() if each.last_time else "",
                    "conditions": ", ".join(f"{count} {name}" for name, count in sorted(each.conditions.items())),
                }
            )
            for each in rows
        ]
        metadata: dict[str, dg.MetadataValue] = {
            "pairs": dg.MetadataValue.int(len(rows)),
            "ticks": dg.MetadataValue.int(sum(each.rows for each in rows)),
            "days": dg.MetadataValue.int(sum(each.days for each in rows)),
            "bytes": dg.MetadataValue.int(sum(each.bytes for each in rows)),
            "gaps": dg.MetadataValue.int(sum(each.gaps for each in rows)),
        }
        if records:
            metadata["symbols"] = dg.MetadataValue.table(records)
        return dg.MaterializeResult(metadata=metadata, check_results=[_failed_check(context, pairs, partitions)])

    return lake_statistics


def _failed_check(
    context: dg.AssetExecutionContext, pairs: Sequence[TradingPair], partitions: Partitions
) -> dg.AssetCheckResult:
    failed: list[tuple[str, str]] = []
    for pair in pairs:
        keys: list[tuple[dg.AssetKey, dg.TimeWindowPartitionsDefinition]] = [
            *((dg.AssetKey(asset_path(pair, layer)), partitions.days) for layer in day_layers(pair)),
            *((candle_key(pair, each), partitions.of_period(each)) for each in period_intervals(pair)),
        ]
        for key, definition in keys:
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
