"""Data sets for models as assets: one a data set, a partition a day or a month, all pairs of a database that may be passed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.assets.history import history_candle_key
from market_platform.defs.assets.layers import OWNERS, Results, Step
from market_platform.defs.assets.results import Made, layer_result
from market_platform.defs.failures import typed_failures
from market_platform.defs.metadata import Metadata
from market_platform.defs.names import (
    FUNDING,
    HISTORY_LAYERS,
    OPEN_INTEREST,
    TRAINING,
    asset_path,
    day_intervals,
    has_context,
    has_history,
    history_day_layers,
    identifier,
    is_streamed,
)
from market_platform.defs.partitions import Partitions, partition_dates
from market_platform.defs.policies import Policies, daily_freshness, monthly_freshness
from market_platform.defs.resources import PLATFORM, TRAINING_PLATFORM
from market_platform.domain.databases import Database
from market_platform.domain.history import SeriesKind
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.exports.request import EXPORT_VERSION, Numbers, Span

if TYPE_CHECKING:
    from market_platform.pipeline.exports.lake_exports import PartitionExport
    from market_platform.pipeline.platform import Platform

DATASETS = {
    "candles": "Closed candles, exact",
    "funding": "Funding rates with mark, index and other prices, the last reading of each minute",
    "oi": "Open interest with the day's volumes, the last reading of each minute",
    "merged": "Candles with the funding and open interest of exactly their minute; NULL where there is none",
    "features": "The stored features of each candle, of the newest version",
}
"""Each data set, and what a person should know of it."""
_SHOWN_FILES = 20


class ExportConfig(dg.Config):
    """How numbers are written: exact decimals, or rounded to the nearest double (into a folder of their own)."""

    numbers: str = "decimal"


@dataclass(frozen=True)
class ExportKind:
    """A data set's days or months in one database."""

    dataset: str
    span: Span
    database: Database

    @property
    def is_nightly(self) -> bool:
        """Whether a schedule makes it; features are exported when somebody asks, once they are made."""
        return self.dataset != "features"

    @property
    def key(self) -> dg.AssetKey:
        """`exports/merged`, `exports/merged_monthly`, `training/exports/merged`."""
        name = self.dataset if self.span == "day" else f"{self.dataset}_monthly"
        return dg.AssetKey([*((TRAINING,) if self.database == TRAINING else ()), "exports", name])


def export_asset(
    kind: ExportKind, pairs: Sequence[TradingPair], partitions: Partitions, policies: Policies
) -> dg.AssetsDefinition:
    """The files of a data set, a partition a day or a month, any number of them a run."""
    resource = TRAINING_PLATFORM if kind.database == TRAINING else PLATFORM
    folder = "date=YYYY-MM-DD" if kind.span == "day" else "month=YYYY-MM"
    root = f"exports/{kind.key.path[-1]}/{folder}"
    freshness = daily_freshness() if kind.span == "day" else monthly_freshness()
    spec = dg.AssetSpec(
        key=kind.key,
        deps=list(_sources(kind, pairs)),
        partitions_def=partitions.days if kind.span == "day" else partitions.months,
        freshness_policy=freshness if kind.is_nightly else None,
        code_version=EXPORT_VERSION,
        group_name=identifier(*kind.key.path[:-1]),
        kinds={"parquet"},
        owners=OWNERS,
        tags={"layer": "exports", "dataset": kind.dataset},
        description=(
            f"{DATASETS[kind.dataset]}, of every pair of the {kind.database} database that may be passed on, for models: a "
            f"Parquet file a pair (and interval) below `{root}/exchange=…/symbol=…/interval=…/`, which every tool reads "
            "as partitions, so that a team pulls only what is new.\n\nBeside each file a JSON says what is in it, of which "
            "version of each input day, and lets `market-platform export reproduce` make it again. Nothing in a row was "
            "known later than the row's close."
        ),
    )
    work = partial(_materialise, kind=kind, pairs=pairs, resource=resource)
    return Step([spec], work, resource, config=ExportConfig).as_assets(policies)


def _materialise(
    context: dg.AssetExecutionContext, kind: ExportKind, pairs: Sequence[TradingPair], resource: str
) -> Results:
    from market_platform.pipeline.exports.lake_exports import export_partition
    from market_platform.pipeline.exports.lake_layout import dataset_folder
    from market_platform.pipeline.exports.lake_prune import private_notice
    from market_platform.pipeline.exports.request import Dataset

    platform: Platform = getattr(context.resources, resource)
    numbers = ExportConfig(**context.op_execution_context.op_config).numbers
    if numbers not in ("decimal", "float64"):
        raise dg.Failure(f"numbers {numbers!r} is not possible; use decimal or float64", allow_retries=False)
    chosen: Numbers = "float64" if numbers == "float64" else "decimal"
    made: list[Made] = []
    with typed_failures("/".join(kind.key.path)):
        folder = dataset_folder(Dataset(kind.dataset), kind.span, chosen)
        notice = private_notice(platform.warehouse, platform.lake, folder)
        if notice:
            context.log.warning(notice)
        for start in partition_dates(context):
            done = export_partition(
                platform,
                Dataset(kind.dataset),
                pairs,
                start,
                kind.span,
                numbers=chosen,
                database=kind.database,
            )
            made.append(Made(start, _metadata(done, notice), done.data_version))
            context.log.info(f"{done.folder}: {done.rows:,} rows in {len(done.files)} files")
    yield layer_result(context, kind.key, made)


def _metadata(done: PartitionExport, private_files: str | None) -> Metadata:
    """What a person sees of a partition."""
    changed = sum(each.changed for each in done.files)
    largest = sorted(done.files, key=lambda each: -each.rows)[:_SHOWN_FILES]
    listed = [f"{each.key} ({each.rows:,})" for each in largest]
    metadata: Metadata = {
        "dagster/partition_row_count": dg.MetadataValue.int(done.rows),
        "rows": dg.MetadataValue.int(done.rows),
        "bytes": dg.MetadataValue.int(done.bytes),
        "files": dg.MetadataValue.int(len(done.files)),
        "files_changed": dg.MetadataValue.int(changed),
        "files_empty": dg.MetadataValue.int(sum(not each.rows for each in done.files)),
        "never_materialised": dg.MetadataValue.int(done.unknown),
        "folder": dg.MetadataValue.path(done.folder),
        "data_version": dg.MetadataValue.text(done.data_version),
        "code_version": dg.MetadataValue.text(EXPORT_VERSION),
        "largest_first": dg.MetadataValue.text("\n".join(listed) or "none"),
    }
    if done.left_out:
        metadata["left_out_private"] = dg.MetadataValue.text(", ".join(done.left_out))
    if private_files:
        metadata["private_files"] = dg.MetadataValue.text(private_files)
    return metadata


def _sources(kind: ExportKind, pairs: Sequence[TradingPair]) -> Iterator[dg.AssetDep]:
    """What is exported: the shortest candles of each pair (longer ones come with them), its funding and open interest.

    Months name their days, which name the rest: a graph of hundreds of pairs stays readable, and quick to load.
    """
    if kind.span == "month":
        yield dg.AssetDep(ExportKind(kind.dataset, "day", kind.database).key)
        return
    mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    for key in dict.fromkeys(key for pair in pairs for key in _source_keys(kind, pair)):
        yield dg.AssetDep(key, partition_mapping=mapping)


def _source_keys(kind: ExportKind, pair: TradingPair) -> Iterator[dg.AssetKey]:
    fetched, shortest = history_day_layers(pair), day_intervals(pair)[:1]
    if kind.dataset in ("candles", "merged"):
        for interval in shortest:
            if has_history(pair) or is_streamed(pair):
                yield candle_key(pair, interval)
            if history_candle_key(pair, interval).path[-1] in fetched:
                yield history_candle_key(pair, interval)
    if not has_context(pair):
        return
    for dataset, layer, series in (
        ("funding", FUNDING, SeriesKind.FUNDING),
        ("oi", OPEN_INTEREST, SeriesKind.OPEN_INTEREST),
    ):
        if kind.dataset in (dataset, "merged"):
            if is_streamed(pair):
                yield dg.AssetKey(asset_path(pair, layer))
            if HISTORY_LAYERS[series] in fetched:
                yield dg.AssetKey(asset_path(pair, HISTORY_LAYERS[series]))
