"""Files in the lake's exports of an exchange that became private: said at the next export, listed and deleted by a command."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from market_platform.defs.assets.exports import ExportKind, export_asset
from market_platform.defs.partitions import Partitions, range_tags
from market_platform.defs.policies import Policies
from market_platform.defs.resources import resources
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.exports.lake_exports import export_partition
from market_platform.pipeline.exports.lake_layout import FILE, dataset_folder, place_of, sidecar_key
from market_platform.pipeline.exports.lake_prune import find_private, private_notice
from market_platform.pipeline.exports.request import Dataset
from market_platform.pipeline.platform import Platform
from market_platform.settings import get_settings
from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.database_role import claim_role
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.fixtures.export_commands import Run, command_line, lake_platform
from market_platform_tests.fixtures.export_world import CONFIG, FIRST, SECOND, make_market
from market_platform_tests.fixtures.two_databases import run_sql

PRIVATE = CONFIG.replace("licence: public", "licence: private")
BOTH_PUBLIC = CONFIG.replace("licence: private", "licence: public")
MERGED = "exports/merged/date=2024-03-31/exchange=binance/symbol=BTCUSDT.P/interval=1m/data.parquet"


@pytest.fixture
def platform(warehouse: Warehouse, database_url: str, tmp_path: Path) -> Platform:
    """Two days of merged rows and one of open interest in the lake, exported while Binance was public."""
    make_market(warehouse)
    made = lake_platform(warehouse, database_url, tmp_path)
    for dataset, day in ((Dataset.MERGED, FIRST), (Dataset.MERGED, SECOND), (Dataset.OPEN_INTEREST, FIRST)):
        assert export_partition(made, dataset, pairs(), day, "day").rows
    return made


@pytest.fixture
def run(
    platform: Platform,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    yield command_line(database_url, tmp_path, monkeypatch, capsys)
    get_settings.cache_clear()


def pairs(config: str = CONFIG) -> list[TradingPair]:
    return parse_starlistings(config).pairs()


def become(platform: Platform, config: str) -> None:
    """As `config sync` does."""
    with platform.warehouse.begin() as conn:
        sync_reference(conn, parse_starlistings(config))


def keys(platform: Platform) -> list[str]:
    """Every file of an export, without the JSON beside it."""
    return [each.key for each in platform.lake.list("exports") if each.key.endswith(f"/{FILE}")]


def test_nothing_is_named_while_everything_there_is_public(run: Run, platform: Platform) -> None:
    before = platform.lake.list()
    assert run("export", "prune") == (0, "the lake's exports have no file of a private exchange\n", "")
    assert run("export", "prune", "--yes")[0] == 0
    assert platform.lake.list() == before


def test_private_files_are_listed_and_go_only_when_told(run: Run, platform: Platform) -> None:
    become(platform, PRIVATE)
    before = platform.lake.list()
    for options in ((), ("--dry-run",)):
        code, told, said = run("export", "prune", *options)
        assert code == 1
        assert told.splitlines() == [
            f"would delete {platform.lake.url}/{key}: binance/BTCUSDT.P is private" for key in keys(platform)
        ]
        assert "nothing was deleted; --yes" in said
        assert platform.lake.list() == before
    code, told, said = run("export", "prune", "--yes")
    assert (code, len(told.splitlines())) == (0, 3)
    assert said.startswith("3 files deleted, ")
    assert platform.lake.list("exports") == []
    assert run("export", "prune")[0] == 0


def test_only_the_pairs_that_are_private_go(run: Run, platform: Platform) -> None:
    become(platform, BOTH_PUBLIC)
    export_partition(platform, Dataset.CANDLES, pairs(BOTH_PUBLIC), FIRST, "day")
    euro = MERGED.replace("binance", "oanda").replace("BTCUSDT.P", "EURUSD")
    document = json.loads(platform.lake.get(sidecar_key(MERGED)))
    document["pair"] |= {"exchange": "oanda", "symbol": "EURUSD"}
    platform.lake.replace(euro, platform.lake.get(MERGED))
    platform.lake.replace(sidecar_key(euro), json.dumps(document).encode())
    before = keys(platform)
    become(platform, CONFIG)
    code, told, _ = run("export", "prune", "--yes")
    assert (code, told) == (0, f"deleted {platform.lake.url}/{euro}: oanda/EURUSD is private\n")
    assert keys(platform) == [key for key in before if key != euro]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("no json", "its JSON is missing"),
        ("not json", "is not the JSON of an export"),
        ("another pair's", "its JSON is of binance/ETHUSDT"),
        ("another file", "it is not the file of its JSON: the sha256 differs"),
    ],
)
def test_a_file_that_does_not_verify_is_named_and_kept(run: Run, platform: Platform, damage: str, said: str) -> None:
    become(platform, PRIVATE)
    beside = sidecar_key(MERGED)
    match damage:
        case "no json":
            platform.lake.delete(beside)
        case "not json":
            platform.lake.replace(beside, b"{}")
        case "another pair's":
            platform.lake.replace(beside, platform.lake.get(beside).replace(b'"BTCUSDT.P"', b'"ETHUSDT"'))
        case "another file":
            platform.lake.replace(MERGED, b"mine")
    code, told, summary = run("export", "prune", "--yes")
    assert code == 1
    [kept] = [line for line in told.splitlines() if line.startswith("kept ")]
    assert kept.startswith(f"kept {platform.lake.url}/{MERGED}: ")
    assert said in kept
    assert summary.startswith("2 files deleted, ")
    assert keys(platform) == [MERGED]


def test_what_nobody_can_judge_is_named_and_kept(run: Run, platform: Platform) -> None:
    unknown = MERGED.replace("BTCUSDT.P", "GONE")
    for key in (unknown, "exports/notes.txt"):
        platform.lake.replace(key, b"mine")
    platform.lake.delete(sidecar_key(MERGED))
    code, told, _ = run("export", "prune", "--yes")
    assert code == 1
    assert sorted(told.splitlines()) == sorted(
        f"kept {platform.lake.url}/{key}: {why}"
        for key, why in (
            ("exports/notes.txt", "it is no file of an export"),
            (MERGED, "its JSON is missing"),
            (unknown, "the database does not know binance/GONE"),
        )
    )
    assert platform.lake.get(MERGED)


def test_a_json_that_a_killed_prune_left_goes(run: Run, platform: Platform) -> None:
    become(platform, PRIVATE)
    platform.lake.delete(MERGED)
    code, told, _ = run("export", "prune", "--yes")
    assert code == 0
    assert f"deleted {platform.lake.url}/{sidecar_key(MERGED)}: " in told
    assert platform.lake.list("exports") == []


def test_a_folder_says_what_lies_there_of_exchanges_that_became_private(platform: Platform) -> None:
    merged, interest = (dataset_folder(each, "day") for each in (Dataset.MERGED, Dataset.OPEN_INTEREST))
    assert private_notice(platform.warehouse, platform.lake, merged) is None
    become(platform, PRIVATE)
    notice = private_notice(platform.warehouse, platform.lake, merged)
    assert notice is not None
    assert "exports/merged still has 2 files of binance" in notice
    assert "market-platform export prune" in notice
    assert len(find_private(platform.warehouse, platform.lake, interest)) == 1
    assert private_notice(platform.warehouse, platform.lake, dataset_folder(Dataset.CANDLES, "day")) is None


def test_the_export_step_warns_of_files_that_became_private(platform: Platform, database_url: str) -> None:
    become(platform, PRIVATE)
    asset = export_asset(
        ExportKind("merged", "day", "realtime"),
        pairs(PRIVATE),
        Partitions.standard(),
        Policies.standard(31, retry_delay_s=0),
    )

    def open_platform() -> Platform:
        return replace(platform, warehouse=create_warehouse(database_url))

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset],
            instance=instance,
            resources=resources(open_platform, lambda: create_warehouse(database_url)),
            tags=range_tags(FIRST, SECOND),
        )
        warnings = [each.user_message for each in instance.all_logs(result.run_id) if each.level == logging.WARNING]
    assert result.success
    assert len([each for each in warnings if "exports/merged still has 2 files of binance" in each]) == 1
    told = [each.metadata["private_files"].value for each in result.asset_materializations_for_node("exports__merged")]
    assert len(told) == 2
    assert all("2 files of binance" in str(each) for each in told)


def test_the_lake_of_a_training_database_is_pruned_by_its_own_licences(
    run: Run, platform: Platform, make_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database()
    monkeypatch.setenv("TRAINING_DATABASE_URL", url)
    training = create_warehouse(url)
    with training.begin() as conn:
        claim_role(conn, "training")
        sync_reference(conn, parse_starlistings(PRIVATE), database="training", shared=False)
    training.close()
    shutil.copytree(tmp_path / "lake" / "exports", tmp_path / "lake" / "training" / "exports")
    code, told, _ = run("export", "prune", "--yes")
    assert (code, len(told.splitlines())) == (0, 3)
    assert all(line.startswith(f"deleted {platform.lake.url}/training/exports/") for line in told.splitlines())
    assert len(keys(platform)) == 3


def test_a_database_that_is_the_other_one_decides_nothing(run: Run, platform: Platform, database_url: str) -> None:
    run_sql(database_url, "UPDATE database_role SET role = 'training'")
    code, told, said = run("export", "prune", "--yes")
    assert (code, told) == (1, "")
    assert "is the training database" in said
    assert len(keys(platform)) == 3


def test_a_key_says_whose_data_a_file_is() -> None:
    place = place_of(MERGED)
    assert place is not None
    assert (place.exchange, place.symbol, place.is_sidecar) == ("binance", "BTCUSDT.P", False)
    beside = place_of(sidecar_key(MERGED.replace("date=2024-03-31", "month=2024-03").replace("interval=1m/", "")))
    assert beside is not None
    assert beside.is_sidecar
    for other in ("exports/notes.txt", "ticks/EURUSD/2024.parquet", f"{MERGED}.json", MERGED.replace("exchange=", "")):
        assert place_of(other) is None
