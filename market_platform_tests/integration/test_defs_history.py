"""Exchanges' pasts through Dagster, on real parts: what runs store and report, and what stays when something fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from market_platform.defs.names import history_day_layers
from market_platform.domain.errors import BadPayloadError, ExchangeUnavailableError
from market_platform.domain.intervals import parse_interval
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.history_world import HistoryWorld, past_world
from market_platform_tests.fixtures.platform_world import materialised
from market_platform_tests.fixtures.scripted_history import ScriptedHistory, candle_day, raw_input

SPOT, PERPETUAL, HYPER = "binance/BTCUSDT", "binance/BTCUSDT.P", "hyperliquid/BTCUSD"
STOCK, FOREX = "yahoo/AAPL", "oanda/EURUSD"
MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)
LAST_WEEK = date(2026, 11, 9)
MINUTE = parse_interval("1m")


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(world=past_world()) as running:
        yield running


@pytest.fixture
def world(exchange: RunningReplay, database_url: str, tmp_path: Path) -> Iterator[HistoryWorld]:
    made = HistoryWorld(database_url, tmp_path, exchange, [SPOT, PERPETUAL, HYPER, STOCK, FOREX])
    yield made
    made.close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Scripted:
    """A world of one spot pair whose exchange follows a script."""

    def __init__(self, exchange: RunningReplay, database_url: str, home: Path) -> None:
        self.source = ScriptedHistory()
        self.world = HistoryWorld(database_url, home, exchange, [SPOT], open_history=self.source.open)

    def run(self, instance: dg.DagsterInstance, *layers: str, last: date = TUESDAY) -> dg.ExecuteInProcessResult:
        """One run of the days until Tuesday (or another day)."""
        return self.world.run(instance, SPOT, [f"history_{layer}" for layer in layers], MONDAY, last)


@pytest.fixture
def scripted(exchange: RunningReplay, database_url: str, tmp_path: Path) -> Iterator[Scripted]:
    made = Scripted(exchange, database_url, tmp_path)
    yield made
    made.world.close()


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    [event] = [each for each in result.all_events if each.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    return str(data.description)


def conditions(found: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], str]:
    return {each: metadata["condition"] for each, metadata in found.items()}


def test_a_perpetual_s_candles_funding_and_open_interest_are_one_run_and_twice_is_once(
    world: HistoryWorld, instance: dg.DagsterInstance
) -> None:
    layers = [layer for layer in history_day_layers(world.pair(PERPETUAL)) if layer != "history_trades"]
    result = world.run(instance, PERPETUAL, layers, MONDAY, TUESDAY)
    assert result.success, failure_of(result)
    found = materialised(instance, result)
    assert set(found) == {(layer, day.isoformat()) for layer in layers for day in (MONDAY, TUESDAY)}
    assert set(conditions(found).values()) == {"available"}
    minutes = found["history_candles_1m", "2026-11-17"]
    assert (minutes["rows"], minutes["changed_rows"], minutes["missing"]) == (1440, 1440, 0)
    assert "SHA-256" in minutes["inputs"]
    assert found["history_candles_1h", "2026-11-16"]["chart"].startswith("![binance/BTCUSDT.P 2026-11-16, 1h](data:")
    assert (
        found["history_funding_rates", "2026-11-16"]["rows"],
        found["history_open_interest", "2026-11-16"]["rows"],
    ) == (
        3,
        288,
    )
    assert "chart" in found["history_open_interest", "2026-11-16"]
    assert all(each.passed for each in result.get_asset_check_evaluations())
    stored = world.rows("SELECT series, day, revision, rows, condition FROM history_days ORDER BY 1, 2")
    assert stored == [
        ("funding_rates", MONDAY, 1, 3, "available"),
        ("funding_rates", TUESDAY, 1, 3, "available"),
        ("open_interest", MONDAY, 1, 288, "available"),
        ("open_interest", TUESDAY, 1, 288, "available"),
    ]
    again = world.run(instance, PERPETUAL, layers, MONDAY, TUESDAY)
    assert again.success
    assert {each["changed_rows"] for each in materialised(instance, again).values()} == {0}
    assert world.rows("SELECT series, day, revision, rows, condition FROM history_days ORDER BY 1, 2") == stored
    assert world.rows("SELECT DISTINCT run_id FROM candle_days") == [(result.run_id,)]
    assert world.rows("SELECT count(DISTINCT run_id) FROM history_inputs") == [(1,)]


def test_a_spot_day_of_trades_is_a_file_of_the_lake(world: HistoryWorld, instance: dg.DagsterInstance) -> None:
    result = world.run(instance, SPOT, ["history_trades"], TUESDAY, TUESDAY)
    assert result.success, failure_of(result)
    [trades] = materialised(instance, result).values()
    assert trades["condition"] == "available"
    assert trades["rows"] == trades["changed_rows"] > 0
    assert trades["object"].startswith("trades/BTCUSDT/2026/11/17/binance-")
    stored = world.rows("SELECT kind, rows, condition, content_hash FROM lake_days")
    assert stored == [("trades", trades["rows"], "available", trades["data_version"])]


def test_hyperliquid_says_where_its_history_ends(world: HistoryWorld, instance: dg.DagsterInstance) -> None:
    result = world.run(
        instance, HYPER, ["history_candles_1m", "history_candles_1h", "history_funding_rates"], LAST_WEEK, LAST_WEEK
    )
    assert result.success, failure_of(result)
    found = materialised(instance, result)
    beyond = found["history_candles_1m", LAST_WEEK.isoformat()]
    assert (beyond["condition"], beyond["rows"]) == ("missing", 0)
    assert "5,000 candles" in beyond["reason"]
    assert found["history_candles_1h", LAST_WEEK.isoformat()]["condition"] == "available"
    assert found["history_funding_rates", LAST_WEEK.isoformat()]["rows"] == 24
    [coverage] = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert (coverage.check_name, coverage.severity) == ("coverage_against_sessions", dg.AssetCheckSeverity.WARN)


def test_markets_that_close_say_so_and_a_stock_has_its_actions_beside_it(
    world: HistoryWorld, instance: dg.DagsterInstance
) -> None:
    friday, monday = date(2026, 11, 13), MONDAY
    stock = world.run(instance, STOCK, ["history_candles_1d", "corporate_actions"], friday, monday)
    assert stock.success, failure_of(stock)
    found = materialised(instance, stock)
    assert [found["history_candles_1d", f"2026-11-{day}"]["condition"] for day in (13, 14, 15, 16)] == [
        "available",
        "closed",
        "closed",
        "available",
    ]
    assert {layer for layer, _ in found} == {"history_candles_1d", "corporate_actions"}
    forex = world.run(instance, FOREX, ["history_candles_1h"], friday, monday)
    assert forex.success, failure_of(forex)
    hours = materialised(instance, forex)
    assert hours["history_candles_1h", "2026-11-14"]["rows"] == 0
    assert hours["history_candles_1h", "2026-11-13"]["rows"] > 0


def test_a_bad_day_fails_alone_and_the_others_are_reported(scripted: Scripted, instance: dg.DagsterInstance) -> None:
    scripted.source.answers["candles_1m", MONDAY] = BadPayloadError("a page repeats a candle")
    result = scripted.run(instance, "candles_1m", "candles_1h")
    assert not result.success
    assert "a page repeats a candle" in failure_of(result)
    assert set(materialised(instance, result)) == {
        ("history_candles_1m", "2026-11-17"),
        ("history_candles_1h", "2026-11-16"),
        ("history_candles_1h", "2026-11-17"),
    }
    assert scripted.source.asked.count(("candles_1m", (MONDAY, TUESDAY))) == 1, "a retry could not have helped"


def test_an_exchange_that_was_away_is_asked_again_for_what_is_missing_alone(
    scripted: Scripted, instance: dg.DagsterInstance
) -> None:
    scripted.source.answers["candles_1m", MONDAY] = ExchangeUnavailableError("no answer")

    answers = scripted.source._answer

    def answer_later(series: str, days: Any, otherwise: Any) -> Any:
        found = answers(series, days, otherwise)
        scripted.source.answers.clear()
        return found

    scripted.source._answer = answer_later  # type: ignore[method-assign]
    result = scripted.run(instance, "candles_1m", "candles_1h")
    assert result.success
    assert scripted.source.asked == [
        ("candles_1m", (MONDAY, TUESDAY)),
        ("candles_1h", (MONDAY, TUESDAY)),
        ("candles_1m", (MONDAY,)),
    ]
    assert len(materialised(instance, result)) == 4


def test_what_is_missing_fails_the_coverage_check_and_a_file_issued_again_is_shown(
    scripted: Scripted, instance: dg.DagsterInstance
) -> None:
    scripted.source.answers["candles_1m", MONDAY] = candle_day(MONDAY, MINUTE, without=(60, 61, 600))
    result = scripted.run(instance, "candles_1m", last=MONDAY)
    assert result.success
    [metadata] = materialised(instance, result).values()
    assert metadata["missing_times"] == "01:00–01:01 (2), 10:00"
    failed = {each.check_name: each for each in result.get_asset_check_evaluations() if not each.passed}
    assert set(failed) == {"coverage_against_sessions"}
    assert failed["coverage_against_sessions"].severity is dg.AssetCheckSeverity.ERROR

    name = f"BTCUSDT-1m-{MONDAY}.zip"
    scripted.source.answers["candles_1m", MONDAY] = candle_day(MONDAY, MINUTE, inputs=(raw_input(name, "corrected"),))
    after = scripted.run(instance, "candles_1m", last=MONDAY)
    [corrected] = materialised(instance, after).values()
    assert corrected["reissued"].startswith(f"{name}: ")
    assert corrected["data_version"] != metadata["data_version"]
    [tags] = [
        each.dagster_event.step_materialization_data.materialization.tags or {}
        for each in instance.all_logs(after.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        if each.dagster_event is not None
    ]
    assert tags["dagster/data_version"] == corrected["data_version"]


def test_a_week_is_built_from_fetched_days(scripted: Scripted, instance: dg.DagsterInstance) -> None:
    sunday = LAST_WEEK + timedelta(days=6)
    first = scripted.world.run(instance, SPOT, ["history_candles_1d"], LAST_WEEK, sunday)
    assert first.success
    week = scripted.world.run(instance, SPOT, ["history_candles_1w"], LAST_WEEK, LAST_WEEK)
    assert week.success
    [metadata] = materialised(instance, week).values()
    assert (metadata["condition"], metadata["rows"]) == ("available", 1)
    assert scripted.world.rows("SELECT volume, num_trades FROM candles_1w")[0][1] == 21


def test_events_stay_small(scripted: Scripted, instance: dg.DagsterInstance) -> None:
    inputs = tuple(
        raw_input(f"klines?symbol=BTCUSDT&interval=1m&startTime={number}&limit=1000") for number in range(60)
    )
    missing = range(0, 1440, 2)
    scripted.source.answers["candles_1m", MONDAY] = candle_day(MONDAY, MINUTE, without=tuple(missing), inputs=inputs)
    result = scripted.run(instance, "candles_1m", last=MONDAY)
    [event] = [
        str(each.dagster_event)
        for each in instance.all_logs(result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    ]
    assert len(event) < 6_000
