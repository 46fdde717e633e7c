"""The nightly proof on real parts: the replay exchange over HTTP, Postgres, a lake in a folder; and in Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from market_platform.domain.errors import DayFailedError, ExchangeUnavailableError
from market_platform.domain.history import RawInput
from market_platform.domain.proof import Reason, Side
from market_platform.domain.ranks import CandleRank
from market_platform.pipeline.proof import ProofReport
from market_platform.pipeline.proof_sides import CONFLATED
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.warehouse.gaps import GapRecord, record_gaps
from market_platform.warehouse.history_inputs import record_inputs_of_days
from market_platform_tests.fixtures.history_world import past_world
from market_platform_tests.fixtures.proof_world import (
    BUSY,
    EUR,
    HYPER,
    MINUTE_MS,
    MONDAY,
    QUIET,
    QUIET_PERPETUAL,
    START,
    SUNDAY,
    ProofWorld,
)
from market_platform_tests.fixtures.scripted_history import ScriptedHistory

BOTH = ("streamed/rebuilt", "streamed/exchange")


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(world=past_world()) as running:
        yield running


@pytest.fixture
def world(exchange: RunningReplay, database_url: str, tmp_path: Path) -> Iterator[ProofWorld]:
    made = ProofWorld(database_url, tmp_path, exchange)
    yield made
    made.close()


def told(report: ProofReport) -> dict[tuple[int, str, str], tuple[str, str]]:
    """Reason and detail by minute, sides and field."""
    return {
        ((each.time_ms - START) // MINUTE_MS, each.sides, each.field): (each.reason.value, each.detail)
        for each in report.differences
    }


def busiest(world: ProofWorld, name: str) -> int:
    """The minute with the most trades."""
    minutes = world.true_minutes(name)
    return max(minutes, key=lambda each: (minutes[each]["num_trades"], each))


# ---------------------------------------------------------------------------------------------------------------- three sides


@pytest.mark.parametrize("name", [QUIET, QUIET_PERPETUAL, BUSY])
def test_a_day_as_it_was_is_the_same_three_ways(world: ProofWorld, name: str) -> None:
    world.stream(name)
    report = world.prove(name)
    assert report.differences == ()
    assert report.compared == {"streamed/rebuilt": 1440, "streamed/exchange": 1440, "rebuilt/exchange": 1440}
    assert (report.minutes, report.left_out, report.inputs["ranks"]) == (1440, {}, {"30": 1440})
    assert world.rows("SELECT minutes, differences, unexplained, left_out FROM proof_days") == [(1440, 0, 0, {})]


def test_one_changed_candle_is_found_with_both_values_and_who_agrees(world: ProofWorld) -> None:
    minutes = world.true_minutes(QUIET)
    minute = busiest(world, QUIET)
    close = minutes[minute]["close"]
    minutes[minute] = minutes[minute] | {"close": close + Decimal("0.00000001")}
    world.stream(QUIET, minutes=minutes)
    report = world.prove(QUIET)
    unexplained = (Reason.UNEXPLAINED.value, "rebuilt and exchange agree")
    assert told(report) == {(minute, sides, "close"): unexplained for sides in BOTH}
    assert {(each.left_value, each.right_value) for each in report.differences} == {
        (f"{(close + Decimal('0.00000001')).normalize():f}", f"{close.normalize():f}")
    }
    stored = world.rows("SELECT sides, field, left_value, right_value, reason FROM proof_differences ORDER BY sides")
    assert [(row[0], row[1], row[4]) for row in stored] == [(sides, "close", "unexplained") for sides in sorted(BOTH)]
    assert [(row[2], row[3]) for row in stored] == [
        (each.left_value, each.right_value) for each in sorted(report.differences, key=lambda each: each.sides)
    ]


@pytest.mark.parametrize("name", [QUIET, QUIET_PERPETUAL])
def test_one_dropped_trade_is_found_by_its_id(world: ProofWorld, name: str) -> None:
    minute = busiest(world, name)
    trades = world.true_trades(name)
    within = [each for each in trades if each.time_ms // MINUTE_MS == START // MINUTE_MS + minute]
    dropped = within[len(within) // 2]
    world.stream(name, without_trades={dropped.trade_id})
    report = world.prove(name)
    assert {(minute, sides, "volume") for sides in ("streamed/rebuilt", "rebuilt/exchange")} <= set(told(report))
    assert set(told(report).values()) == {(Reason.TRADE_MISSING.value, f"trades {dropped.trade_id}")}
    [volume] = [each for each in report.differences if (each.sides, each.field) == ("rebuilt/exchange", "volume")]
    assert volume.left_value is not None
    assert volume.right_value is not None
    assert Decimal(volume.right_value) - Decimal(volume.left_value) == dropped.quantity


def test_the_day_s_first_trade_is_missed_by_the_number_of_the_day_before(world: ProofWorld) -> None:
    world.begun_before(QUIET)
    first = world.true_trades(QUIET)[0]
    world.stream(QUIET, without_trades={first.trade_id})
    assert set(told(world.prove(QUIET)).values()) == {(Reason.TRADE_MISSING.value, f"trades {first.trade_id}")}


def test_a_removed_minute_is_found_and_a_gap_explains_it(world: ProofWorld) -> None:
    minutes = world.true_minutes(QUIET)
    minute = busiest(world, QUIET)
    del minutes[minute]
    world.stream(QUIET, minutes=minutes)
    missing = told(world.prove(QUIET))
    assert missing == {
        (minute, sides, "minute"): (Reason.MINUTE_MISSING.value, "rebuilt and exchange agree") for sides in BOTH
    }
    start = datetime(2026, 11, 16, tzinfo=UTC) + timedelta(minutes=minute)
    with world.platform.warehouse.begin() as conn:
        gap = GapRecord(
            world.row(QUIET).id, "candles", start, "missing_candle", interval="1m", end=start + timedelta(minutes=1)
        )
        record_gaps(conn, [gap])
    report = world.prove(QUIET)
    assert {reason for reason, _ in told(report).values()} == {Reason.GAP.value}
    assert all(detail.startswith("gap 1 (candles missing_candle") for _, detail in told(report).values())
    assert report.unexplained == ()
    stored = world.rows("SELECT differences, unexplained FROM proof_days")
    assert stored == [(2, 0)], "what was found before is replaced"


def test_an_exchange_that_says_otherwise_now_is_told_from_a_wrong_stream(world: ProofWorld) -> None:
    minutes = world.true_minutes(QUIET)
    minute = busiest(world, QUIET)
    world.stream(QUIET)
    source = ScriptedHistory()
    world.open_history = source.open
    with_change = minutes | {minute: minutes[minute] | {"volume": minutes[minute]["volume"] + 1}}
    source.answers["candles_1m", MONDAY] = world.day_of(with_change)
    report = world.prove(QUIET)
    assert told(report) == {
        (minute, sides, "volume"): (Reason.REISSUED.value, "streamed and rebuilt agree")
        for sides in ("streamed/exchange", "rebuilt/exchange")
    }


def test_candles_built_here_of_the_same_trades_are_no_witness(world: ProofWorld) -> None:
    minutes = world.true_minutes(QUIET)
    minute = busiest(world, QUIET)
    world.stream_candles(QUIET, minutes, CandleRank.LIVE_STREAM)
    world.stream_trades(QUIET, world.true_trades(QUIET))
    source = ScriptedHistory()
    world.open_history = source.open
    source.answers["candles_1m", MONDAY] = world.day_of(
        minutes | {minute: minutes[minute] | {"volume": minutes[minute]["volume"] + 1}}
    )
    assert {reason for reason, _ in told(world.prove(QUIET)).values()} == {Reason.UNEXPLAINED.value}


def test_a_day_in_which_the_record_began_is_held_to_what_it_has(world: ProofWorld) -> None:
    minutes = {number: each for number, each in world.true_minutes(QUIET).items() if number >= 600}
    trades = [each for each in world.true_trades(QUIET) if each.time_ms >= START + 700 * MINUTE_MS]
    world.stream_candles(QUIET, minutes)
    world.stream_trades(QUIET, trades)
    report = world.prove(QUIET)
    assert report.differences
    assert {each.reason for each in report.differences} == {Reason.NOT_RECORDED}
    first = (trades[0].time_ms - START) // MINUTE_MS
    assert max(each.time_ms for each in report.differences) <= START + first * MINUTE_MS


# ------------------------------------------------------------------------------------------------------------------- left out


def test_quotes_make_no_candles_and_the_proof_says_so(world: ProofWorld) -> None:
    world.stream_candles(EUR, world.true_minutes(EUR))
    report = world.prove(EUR)
    assert report.left_out == {Side.REBUILT: CONFLATED}
    assert list(report.compared) == ["streamed/exchange"]
    assert report.differences == ()


def test_a_market_without_numbered_trades_is_proved_too(world: ProofWorld) -> None:
    world.stream(HYPER)
    report = world.prove(HYPER)
    assert report.unexplained == ()
    assert report.compared["rebuilt/exchange"] == 1440


def test_sides_that_can_t_be_had_are_left_out_and_named(world: ProofWorld) -> None:
    source = ScriptedHistory(refused={"candles_1m": ExchangeUnavailableError("the exchange does not answer")})
    world.open_history = source.open
    report = world.prove(QUIET)
    assert report.compared == {}
    assert report.left_out[Side.STREAMED] == "no minute candle of the day is stored"
    assert "was it compacted?" in report.left_out[Side.REBUILT]
    assert report.left_out[Side.EXCHANGE] == "not answered: the exchange does not answer"


def test_an_exchange_that_does_not_answer_is_asked_again_first(world: ProofWorld) -> None:
    source = ScriptedHistory(refused={"candles_1m": ExchangeUnavailableError("the exchange does not answer")})
    world.open_history = source.open
    with pytest.raises(DayFailedError, match="does not answer"):
        world.prove(QUIET, last_attempt=False)
    assert world.rows("SELECT count(*) FROM proof_days") == [(0,)]


def test_candles_that_were_fetched_again_are_no_stream_any_more(world: ProofWorld) -> None:
    world.stream(QUIET)
    with world.platform.warehouse.begin() as conn:
        made_of = {MONDAY: (RawInput("a file", "0" * 64, 1, 1440),)}
        record_inputs_of_days(conn, world.row(QUIET).id, "candles_1m", made_of, "history")
    assert "fetched again" in world.prove(QUIET).inputs["note"]


# -------------------------------------------------------------------------------------------------------------------- Dagster


def test_the_asset_says_what_was_compared_and_its_check_passes(world: ProofWorld) -> None:
    world.stream(QUIET)
    with dg.DagsterInstance.ephemeral() as instance:
        result = world.run(instance, QUIET)
        assert result.success
        [check] = result.get_asset_check_evaluations()
        assert (check.check_name, check.passed) == ("candles_agree", True)
        [shown] = instance.fetch_materializations(dg.AssetKey(["binance", "COIN010USDT", "proof"]), limit=5).records
    assert shown.partition_key == "2026-11-16"
    assert shown.asset_materialization is not None
    values = {name: each.value for name, each in shown.asset_materialization.metadata.items()}
    assert (values["minutes"], values["differences"], values["reasons"]) == (1440, 0, "none")
    assert values["compared_rebuilt_exchange"] == 1440
    recorded = world.rows("SELECT check_type, passed FROM data_quality")
    assert recorded == [("candles_agree", True)]


def test_the_check_fails_for_what_nothing_explains_and_warns_for_the_rest(world: ProofWorld) -> None:
    minutes = world.true_minutes(QUIET)
    minute = busiest(world, QUIET)
    within = [each for each in world.true_trades(QUIET) if (each.time_ms - START) // MINUTE_MS == minute]
    world.stream(QUIET, without_trades={within[len(within) // 2].trade_id})
    with dg.DagsterInstance.ephemeral() as instance:
        [check] = world.run(instance, QUIET).get_asset_check_evaluations()
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
        world.stream_candles(QUIET, {minute: minutes[minute] | {"volume": minutes[minute]["volume"] + 1}})
        result = world.run(instance, QUIET)
        assert result.success, "a report is made all the same"
        [check] = result.get_asset_check_evaluations()
        [newest, _] = instance.fetch_materializations(dg.AssetKey(["binance", "COIN010USDT", "proof"]), limit=5).records
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.metadata["problems"].value
    assert newest.asset_materialization is not None
    metadata = newest.asset_materialization.metadata
    table = metadata["first_differences"]
    assert isinstance(table, dg.TableMetadataValue)
    first = table.records[0].data
    assert (first["sides"], first["field"], first["reason"]) == ("streamed/exchange", "volume", "unexplained")


def test_one_bad_day_of_a_run_fails_and_the_others_are_kept(world: ProofWorld) -> None:
    world.begun_before(QUIET)
    world.stream(QUIET)
    [(key,)] = world.rows("SELECT object_key FROM lake_days WHERE day = '2026-11-16'")
    world.platform.lake.delete(key)
    with dg.DagsterInstance.ephemeral() as instance:
        result = world.run(instance, QUIET, SUNDAY)
        assert not result.success
        [failure] = [event for event in result.all_events if event.is_step_failure]
        found = instance.fetch_materializations(dg.AssetKey(["binance", "COIN010USDT", "proof"]), limit=5).records
    assert "2026-11-16" in str(failure.step_failure_data.user_failure_data)
    assert [each.partition_key for each in found] == ["2026-11-15"]
    assert world.rows("SELECT day::text FROM proof_days") == [("2026-11-15",)]


def test_the_schedule_proves_yesterday_before_history_writes_over_it(world: ProofWorld) -> None:
    definitions = world.definitions()
    schedules = {each.name: each for each in definitions.schedules or () if isinstance(each, dg.ScheduleDefinition)}
    assert schedules["prove_yesterday"].cron_schedule == "30 3 * * *"
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 11, 17, 3, 30, tzinfo=UTC),
            repository_def=definitions.get_repository_def(),
        )
        requests = list(schedules["prove_yesterday"].evaluate_tick(context).run_requests or ())
    assert {request.partition_key for request in requests} == {"2026-11-16"}
    keys = {key.to_user_string() for request in requests for key in request.asset_selection or ()}
    assert keys == {f"{name}/proof" for name in world.pairs}
