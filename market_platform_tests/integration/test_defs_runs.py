"""Runs of the definitions on real parts: what they store, what they report, and what stays when something fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import stamina

from market_platform.domain.conditions import Condition
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.defs_world import NOW, DefsWorld
from market_platform_tests.fixtures.platform_world import materialised

MONDAY, TUESDAY, WEDNESDAY, SUNDAY = (date(2024, 3, day) for day in (4, 5, 6, 10))
SATURDAY = date(2024, 3, 9)
CANDLES = [f"candles_{name}" for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d")]
LAYERS = ["ticks", *CANDLES]


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(seed=7, clock=lambda: NOW)) as running:
        yield running


@pytest.fixture
def world(exchange: RunningReplay, database_url: str, tmp_path: Path) -> Iterator[DefsWorld]:
    exchange.faults.clear()
    made = DefsWorld(database_url, exchange, tmp_path)
    with stamina.set_testing(True, attempts=5, cap=True):  # the client's retries, without their pauses
        yield made
    made.close()
    exchange.faults.clear()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def stay_away(exchange: RunningReplay, path: str, bi5_path: str, times: int) -> None:
    """Answer 503 in both formats: the client asks for the other when one is unavailable."""
    exchange.fail(f"({path}|{bi5_path})", "503", times=times)


def rows(world: DefsWorld, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(world.database_url) as connection:
        return connection.execute(query.encode()).fetchall()


def checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """Evaluations by layer and check."""
    return {(found.asset_key.path[-1], found.check_name): found for found in result.get_asset_check_evaluations()}


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    [event] = [each for each in result.all_events if each.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    return str(data.description)


def test_a_range_of_days_is_one_run_that_reports_each_partition(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    result = world.run(instance, LAYERS, MONDAY, WEDNESDAY)
    assert result.success
    found = materialised(instance, result)
    assert set(found) == {(layer, day.isoformat()) for layer in LAYERS for day in (MONDAY, TUESDAY, WEDNESDAY)}
    ticks, minutes = found["ticks", "2024-03-05"], found["candles_1m", "2024-03-05"]
    assert ticks["condition"] == minutes["condition"] == "available"
    assert minutes["built_from"] == ticks["data_version"]
    assert str(ticks["chart"]).startswith("![dukascopy/EURUSD 2024-03-05")
    [(lake_rows,)] = rows(world, "SELECT rows FROM lake_days WHERE day = '2024-03-05'")
    assert ticks["rows"] == lake_rows
    assert (
        sum(int(str(found[layer, "2024-03-05"]["rows"])) for layer in CANDLES) == 1440 + 288 + 96 + 48 + 24 + 6 + 2 + 1
    )
    evaluated = checks(result)
    assert all(each.passed for each in evaluated.values()), [each for each in evaluated.values() if not each.passed]
    assert {name for layer, name in evaluated if layer == "candles_1m"} == {
        "ohlc_sanity",
        "coverage_against_sessions",
        "equals_exchange_candles",
    }


def test_running_it_again_changes_nothing(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    stored = "SELECT starlisting_id, day, revision, data_version, run_id FROM candle_days ORDER BY 1, 2"
    first = world.run(instance, LAYERS, MONDAY, TUESDAY)
    before = rows(world, stored)
    again = world.run(instance, LAYERS, MONDAY, TUESDAY)
    assert first.success
    assert again.success
    assert rows(world, stored) == before
    earlier, later = materialised(instance, first), materialised(instance, again)
    assert {key: each["data_version"] for key, each in later.items()} == {
        key: each["data_version"] for key, each in earlier.items()
    }
    assert not any(each["changed"] for (layer, _), each in later.items() if layer == "ticks")
    assert sum(int(str(each.get("changed_rows", 0))) for each in later.values()) == 0


def test_the_data_version_of_a_single_day_is_dagster_s_own(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    result = world.run(instance, ["ticks"], MONDAY, MONDAY)
    [(content_hash,)] = rows(world, "SELECT content_hash FROM lake_days")
    [event] = [each for each in result.all_events if each.is_step_materialization]
    assert event.step_materialization_data.materialization.tags is not None
    assert event.step_materialization_data.materialization.tags["dagster/data_version"] == content_hash


def test_a_closed_day_is_green_and_says_closed(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    result = world.run(instance, LAYERS, SATURDAY, SATURDAY)
    assert result.success
    found = materialised(instance, result)
    assert {each["condition"] for each in found.values()} == {"closed"}
    assert {each["rows"] for each in found.values()} == {0}
    assert all(each.passed for each in checks(result).values())


def test_a_bad_day_fails_the_run_and_the_others_are_kept_down_to_their_candles(
    world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay
) -> None:
    exchange.fail("/ticks/EUR-USD/2024/3/5/10$", "wrong_types", times=1000)
    result = world.run(instance, LAYERS, MONDAY, WEDNESDAY)
    assert not result.success
    message = failure_of(result)
    assert "dukascopy/EURUSD ticks: 1 of 3 days failed, 2 are kept" in message
    assert "2024-03-05" in message
    found = materialised(instance, result)
    assert set(found) == {(layer, day.isoformat()) for layer in LAYERS for day in (MONDAY, WEDNESDAY)}
    assert rows(world, "SELECT day::text FROM lake_days ORDER BY day") == [("2024-03-04",), ("2024-03-06",)]
    assert rows(world, "SELECT count(DISTINCT day) FROM candle_days WHERE revision > 0") == [(2,)]
    keys = [day.isoformat() for day in (MONDAY, TUESDAY, WEDNESDAY)]
    partitions = world.definitions.resolve_asset_graph().get(world.key("ticks")).partitions_def
    assert partitions is not None
    states = instance.get_status_by_partition(world.key("ticks"), keys, partitions) or {}
    assert {day: state.value for day, state in states.items() if state} == {
        "2024-03-04": "MATERIALIZED",
        "2024-03-05": "FAILED",
        "2024-03-06": "MATERIALIZED",
    }
    retries = [each for each in result.all_events if each.is_step_up_for_retry]
    assert retries == [], "a wrong payload is not asked for again"


def test_a_network_error_is_retried_without_fetching_the_good_days_again(
    world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay
) -> None:
    stay_away(exchange, "/ticks/EUR-USD/2024/3/5/10$", "/EURUSD/2024/02/05/10h_ticks", times=10)
    exchange.log.clear()
    result = world.run(instance, ["ticks"], MONDAY, TUESDAY)
    assert result.success
    assert len([each for each in result.all_events if each.is_step_up_for_retry]) == 1
    assert set(materialised(instance, result)) == {("ticks", "2024-03-04"), ("ticks", "2024-03-05")}
    fetched = {path: count for path, count in exchange.log.paths.items() if "/ticks/EUR-USD/2024/3/4/" in path}
    assert (len(fetched), max(fetched.values())) == (24, 1)


def test_an_exchange_that_stays_away_fails_in_the_end_and_names_the_day(
    world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay
) -> None:
    stay_away(exchange, "/ticks/EUR-USD/2024/3/5/", "/EURUSD/2024/02/05/", times=100_000)
    result = world.run(instance, ["ticks", "candles_1m"], MONDAY, TUESDAY)
    assert not result.success
    assert len([each for each in result.all_events if each.is_step_up_for_retry]) == 3
    [event] = [each for each in result.all_events if each.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    days = data.metadata["failed_days"]
    assert isinstance(days, dg.JsonMetadataValue)
    assert list(days.data) == ["2024-03-05"]  # type: ignore[arg-type]
    assert set(materialised(instance, result)) == {("ticks", "2024-03-04"), ("candles_1m", "2024-03-04")}


def test_an_hour_the_exchange_lost_shows_as_a_failing_check_and_in_the_database(
    world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay
) -> None:
    exchange.fail("/ticks/EUR-USD/2024/3/5/10$", "empty_once", times=1000)
    result = world.run(instance, LAYERS, TUESDAY, TUESDAY)
    assert result.success, "an incomplete day is a condition, not a failure"
    assert materialised(instance, result)["ticks", "2024-03-05"]["condition"] == "degraded"
    evaluated = checks(result)
    coverage = evaluated["ticks", "coverage_against_sessions"]
    assert (coverage.passed, coverage.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert coverage.description == "1 of 1 partitions have a problem: 2024-03-05"
    assert not evaluated["candles_1m", "coverage_against_sessions"].passed
    assert evaluated["candles_1m", "equals_exchange_candles"].passed, "an incomplete day is not compared"
    recorded = rows(
        world,
        "SELECT check_type, day::text, severity, error_message FROM data_quality WHERE NOT passed ORDER BY starlisting_id NULLS FIRST",
    )
    assert recorded == [
        ("coverage_against_sessions", "2024-03-05", "error", "the exchange has nothing for open hours 10"),
        ("coverage_against_sessions", "2024-03-05", "error", "no candle in open hours 10 (degraded)"),
    ]


def test_candles_that_differ_from_the_exchange_s_own_are_named(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    """Ticks are fetched from one market, then the exchange tells candles of another: every value differs."""
    assert world.run(instance, LAYERS, MONDAY, MONDAY).success
    with running_replay(GeneratorSource(seed=8, clock=lambda: NOW)) as other:
        world.settings = world.settings.model_copy(
            update={"dukascopy_json_url": other.json_url, "dukascopy_bi5_url": other.bi5_url}
        )
        result = world.run(instance, CANDLES, MONDAY, MONDAY)
    found = checks(result)["candles_1m", "equals_exchange_candles"]
    assert result.success, "the check informs; it does not block"
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    table = found.metadata["problems"]
    assert isinstance(table, dg.TableMetadataValue)
    assert "values differ, the first at 00:0" in str(table.records[0].data["problem"])


def test_the_exchange_check_can_be_run_alone_for_the_newest_day(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    assert world.run(instance, ["ticks", "candles_1m"], MONDAY, TUESDAY).success
    key = dg.AssetCheckKey(world.key("candles_1m"), "equals_exchange_candles")
    job = dg.define_asset_job("alone", selection=dg.AssetSelection.checks(key))
    definitions = dg.Definitions.merge(world.definitions, dg.Definitions(jobs=[job]))
    result = definitions.resolve_job_def("alone").execute_in_process(instance=instance)
    [found] = result.get_asset_check_evaluations()
    assert found.passed
    assert found.metadata["first_partition"].value == "2024-03-05"


def test_an_exchange_that_tells_no_candles_is_a_warning(
    world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay
) -> None:
    stay_away(exchange, "/candles/minute/", "_candles_min_1", times=100_000)
    result = world.run(instance, ["ticks", "candles_1m"], MONDAY, MONDAY)
    found = checks(result)["candles_1m", "equals_exchange_candles"]
    assert result.success
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_some_layers_alone_and_in_the_order_of_their_lineage(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    assert world.run(instance, ["ticks"], MONDAY, MONDAY).success
    result = world.run(instance, ["candles_1h", "candles_5m"], MONDAY, MONDAY)
    assert result.success
    assert [layer for layer, _ in materialised(instance, result)] == ["candles_5m", "candles_1h"]
    assert {layer for layer, _ in checks(result)} == {"candles_5m", "candles_1h"}
    gap = world.run(instance, ["candles_1d", "ticks"], TUESDAY, TUESDAY)
    assert gap.success, "ticks come first, whichever layers lie between"


def test_candles_without_ticks_fail_saying_what_to_do(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    assert world.run(instance, ["ticks"], MONDAY, MONDAY).success
    result = world.run(instance, CANDLES, MONDAY, TUESDAY)
    assert not result.success
    assert "materialise dukascopy/EURUSD/ticks" in failure_of(result)
    assert {day for _, day in materialised(instance, result)} == {"2024-03-04"}


def test_a_week_waits_for_its_days_and_then_is_one_candle(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    assert world.run(instance, LAYERS, MONDAY, TUESDAY).success
    early = materialised(instance, world.run(instance, ["candles_1w"], MONDAY, MONDAY))["candles_1w", "2024-03-04"]
    assert (early["condition"], early["rows"]) == ("pending", 0)
    assert "2024-03-06" in str(early["reason"])
    assert world.run(instance, LAYERS, WEDNESDAY, SUNDAY).success
    result = world.run(instance, ["candles_1w"], MONDAY, MONDAY)
    week = materialised(instance, result)["candles_1w", "2024-03-04"]
    assert (week["condition"], week["rows"], week["changed_rows"]) == ("available", 1, 1)
    assert "chart" in week


def test_lake_statistics_count_and_name_what_is_left_failed(
    world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay
) -> None:
    exchange.fail("/ticks/EUR-USD/2024/3/5/10$", "wrong_types", times=1000)
    assert not world.run(instance, LAYERS, MONDAY, WEDNESDAY).success
    job = world.definitions.resolve_job_def("lake_statistics")
    only = [dg.AssetKey(["dukascopy", "lake_statistics"])]
    result = job.execute_in_process(instance=instance, asset_selection=only)
    [event] = [each for each in result.all_events if each.is_step_materialization]
    metadata = event.step_materialization_data.materialization.metadata
    assert (metadata["pairs"].value, metadata["days"].value, metadata["gaps"].value) == (1, 2, 1)
    table = metadata["symbols"]
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data["conditions"] == "2 available"
    [found] = result.get_asset_check_evaluations()
    assert (found.check_name, found.passed) == ("no_partition_left_failed", False)
    failed = found.metadata["failed"]
    assert isinstance(failed, dg.TableMetadataValue)
    assert {record.data["partition"] for record in failed.records} == {"2024-03-05"}
    exchange.faults.clear()
    assert world.run(instance, LAYERS, TUESDAY, TUESDAY).success
    [after] = job.execute_in_process(instance=instance, asset_selection=only).get_asset_check_evaluations()
    assert after.passed


def test_impossible_candles_stop_the_run(
    world: DefsWorld, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses such candles too; this is about what the check does when one is reported."""
    from market_platform.pipeline import candles

    monkeypatch.setattr(candles, "ohlc_errors", lambda _frame: ("2024-03-04 10:00: high below low",))
    result = world.run(instance, ["ticks", "candles_1m"], MONDAY, MONDAY)
    assert not result.success
    found = checks(result)["candles_1m", "ohlc_sanity"]
    assert (found.passed, found.blocking) == (False, True)


def test_a_pair_added_to_the_configuration_is_materialised_without_a_code_change(
    world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay, database_url: str, tmp_path: Path
) -> None:
    wider = DefsWorld(database_url, exchange, tmp_path, symbols=("EURUSD", "BTCUSD"))
    try:
        result = wider.run(instance, ["ticks", "candles_1d"], SATURDAY, SATURDAY, symbol="BTCUSD")
        assert result.success
        assert materialised(instance, result)["ticks", "2024-03-09"]["condition"] == Condition.AVAILABLE
    finally:
        wider.close()


def test_a_pair_that_is_not_synced_says_so(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    with psycopg.connect(world.database_url) as connection:
        connection.execute("UPDATE trading_pairs SET symbol = 'XXXYYY' WHERE symbol = 'EURUSD'")
    result = world.run(instance, ["ticks"], MONDAY, MONDAY)
    assert "market-platform config sync" in failure_of(result)


def test_an_unreachable_database_is_one_clear_failure(world: DefsWorld, instance: dg.DagsterInstance) -> None:
    world.database_url = "postgresql://nobody:secret@127.0.0.1:1/nowhere"
    result = world.run(instance, ["ticks"], MONDAY, MONDAY)
    message = failure_of(result)
    assert "127.0.0.1:1/nowhere" in message
    assert "secret" not in message
