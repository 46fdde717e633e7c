"""The sensor that asks again for recent days of a past, tick by tick on a real instance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from market_platform.defs.jobs import HISTORY_DAYS
from market_platform.defs.names import history_day_layers
from market_platform.defs.past_state import PastState, find_ill
from market_platform.defs.schedules import HISTORY_AT, days_expected, nightly_layers
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.intervals import parse_interval
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.defs_world import dagster_on_postgres
from market_platform_tests.fixtures.history_world import NOW, HistoryWorld, past_world
from market_platform_tests.fixtures.scripted_history import ScriptedHistory, candle_day

SPOT = "binance/BTCUSDT"
SUNDAY, MONDAY, TUESDAY = (date(2026, 11, day) for day in (15, 16, 17))
MINUTE = parse_interval("1m")


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(world=past_world()) as running:
        yield running


class Ticks:
    """The sensor, evaluated again and again as the daemon does, its cursor carried on."""

    def __init__(self, world: HistoryWorld, source: ScriptedHistory, instance: dg.DagsterInstance) -> None:
        self.world, self.source, self.instance, self.cursor = world, source, instance, ""
        [self.sensor] = [each for each in world.definitions.sensors or () if each.name == "repair_history"]

    def tick(self, after: timedelta = timedelta(minutes=10)) -> list[dg.RunRequest]:
        """Let time pass, evaluate, and keep the cursor."""
        self.world.ahead += after
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=self.world.definitions,
            resources={"warehouse": self.world.warehouse},
        )
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return list(data.run_requests or ())

    def execute(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run what was requested, as the daemon would."""
        job = self.world.definitions.resolve_job_def(str(request.job_name))
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=list(request.asset_selection or ()),
            tags=dict(request.tags),
            raise_on_error=False,
        )


@pytest.fixture
def ticks(exchange: RunningReplay, database_url: str, tmp_path: Path) -> Iterator[Ticks]:
    source = ScriptedHistory()
    world = HistoryWorld(database_url, tmp_path, exchange, [SPOT], open_history=source.open)
    with dagster_on_postgres(world.settings, database_url) as instance:
        yield Ticks(world, source, instance)
    world.close()


def layers_of(request: dg.RunRequest) -> list[str]:
    return sorted(key.path[-1] for key in request.asset_selection or ())


def test_nothing_is_asked_for_that_nobody_began(ticks: Ticks) -> None:
    assert ticks.tick() == []


def test_what_failed_is_asked_for_again_and_nothing_else_until_it_heals(ticks: Ticks) -> None:
    ticks.source.answers["candles_1m", MONDAY] = BadPayloadError("a page repeats a candle")
    layers = ["history_candles_1m", "history_candles_1h"]
    assert not ticks.world.run(ticks.instance, SPOT, layers, SUNDAY, TUESDAY).success
    [request] = ticks.tick()
    assert (request.job_name, request.partition_key) == (HISTORY_DAYS, MONDAY.isoformat())
    assert layers_of(request) == ["history_candles_1m"]
    assert not ticks.execute(request).success
    assert ticks.tick(timedelta(minutes=10)) == [], "its delay is a quarter of an hour"
    [again] = ticks.tick(timedelta(minutes=10))
    assert again.tags["market/attempt"] == "2"
    ticks.source.answers.clear()
    assert ticks.execute(again).success
    assert ticks.tick(timedelta(days=1)) == []


def test_a_pending_day_is_asked_for_again_and_a_missing_one_is_an_answer(ticks: Ticks) -> None:
    none = range(1440)
    ticks.source.answers["candles_1m", TUESDAY] = candle_day(
        TUESDAY, MINUTE, without=none, condition=Condition.PENDING, missing=(), reason="not published yet"
    )
    ticks.source.answers["candles_1m", MONDAY] = candle_day(MONDAY, MINUTE, without=none, condition=Condition.MISSING)
    assert ticks.world.run(ticks.instance, SPOT, ["history_candles_1m"], SUNDAY, TUESDAY).success
    with ticks.world.warehouse.begin() as connection:  # rows are dated by the database's clock, which is not the test's
        connection.exec_driver_sql("UPDATE candle_days SET written_at = %s", (ticks.world.clock(),))
    assert ticks.tick(timedelta(minutes=10)) == []
    [request] = ticks.tick(timedelta(minutes=6))
    assert (request.partition_key, layers_of(request)) == (TUESDAY.isoformat(), ["history_candles_1m"])


def state(**more: object) -> PastState:
    layers = ("history_candles_1m", "history_trades")
    given: dict[str, object] = {
        "states": {layer: dict.fromkeys((SUNDAY, MONDAY, TUESDAY), "MATERIALIZED") for layer in layers},
        "nightly": layers[:1],
        **more,
    }
    return PastState(SPOT, SUNDAY, TUESDAY, **given)  # type: ignore[arg-type]


def test_days_the_schedule_was_to_bring_are_missed_in_the_layers_it_brings() -> None:
    nothing: dict[str, dict[date, str]] = {"history_candles_1m": {}, "history_trades": {}}
    found = list(find_ill(state(states=nothing, expected=(MONDAY, TUESDAY))))
    assert [(layer, each.day, each.reason) for layer, each in found] == [
        ("history_candles_1m", MONDAY, "missing"),
        ("history_candles_1m", TUESDAY, "missing"),
    ]
    assert list(find_ill(state(states=nothing))) == []
    assert list(find_ill(state(states=nothing, expected=(MONDAY, TUESDAY), in_flight=None))) == []
    busy = state(states=nothing, expected=(MONDAY, TUESDAY), in_flight=frozenset([MONDAY]))
    assert [each.day for _, each in find_ill(busy)] == [TUESDAY]


def test_the_schedule_is_on_duty_from_its_own_hour() -> None:
    before, after = datetime(2026, 11, 18, 4, 59, tzinfo=UTC), datetime(2026, 11, 18, 5, 1, tzinfo=UTC)
    assert days_expected(before, after, HISTORY_AT) == (TUESDAY, TUESDAY)
    assert days_expected(after, after, HISTORY_AT) == (date(2026, 11, 18), TUESDAY)


def test_every_night_brings_yesterday_of_every_pair_but_no_trades(ticks: Ticks) -> None:
    schedules = [each for each in ticks.world.definitions.schedules or () if isinstance(each, dg.ScheduleDefinition)]
    [schedule] = [each for each in schedules if each.name == "history_yesterday"]
    context = dg.build_schedule_context(
        instance=ticks.instance,
        scheduled_execution_time=NOW.replace(hour=5),
        repository_def=ticks.world.definitions.get_repository_def(),
    )
    [request] = schedule.evaluate_tick(context).run_requests or ()
    assert request.partition_key == "2026-11-17"
    pair = ticks.world.pair(SPOT)
    assert (
        layers_of(request) == sorted(set(history_day_layers(pair)) - {"history_trades"}) == sorted(nightly_layers(pair))
    )
