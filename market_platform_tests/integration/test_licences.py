"""Data that may not be passed on: none of it gets into the lake's exports, and a changed licence counts from the sync on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from market_platform.defs.assets.exports import DATASETS, ExportKind, export_asset
from market_platform.defs.partitions import Partitions, range_tags
from market_platform.defs.policies import Policies
from market_platform.defs.resources import resources
from market_platform.domain.conditions import Condition
from market_platform.domain.pairs import TradingPair
from market_platform.domain.ranks import CandleRank
from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.lake_exports import export_partition
from market_platform.pipeline.exports.request import Dataset, Numbers, Span
from market_platform.pipeline.platform import Platform
from market_platform.settings import get_settings
from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.reference import load_pair
from market_platform_tests.fixtures.export_commands import Run, command_line, lake_platform
from market_platform_tests.fixtures.export_world import CONFIG, FIRST, MINUTES, SECOND, make_market
from market_platform_tests.fixtures.stored_candles import frame

ALL_PRIVATE = CONFIG.replace("licence: public", "licence: private")
MARCH = FIRST.replace(day=1)
SPANS: tuple[Span, ...] = ("day", "month")
NUMBERS: tuple[Numbers, ...] = ("decimal", "float64")


@pytest.fixture
def platform(warehouse: Warehouse, database_url: str, tmp_path: Path) -> Platform:
    """A market with rows of a public and of a private pair, and an empty lake."""
    make_market(warehouse)
    with warehouse.begin() as conn:
        pair = load_pair(conn, "oanda", "EURUSD")
        rows = frame([(each, "1.1", "1.2", "1.0", "1.15", "5") for each in MINUTES[:5]])
        write = CandleWrite(pair.starlistings["1m"], FIRST, rows, Condition.AVAILABLE, CandleRank.EXCHANGE)
        write_candle_days(conn, [write], run_id="test", code_version="1")
    return lake_platform(warehouse, database_url, tmp_path)


@pytest.fixture
def run(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    yield command_line(database_url, tmp_path, monkeypatch, capsys)
    get_settings.cache_clear()


def pairs_of(config: str) -> list[TradingPair]:
    return parse_starlistings(config).pairs()


def exported(platform: Platform) -> dict[str, bytes]:
    """Everything below the lake's exports."""
    root = Path(platform.lake.url.removeprefix("file://"))
    return {str(each.relative_to(root)): each.read_bytes() for each in root.rglob("*") if each.is_file()}


def export_everything(platform: Platform, config: str) -> set[str]:
    """Every data set, span and kind of numbers there is; the pairs that were left out."""
    return {
        name
        for dataset in Dataset
        for span in SPANS
        for numbers in NUMBERS
        for name in export_partition(
            platform, dataset, pairs_of(config), FIRST if span == "day" else MARCH, span, numbers=numbers
        ).left_out
    }


def names_private(content: bytes) -> bool:
    return b"oanda" in content.lower() or b"EURUSD" in content


def test_nothing_private_reaches_the_lake_s_exports(platform: Platform) -> None:
    assert export_everything(platform, CONFIG) == {"oanda/EURUSD"}
    found = exported(platform)
    assert [key for key in found if key.endswith(".parquet") and "/candles/" in key], "the public pair is there"
    assert all(key.startswith("exports/") for key in found)
    assert not [key for key, content in found.items() if names_private(key.encode()) or names_private(content)]


def test_nothing_at_all_is_written_where_everything_is_private(platform: Platform) -> None:
    assert export_everything(platform, ALL_PRIVATE) == {"oanda/EURUSD", "binance/BTCUSDT.P"}
    assert exported(platform) == {}


@pytest.mark.parametrize("dataset", [each for each in DATASETS if each != "features"])
def test_assets_leave_private_pairs_out(platform: Platform, database_url: str, dataset: str) -> None:
    asset = export_asset(
        ExportKind(dataset, "day", "realtime"),
        pairs_of(CONFIG),
        Partitions.standard(),
        Policies.standard(31, retry_delay_s=0),
    )

    def open_platform() -> Platform:
        return Platform(lake=platform.lake, warehouse=create_warehouse(database_url), open_source=platform.open_source)

    result = dg.materialize(
        [asset],
        resources=resources(open_platform, lambda: create_warehouse(database_url)),
        tags=range_tags(FIRST, SECOND),
    )
    assert result.success
    found = exported(platform)
    assert found
    assert not [key for key, content in found.items() if names_private(key.encode()) or names_private(content)]


def test_a_licence_that_the_database_knows_counts_more_than_an_old_configuration(platform: Platform) -> None:
    """Definitions are loaded once; a sync after that must not need a restart to protect data."""
    told_public = pairs_of(CONFIG.replace("licence: private", "licence: public"))
    with pytest.raises(ExportError, match="oanda/EURUSD is licensed as private"):
        export_partition(platform, Dataset.CANDLES, told_public, FIRST, "day")
    found = exported(platform)
    assert found, "the others are written"
    assert not [key for key in found if names_private(key.encode())]


@pytest.mark.usefixtures("platform")
def test_a_changed_licence_is_synced_and_exports_follow_at_once(run: Run, tmp_path: Path, platform: Platform) -> None:
    public, private = tmp_path / "public.yaml", tmp_path / "private.yaml"
    public.write_text(CONFIG)
    private.write_text(ALL_PRIVATE)
    span = ("--start-time", "2024-03-31", "--end-time", "2024-04-02")
    candles = ("export", "candles", "--coin", "BTC", "--quote", "USDT", "--intervals", "1m", *span)
    assert run(*candles, "-o", "before.parquet")[0] == 0

    code, told, _ = run("config", "sync", "--file", str(private), "--dry-run")
    assert code == 0
    assert "licence" in told
    assert run(*candles, "-o", "dry.parquet")[0] == 0, "a dry run changes nothing"

    assert run("config", "sync", "--file", str(private))[0] == 0
    code, _, error = run(*candles, "-o", "after.parquet")
    assert code != 0
    assert "binance/BTCUSDT.P is licensed as private" in error
    assert not Path("after.parquet").exists()
    code, _, error = run("export", "reproduce", "before.parquet.json")
    assert code != 0, "nor is it made again from what was written before"
    assert "private" in error
    with pytest.raises(ExportError, match="licensed as private"):
        export_partition(platform, Dataset.CANDLES, pairs_of(CONFIG), FIRST, "day")
    assert exported(platform) == {}

    assert run("config", "sync", "--file", str(public))[0] == 0
    assert run(*candles, "-o", "again.parquet")[0] == 0
