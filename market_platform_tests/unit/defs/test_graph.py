"""The asset graph as people see it, kept as a snapshot: a change of a key, a dependency or an owner is a decision."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from market_platform.defs.build import build_defs
from market_platform.domain.errors import ConfigError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.settings import Settings
from market_platform_tests.unit.defs.conftest import EURUSD

SNAPSHOT = Path(__file__).with_name("asset_graph.json")


def described(definitions: dg.Definitions) -> dict[str, dict[str, object]]:
    """What the catalogue shows of every asset, without descriptions."""
    graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string(): {
            "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "group": graph.get(key).group_name,
            "owners": list(graph.get(key).owners),
            "kinds": sorted(graph.get(key).kinds),
            "partitions": type(graph.get(key).partitions_def).__name__ if graph.get(key).partitions_def else None,
            "days_per_run": policy.max_partitions_per_run if (policy := graph.get(key).backfill_policy) else None,
            "code_version": graph.get(key).code_version,
            "pool": sorted(graph.get(key).pools or ()),
            "checks": sorted(check.name for check in graph.get(key).check_keys),
            "executable": graph.get(key).is_executable,
        }
        for key in sorted(graph.get_all_asset_keys())
    }


def test_the_asset_graph_is_the_snapshot(settings: Settings) -> None:
    found = described(build_defs([EURUSD], settings))
    assert found == json.loads(SNAPSHOT.read_text()), (
        "the asset graph changed; if that is meant, write the new one: python -m market_platform_tests.unit.defs.test_graph"
    )


def test_a_pair_added_to_the_configuration_appears_with_its_lineage(
    settings: Settings, pairs: list[TradingPair]
) -> None:
    before = described(build_defs(pairs[:1], settings))
    after = described(build_defs(pairs, settings))
    assert {name for name in after if name not in before} == {
        name.replace("EURUSD", "GBPUSD") for name in before if "EURUSD" in name
    }
    assert after["dukascopy/GBPUSD/candles_5m"]["deps"] == ["dukascopy/GBPUSD/candles_1m"]


def test_a_pair_without_some_intervals_keeps_an_unbroken_lineage(settings: Settings) -> None:
    few = replace(EURUSD, intervals=tuple(parse_interval(name) for name in ("1m", "1h", "1d")))
    found = described(build_defs([few], settings))
    assert found["dukascopy/EURUSD/candles_1h"]["deps"] == ["dukascopy/EURUSD/candles_1m"]
    assert found["dukascopy/EURUSD/candles_1d"]["deps"] == ["dukascopy/EURUSD/candles_1h"]
    assert "dukascopy/EURUSD/candles_1w" not in found


def test_an_inactive_pair_has_no_assets(settings: Settings, pairs: list[TradingPair]) -> None:
    found = described(build_defs([pairs[0], replace(pairs[1], active=False)], settings))
    assert not [name for name in found if "GBPUSD" in name]


@pytest.mark.parametrize("intervals", [("1w",), ("1m", "1w")])
def test_periods_without_their_days_are_a_clear_mistake(settings: Settings, intervals: tuple[str, ...]) -> None:
    pair = replace(EURUSD, intervals=tuple(parse_interval(name) for name in intervals))
    with pytest.raises(ConfigError, match="dukascopy/EURUSD"):
        build_defs([pair], settings)


def test_no_pair_at_all_is_a_clear_mistake(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="no active trading pair"):
        build_defs([], settings)


def test_every_asset_has_a_description_and_tables_have_schemas(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert len(node.description or "") > 60, key
        if "EURUSD" in key.path:
            assert "dagster/column_schema" in node.metadata, key


def test_all_pairs_share_one_partitions_definition_so_that_one_run_can_hold_them(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    daily = {
        graph.get(key).partitions_def
        for key in graph.get_all_asset_keys()
        if key.path[-1] == "ticks" or key.path[-1].startswith("candles_1d")
    }
    assert len(daily) == 1


def test_weeks_begin_on_monday_and_end_with_the_last_complete_one(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    weeks = graph.get(dg.AssetKey(["dukascopy", "EURUSD", "candles_1w"])).partitions_def
    assert isinstance(weeks, dg.TimeWindowPartitionsDefinition)
    window = weeks.time_window_for_partition_key("2024-03-04")
    assert (window.start.weekday(), (window.end - window.start).days) == (0, 7)


def test_everything_that_asks_for_runs_is_switched_on(definitions: dg.Definitions) -> None:
    schedules = list(definitions.schedules or ())
    sensors = list(definitions.sensors or ())
    assert {each.name for each in schedules if isinstance(each, dg.ScheduleDefinition)} == {
        "yesterday",
        "last_week",
        "last_month",
        "lake_statistics",
        "prune_event_log",
    }
    assert {each.name for each in sensors} == {"repair_partitions", "orphaned_runs"}
    assert all(each.default_status is dg.DefaultSensorStatus.RUNNING for each in sensors)


if __name__ == "__main__":
    from market_platform.settings import load_settings

    SNAPSHOT.write_text(json.dumps(described(build_defs([EURUSD], load_settings(_env_file=None))), indent=1) + "\n")
