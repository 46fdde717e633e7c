"""The repair sensor tick by tick on a real instance: what it asks for, what it leaves alone, and that it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import stamina
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData

from market_platform.defs.names import RANGE_END_TAG, RANGE_START_TAG
from market_platform.defs.schedules import YESTERDAY
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.defs_world import NOW, DefsWorld, dagster_on_postgres

CANDLES = [f"candles_{name}" for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d")]
LAYERS = ["ticks", *CANDLES]
MONDAY, TUESDAY, WEDNESDAY, FRIDAY, SATURDAY = (date(2024, 3, day) for day in (4, 5, 6, 8, 9))
YESTERDAY_OF_NOW = date(2024, 3, 11)
REPOSITORY = RemoteRepositoryOrigin(
    GrpcServerCodeLocationOrigin(host="127.0.0.1", port=4266, location_name="market_platform"), "__repository__"
)


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(seed=7, clock=lambda: NOW)) as running:
        yield running


@pytest.fixture
def world(exchange: RunningReplay, database_url: str, tmp_path: Path) -> Iterator[DefsWorld]:
    exchange.faults.clear()
    made = DefsWorld(database_url, exchange, tmp_path, symbols=("EURUSD", "GBPUSD"))
    with stamina.set_testing(True, attempts=5, cap=True):
        yield made
    made.close()
    exchange.faults.clear()


@pytest.fixture
def instance(world: DefsWorld) -> Iterator[dg.DagsterInstance]:
    with dagster_on_postgres(world.settings, world.database_url) as made:
        yield made


class Ticks:
    """The sensor, evaluated again and again as the daemon does, its cursor carried on."""

    def __init__(self, world: DefsWorld, instance: dg.DagsterInstance) -> None:
        self.world, self.instance, self.cursor = world, instance, ""
        [self.sensor] = [each for each in world.definitions.sensors or () if each.name == "repair_partitions"]

    def tick(self, after: timedelta = timedelta(minutes=2)) -> list[dg.RunRequest]:
        """Let time pass, evaluate, and keep the cursor."""
        self.world.now += after
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

    def queue(self, request: dg.RunRequest) -> str:
        """Leave what was requested in the queue."""
        job = self.world.definitions.resolve_job_def(str(request.job_name))
        run = self.instance.create_run_for_job(
            job.get_subset(asset_selection=set(request.asset_selection or ())),
            asset_selection=frozenset(request.asset_selection or ()),
            status=dg.DagsterRunStatus.QUEUED,
            remote_job_origin=RemoteJobOrigin(REPOSITORY, str(request.job_name)),
            tags={**request.tags, **({"dagster/partition": request.partition_key} if request.partition_key else {})},
        )
        return run.run_id


@pytest.fixture
def ticks(world: DefsWorld, instance: dg.DagsterInstance) -> Ticks:
    return Ticks(world, instance)


def schedule_runs_since(instance: dg.DagsterInstance, since: datetime, *, running: bool = True) -> None:
    """What the daemon stores when it first sees the daily schedule."""
    origin = RemoteInstigatorOrigin(REPOSITORY, YESTERDAY)
    status = InstigatorStatus.DECLARED_IN_CODE if running else InstigatorStatus.STOPPED
    instance.add_instigator_state(
        InstigatorState(origin, InstigatorType.SCHEDULE, status, ScheduleInstigatorData("0 2 * * *", since.timestamp()))
    )


def asked(requests: list[dg.RunRequest]) -> set[tuple[str, str, str, int]]:
    """Pair, first and last partition, and number of layers of each request."""
    return {
        (
            request.tags["market/pair"].removeprefix("dukascopy/"),
            request.tags.get(RANGE_START_TAG) or str(request.partition_key),
            request.tags.get(RANGE_END_TAG) or str(request.partition_key),
            len(request.asset_selection or ()),
        )
        for request in requests
    }


def test_nothing_is_asked_for_while_nobody_has_begun(ticks: Ticks) -> None:
    assert ticks.tick() == []


def test_a_backfill_of_some_recent_days_is_not_extended(
    ticks: Ticks, world: DefsWorld, instance: dg.DagsterInstance
) -> None:
    assert world.run(instance, LAYERS, MONDAY, TUESDAY).success
    assert ticks.tick() == []


def test_days_the_schedule_did_not_bring_are_asked_for_once_and_heal(
    ticks: Ticks, world: DefsWorld, instance: dg.DagsterInstance
) -> None:
    schedule_runs_since(instance, datetime(2024, 3, 4, 12, tzinfo=UTC))
    for symbol in ("EURUSD", "GBPUSD"):
        assert world.run(instance, LAYERS, MONDAY, TUESDAY, symbol=symbol).success
    assert world.run(instance, LAYERS, WEDNESDAY, YESTERDAY_OF_NOW, symbol="GBPUSD").success

    requests = ticks.tick()
    assert asked(requests) == {("EURUSD", "2024-03-06", "2024-03-11", 9), ("GBPUSD", "2024-03-04", "2024-03-04", 1)}
    assert all(ticks.execute(request).success for request in requests)
    week = ticks.tick()
    assert asked(week) == {("EURUSD", "2024-03-04", "2024-03-04", 1)}
    assert ticks.execute(week[0]).success
    assert ticks.tick() == []
    assert ticks.cursor == "[]"


def test_a_schedule_that_is_switched_off_misses_nothing(
    ticks: Ticks, world: DefsWorld, instance: dg.DagsterInstance
) -> None:
    schedule_runs_since(instance, datetime(2024, 3, 4, 12, tzinfo=UTC), running=False)
    assert world.run(instance, LAYERS, MONDAY, MONDAY).success
    assert ticks.tick() == []


def test_what_is_queued_is_not_asked_for_again(ticks: Ticks, world: DefsWorld, instance: dg.DagsterInstance) -> None:
    schedule_runs_since(instance, datetime(2024, 3, 7, 12, tzinfo=UTC))
    [one, other] = sorted(ticks.tick(), key=lambda each: each.tags["market/pair"])
    assert asked([one, other]) == {("EURUSD", "2024-03-07", "2024-03-11", 9), ("GBPUSD", "2024-03-07", "2024-03-11", 9)}
    ticks.queue(one)
    ticks.queue(other)
    for _ in range(5):
        assert ticks.tick(timedelta(hours=3)) == []


def test_a_day_that_a_person_s_backfill_is_about_to_fetch_is_left_alone(
    ticks: Ticks, world: DefsWorld, instance: dg.DagsterInstance
) -> None:
    schedule_runs_since(instance, datetime(2024, 3, 7, 12, tzinfo=UTC))
    instance.add_backfill(
        PartitionBackfill(
            backfill_id="by-hand",
            status=BulkActionStatus.REQUESTED,
            from_failure=False,
            tags={},
            backfill_timestamp=world.now.timestamp(),
            asset_selection=[world.key("ticks")],
        )
    )
    assert {pair for pair, *_ in asked(ticks.tick())} == {"GBPUSD"}


def test_a_bad_day_is_asked_for_ever_more_rarely_and_given_up_in_the_end(
    ticks: Ticks, world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay
) -> None:
    exchange.fail("(/ticks/EUR-USD/2024/3/8/10$|/EURUSD/2024/02/08/10h_ticks)", "wrong_types", times=100_000)
    assert not world.run(instance, LAYERS, FRIDAY, FRIDAY).success
    moments: list[datetime] = []
    for _ in range(24 * 5):
        for request in ticks.tick(timedelta(hours=1)):
            assert asked([request]) == {("EURUSD", "2024-03-08", "2024-03-08", 9)}
            moments.append(world.now)
            assert not ticks.execute(request).success
    assert len(moments) == 6
    assert moments[-1] - moments[0] > timedelta(days=1)


def test_a_bad_day_that_turns_good_heals(
    ticks: Ticks, world: DefsWorld, instance: dg.DagsterInstance, exchange: RunningReplay
) -> None:
    exchange.fail("(/ticks/EUR-USD/2024/3/8/10$|/EURUSD/2024/02/08/10h_ticks)", "empty_once", times=100_000)
    assert world.run(instance, LAYERS, FRIDAY, SATURDAY).success
    with psycopg.connect(world.database_url) as connection:
        found = connection.execute("SELECT day::text, condition FROM lake_days ORDER BY day").fetchall()
    assert found == [("2024-03-08", "degraded"), ("2024-03-09", "closed")]
    world.now = datetime.now(UTC).replace(year=2024, month=3, day=12)  # rows are written by the database's own clock
    exchange.faults.clear()
    with psycopg.connect(world.database_url) as connection:
        connection.execute("UPDATE lake_days SET written_at = %s", (world.now,))
        connection.execute("UPDATE candle_days SET written_at = %s", (world.now,))
    assert ticks.tick() == [], "found out just now"
    [request] = ticks.tick(timedelta(minutes=15))
    assert asked([request]) == {("EURUSD", "2024-03-08", "2024-03-08", 9)}
    assert ticks.execute(request).success
    assert ticks.tick() == []


def test_a_run_killed_between_commit_and_report_is_reported_later(
    world: DefsWorld, make_database: Callable[[], str]
) -> None:
    """The database has the day and Dagster was never told: the next run finds nothing to change and turns it green."""
    with dg.DagsterInstance.ephemeral() as forgotten:
        assert world.run(forgotten, LAYERS, FRIDAY, FRIDAY).success
    with dagster_on_postgres(world.settings, make_database()) as fresh:
        other = Ticks(world, fresh)
        [request] = other.tick()
        assert asked([request]) == {("EURUSD", "2024-03-08", "2024-03-08", 9)}
        assert other.execute(request).success
        assert other.tick() == []


def test_candles_alone_are_asked_for_where_the_ticks_are_fine(
    ticks: Ticks, world: DefsWorld, instance: dg.DagsterInstance
) -> None:
    assert world.run(instance, ["ticks"], FRIDAY, FRIDAY).success
    [request] = ticks.tick()
    assert asked([request]) == {("EURUSD", "2024-03-08", "2024-03-08", 8)}
    assert ticks.execute(request).success
    assert ticks.tick() == []


def test_a_tick_asks_for_a_bounded_number_of_runs(exchange: RunningReplay, database_url: str, tmp_path: Path) -> None:
    symbols = ("EURUSD", "GBPUSD", "USDJPY", "AUDUSD", "USDCAD", "USDCHF")
    world = DefsWorld(database_url, exchange, tmp_path, symbols=symbols, overrides={"repair_runs_per_tick": 2})
    with closing(world), dagster_on_postgres(world.settings, database_url) as instance:
        schedule_runs_since(instance, datetime(2024, 3, 7, 12, tzinfo=UTC))
        many = Ticks(world, instance)
        first = many.tick()
        assert len(first) == 2
        running = [many.queue(request) for request in first]
        assert many.tick() == [], "two are going on, which is all there is room for"
        for run_id in running:
            run = instance.get_run_by_id(run_id)
            assert run is not None
            instance.report_run_failed(run)
        second = many.tick()
        assert len(second) == 2
        assert {pair for pair, *_ in asked(second)}.isdisjoint(pair for pair, *_ in asked(first)), "new trouble first"
