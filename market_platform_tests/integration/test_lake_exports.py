"""Exports in the lake: partitions that tools read as such, made again only where their data changed; as assets, too."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pytest

from market_platform.defs.assets.exports import ExportKind, export_asset
from market_platform.defs.partitions import Partitions
from market_platform.defs.policies import Policies
from market_platform.defs.resources import resources
from market_platform.domain.conditions import Condition
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.exports.lake_exports import export_partition
from market_platform.pipeline.exports.lake_layout import folder_name, sidecar_key
from market_platform.pipeline.exports.request import Dataset, ExportState, Numbers, Span
from market_platform.pipeline.exports.verify import verify_export
from market_platform.pipeline.platform import Platform
from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform_tests.fixtures.export_commands import lake_platform
from market_platform_tests.fixtures.export_world import CONFIG, FIRST, OPEN, SECOND, make_market, store_minutes
from market_platform_tests.fixtures.stored_candles import store

MARCH, APRIL = date(2024, 3, 1), date(2024, 4, 1)


@pytest.fixture
def platform(warehouse: Warehouse, database_url: str, tmp_path: Path) -> Platform:
    make_market(warehouse)
    return lake_platform(warehouse, database_url, tmp_path)


@pytest.fixture
def pairs() -> list[TradingPair]:
    return parse_starlistings(CONFIG).pairs()


def root(platform: Platform) -> Path:
    return Path(platform.lake.url.removeprefix("file://"))


def test_a_day_is_a_partition_that_tools_read_as_one(platform: Platform, pairs: list[TradingPair]) -> None:
    for day in (FIRST, SECOND):
        export_partition(platform, Dataset.MERGED, pairs, day, "day")
    folder = root(platform) / "exports" / "merged"
    rows = pl.scan_parquet(folder / "**/*.parquet", hive_partitioning=True).filter(pl.col("interval") == "1m").collect()
    assert rows.group_by("date").len().sort("date").rows() == [(FIRST, 5), (SECOND, 5)]
    assert rows["open"][0] == Decimal(OPEN)
    assert set(rows["symbol"]) == {"BTCUSDT.P"}
    found = duckdb.sql(
        f"SELECT count(*) FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true) "
        f"WHERE date = '{SECOND}' AND interval = '1m'"
    )
    assert found is not None
    assert found.fetchall() == [(5,)]
    assert pd.read_parquet(folder)["open"].count() == pads.dataset(folder, partitioning="hive").count_rows() == 10


def test_what_may_not_be_passed_on_is_left_out_and_named(platform: Platform, pairs: list[TradingPair]) -> None:
    made = export_partition(platform, Dataset.CANDLES, pairs, FIRST, "day")
    assert made.left_out == ("oanda/EURUSD",)
    assert not [each for each in made.files if "EURUSD" in each.key]


def test_a_second_time_nothing_is_written_until_a_day_changes(
    platform: Platform, pairs: list[TradingPair], warehouse: Warehouse
) -> None:
    first = export_partition(platform, Dataset.CANDLES, pairs, FIRST, "day")
    before = {each.key: platform.lake.info(each.key).last_modified for each in first.files}
    again = export_partition(platform, Dataset.CANDLES, pairs, FIRST, "day")
    assert (again.data_version, [each.changed for each in again.files]) == (first.data_version, [False])
    assert {each.key: platform.lake.info(each.key).last_modified for each in again.files} == before
    pair = make_market(warehouse)  # the same rows: nothing changes
    assert export_partition(platform, Dataset.CANDLES, pairs, FIRST, "day").data_version == first.data_version
    store_minutes(warehouse, pair, FIRST, 0, 4)
    changed = export_partition(platform, Dataset.CANDLES, pairs, FIRST, "day")
    assert changed.data_version != first.data_version
    assert [(each.rows, each.changed) for each in changed.files] == [(4, True)]


@pytest.mark.parametrize("damage", ["file", "json", "file lost", "json lost"])
def test_what_a_killed_run_left_is_mended_by_the_next(
    platform: Platform, pairs: list[TradingPair], damage: str
) -> None:
    [made, *_] = export_partition(platform, Dataset.CANDLES, pairs, FIRST, "day").files
    key = made.key if damage.startswith("file") else sidecar_key(made.key)
    if damage.endswith("lost"):
        platform.lake.delete(key)
    else:
        platform.lake.replace(key, b"another day's")
    [mended, *_] = export_partition(platform, Dataset.CANDLES, pairs, FIRST, "day").files
    assert (mended.changed, mended.sha256) == (True, made.sha256)
    assert verify_export(root(platform) / sidecar_key(made.key)).differences == ()


def test_known_days_without_rows_are_files_that_say_so(
    platform: Platform, pairs: list[TradingPair], warehouse: Warehouse
) -> None:
    pair = make_market(warehouse)
    store_minutes(warehouse, pair, date(2024, 5, 5), 0, 0, Condition.MISSING)
    made = export_partition(platform, Dataset.CANDLES, pairs, date(2024, 5, 5), "day")
    assert [(each.rows, each.state) for each in made.files] == [(0, ExportState.EMPTY)]
    assert b"no candles in this span" in platform.lake.get(sidecar_key(made.files[0].key))
    assert made.unknown == 2


def test_what_was_never_materialised_has_no_file(platform: Platform, pairs: list[TradingPair]) -> None:
    made = export_partition(platform, Dataset.FUNDING, pairs, date(2024, 5, 5), "day")
    assert (made.files, made.unknown) == ((), 1)


@pytest.mark.parametrize("start", [MARCH, APRIL])
def test_a_month_has_intervals_longer_than_a_day(
    platform: Platform, pairs: list[TradingPair], warehouse: Warehouse, start: date
) -> None:
    pair = make_market(warehouse)
    store(warehouse, pair, "1M", start, [(datetime.combine(start, time(), UTC), OPEN, "43300", "43100", "43200", "1")])
    made = export_partition(platform, Dataset.CANDLES, pairs, start, "month")
    assert made.folder == f"exports/candles_monthly/month={start:%Y-%m}"
    names = [each.key.split("interval=")[1].split("/")[0] for each in made.files]
    assert (names, made.rows) == (["1m", "1M"], 6)
    assert "1M" not in str(export_partition(platform, Dataset.CANDLES, pairs, start, "day").files)


@pytest.mark.parametrize(
    ("span", "numbers", "folder"),
    [
        ("day", "float64", "exports/oi_float64/date=2024-03-01"),
        ("month", "decimal", "exports/oi_monthly/month=2024-03"),
    ],
)
def test_variants_have_folders_of_their_own(span: Span, numbers: Numbers, folder: str) -> None:
    assert folder_name(Dataset.OPEN_INTEREST, MARCH, span, numbers) == folder


def test_the_asset_says_what_it_wrote(platform: Platform, pairs: list[TradingPair], database_url: str) -> None:
    asset = export_asset(
        ExportKind("merged", "day", "realtime"), pairs, Partitions.standard(), Policies.standard(31, retry_delay_s=0)
    )

    def open_platform() -> Platform:
        return Platform(lake=platform.lake, warehouse=create_warehouse(database_url), open_source=platform.open_source)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset],
            instance=instance,
            resources=resources(open_platform, lambda: create_warehouse(database_url)),
            tags={
                "dagster/asset_partition_range_start": FIRST.isoformat(),
                "dagster/asset_partition_range_end": SECOND.isoformat(),
            },
        )
        events = instance.fetch_materializations(dg.AssetKey(["exports", "merged"]), limit=10).records
        told = {
            str(each.partition_key): each.asset_materialization.metadata
            for each in events
            if each.asset_materialization
        }
    assert result.success
    assert {day: metadata["rows"].value for day, metadata in told.items()} == {"2024-03-31": 5, "2024-04-01": 5}
    assert told["2024-03-31"]["left_out_private"].value == "oanda/EURUSD"
