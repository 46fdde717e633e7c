"""The asset graph as people see it, kept as a snapshot: a change of a key, a dependency or an owner is a decision."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from market_platform.defs.build import build_defs
from market_platform.defs.names import has_history
from market_platform.domain.errors import ConfigError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.settings import Settings
from market_platform_tests.unit.defs.conftest import BTCUSDT, EURUSD, LIVE, OANDA

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


def without_exports(found: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """All but the data sets, which are of all pairs together."""
    return {name: each for name, each in found.items() if "exports/" not in name}


def test_the_asset_graph_is_the_snapshot(settings: Settings) -> None:
    found = described(build_defs([EURUSD, *LIVE], settings))
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


def test_streamed_pairs_get_external_assets_day_files_and_their_exchange_s_own_past(settings: Settings) -> None:
    assert not any(has_history(pair) for pair in LIVE)
    definitions = build_defs(LIVE, settings)
    found = without_exports(described(definitions))
    executable = {name for name, each in found.items() if each["executable"]}
    assert {name for name in executable if "/history_" not in name} == {
        "binance/BTCUSDT/trades",
        "binance/BTCUSDT.P/trades",
        "oanda/EURUSD/ticks",
        "binance/BTCUSDT/proof",
        "binance/BTCUSDT.P/proof",
        "oanda/EURUSD/proof",
        "binance/lake_statistics",
        "oanda/lake_statistics",
    }
    assert found["binance/BTCUSDT/trades"]["deps"] == ["binance/BTCUSDT/stream_trades"]
    assert found["oanda/EURUSD/ticks"]["deps"] == ["oanda/EURUSD/stream_ticks"]
    assert found["binance/BTCUSDT/proof"]["deps"] == [
        "binance/BTCUSDT/candles_1m",
        "binance/BTCUSDT/trades",
        "binance/source",
    ]
    assert found["binance/lake_statistics"]["deps"] == [
        "binance/BTCUSDT.P/history_trades",
        "binance/BTCUSDT.P/trades",
        "binance/BTCUSDT/history_trades",
        "binance/BTCUSDT/trades",
    ]
    assert found["oanda/lake_statistics"]["deps"] == ["oanda/EURUSD/ticks"]
    assert found["binance/BTCUSDT/proof"]["checks"] == ["candles_agree"]
    assert found["oanda/EURUSD/candles_1M"]["partitions"] == "MonthlyPartitionsDefinition"
    assert "binance/BTCUSDT.P/funding_rates" in found
    assert "binance/BTCUSDT/funding_rates" not in found
    assert {each.name for each in definitions.schedules or ()} == {
        "compact_yesterday",
        "export_last_month",
        "export_yesterday",
        "history_last_month",
        "history_last_week",
        "history_yesterday",
        "lake_statistics",
        "prove_yesterday",
        "prune_event_log",
        "reissued_files",
    }


def test_a_past_has_the_layers_that_its_exchange_gives(settings: Settings) -> None:
    found = described(build_defs(LIVE, settings))
    assert {name for name in found if name.startswith("binance/BTCUSDT.P/history_")} == {
        f"binance/BTCUSDT.P/history_{layer}"
        for layer in ("candles_1m", "candles_1h", "candles_1d", "funding_rates", "open_interest", "trades")
    }
    assert {name for name in found if name.startswith("oanda/EURUSD/history_")} == {"oanda/EURUSD/history_candles_1m"}
    assert found["binance/BTCUSDT/history_candles_1w"]["deps"] == ["binance/BTCUSDT/history_candles_1d"]
    assert found["binance/BTCUSDT/history_candles_4h"]["deps"] == ["binance/source"]
    assert found["binance/BTCUSDT/history_candles_4h"]["pool"] == ["binance"]
    assert found["binance/BTCUSDT/history_candles_1m"]["checks"] == ["coverage_against_sessions", "ohlc_sanity"]
    assert "binance/BTCUSDT/history_funding_rates" not in found


def test_training_pairs_are_fetched_and_nothing_else_and_are_called_so(settings: Settings) -> None:
    pairs = [replace(pair, database="training") for pair in LIVE[:2]]
    assert not [name for name in described(build_defs(pairs, settings)) if "exports/" in name]
    settings = settings.model_copy(update={"training_database": "market_training"})
    definitions = build_defs(pairs, settings)
    found = described(definitions)
    assert {name.split("/")[0] for name in found} == {"binance", "training"}
    assert not [name for name in found if name.startswith("binance/") and name != "binance/source"]
    assert "training/binance/BTCUSDT.P/history_open_interest" in found
    assert {each["group"] for name, each in found.items() if name.startswith("training")} == {
        "training_binance_BTCUSDT",
        "training_binance_BTCUSDT_P",
        "training_exports",
    }
    assert "training_history_days" in {job.name for job in definitions.get_repository_def().get_all_jobs()}
    together = described(build_defs([*LIVE[:2], *pairs], settings))
    assert found.items() <= together.items()
    assert together["training/exports/oi"]["deps"] == ["training/binance/BTCUSDT.P/history_open_interest"]
    assert together["exports/merged"]["deps"] == sorted(
        [
            *(f"binance/{pair.symbol}/{layer}" for pair in LIVE[:2] for layer in ("candles_1m", "history_candles_1m")),
            *(f"binance/BTCUSDT.P/{layer}" for layer in ("funding_rates", "history_funding_rates")),
            *(f"binance/BTCUSDT.P/{layer}" for layer in ("open_interest", "history_open_interest")),
        ]
    )
    assert together["exports/merged_monthly"]["deps"] == ["exports/merged"]


def test_stocks_and_other_exchanges_have_a_past_and_no_stream(settings: Settings) -> None:
    intervals = (parse_interval("1m"), parse_interval("1d"))
    stock = TradingPair("yahoo", "AAPL", "USD", "stock", "AAPL", intervals)
    other = TradingPair("kraken", "BTC", "USD", "perps", "BTCUSD.P", intervals, history="ccxt", ccxt_id="krakenfutures")
    found = without_exports(described(build_defs([stock, other], settings)))
    assert {name for name, each in found.items() if each["executable"]} == {
        "yahoo/AAPL/history_candles_1m",
        "yahoo/AAPL/history_candles_1d",
        "yahoo/AAPL/corporate_actions",
        "kraken/BTCUSD.P/history_candles_1m",
        "kraken/BTCUSD.P/history_candles_1d",
        "kraken/BTCUSD.P/history_funding_rates",
        "kraken/BTCUSD.P/history_open_interest",
    }
    assert {name for name, each in found.items() if not each["executable"]} == {"kraken/source", "yahoo/source"}


def test_everything_of_streamed_pairs_loads_as_one_repository(settings: Settings) -> None:
    definitions = build_defs([EURUSD, *LIVE], settings)
    repository = definitions.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs()}
    assert {"compaction", "repair_gaps_binance", "repair_gaps_oanda", "days"} <= jobs
    sensors = {each.name: each for each in definitions.sensors or ()}
    assert set(sensors) == {
        "repair_partitions",
        "orphaned_runs",
        "take_over_gaps",
        "report_stream_days",
        "compact_late_parts",
        "repair_history",
    }
    assert all(each.default_status is dg.DefaultSensorStatus.RUNNING for each in sensors.values())


def test_adding_streamed_pairs_changes_nothing_of_the_fetched_ones(settings: Settings) -> None:
    alone, together = (without_exports(described(build_defs(pairs, settings))) for pairs in ([EURUSD], [EURUSD, *LIVE]))
    assert {name: each for name, each in together.items() if name.startswith("dukascopy")} == alone


def test_the_day_in_progress_is_a_partition_of_a_stream_but_not_of_its_day_file(settings: Settings) -> None:
    graph = build_defs([BTCUSDT, OANDA], settings).resolve_asset_graph()
    now = datetime(2026, 3, 11, 12, tzinfo=UTC)

    def last(*path: str) -> str | None:
        definition = graph.get(dg.AssetKey(path)).partitions_def
        assert isinstance(definition, dg.TimeWindowPartitionsDefinition)
        return max(definition.get_partition_keys(now))

    assert last("binance", "BTCUSDT", "stream_trades") == "2026-03-11"
    assert last("binance", "BTCUSDT", "trades") == "2026-03-10"
    assert last("binance", "BTCUSDT", "candles_1w") == "2026-03-09"
    assert last("oanda", "EURUSD", "candles_1M") == "2026-03-01"


def test_every_streamed_asset_says_when_it_is_stale(settings: Settings) -> None:
    graph = build_defs(LIVE, settings).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        if key.path[-1] != "source" and not key.path[-1].startswith(("history_", "features")):
            assert graph.get(key).freshness_policy is not None, key


def test_every_asset_has_a_description_and_tables_have_schemas(pairs: list[TradingPair], settings: Settings) -> None:
    graph = build_defs([*pairs, *LIVE], settings).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert len(node.description or "") > 60, key
        if len(key.path) == 3:
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
        "export_yesterday",
        "export_last_month",
    }
    assert {each.name for each in sensors} == {"repair_partitions", "orphaned_runs"}
    assert all(each.default_status is dg.DefaultSensorStatus.RUNNING for each in sensors)


if __name__ == "__main__":
    from market_platform.settings import load_settings

    SNAPSHOT.write_text(
        json.dumps(described(build_defs([EURUSD, *LIVE], load_settings(_env_file=None))), indent=1) + "\n"
    )
