"""Streamed pairs in Dagster: day files, repair of gaps, and what the stream wrote as materialisations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from market_platform.defs.build import build_defs
from market_platform.defs.gaps import gap_job_name, gap_op_name
from market_platform.defs.names import EXCHANGE_TAG, RANGE_END_TAG, RANGE_START_TAG, TRIGGER_TAG
from market_platform.defs.partition_states import partition_states
from market_platform.defs.partitions import Partitions
from market_platform.defs.policies import Policies
from market_platform.defs.resources import resources
from market_platform.domain.clock import to_ms
from market_platform.domain.errors import ExchangeUnavailableError
from market_platform.domain.live import LivePair
from market_platform.domain.trades import Trades
from market_platform.lake.parts import list_parts, write_trade_parts
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.platform import Platform
from market_platform.settings import load_settings
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.gaps import Gap, GapFilter, GapRecord, list_gaps, record_gaps
from market_platform.warehouse.stream_days import StreamDayAddition, add_stream_days
from market_platform.warehouse.stream_health import StreamState, save_stream_state
from market_platform_tests.fixtures.defs_world import dagster_on_postgres
from market_platform_tests.fixtures.live_reference import STARLISTINGS, ScriptedExchange, synced_live_pairs
from market_platform_tests.fixtures.reference import small_config
from market_platform_tests.fixtures.scripted_rest import ScriptedRest, made_trade

DAY = date(2026, 3, 10)
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
BTC = "binance/BTCUSDT"
TRADES_KEY, PARTS_KEY = (
    dg.AssetKey(["binance", "BTCUSDT", "trades"]),
    dg.AssetKey(["binance", "BTCUSDT", "stream_trades"]),
)


class World:
    """Definitions of streamed pairs on a real database and lake, an exchange that follows a script, and a clock."""

    def __init__(self, warehouse: Warehouse, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.warehouse = warehouse
        self.pairs = synced_live_pairs(warehouse)
        self.now = MIDNIGHT + timedelta(days=1, hours=2)
        self.rest = ScriptedRest(to_ms(self.now))
        self.settings = load_settings(_env_file=None, market_data_dir=folder)
        monkeypatch.setattr(
            "market_platform.exchanges.registry.live_exchange",
            lambda code, _settings, _clock: ScriptedExchange(code, self.rest),
        )
        self.platform = Platform.from_settings(self.settings, warehouse.url, self.clock)
        self.definitions = build_defs(
            small_config(STARLISTINGS).pairs(),
            self.settings,
            resources=resources(
                lambda: Platform.from_settings(self.settings, warehouse.url, self.clock),
                lambda: create_warehouse(warehouse.url, pool_size=2),
            ),
            policies=Policies.standard(31, retry_delay_s=0.01),
            clock=self.clock,
        )
        self.instance = dg.DagsterInstance.ephemeral()

    def clock(self) -> datetime:
        return self.now

    @property
    def pair(self) -> LivePair:
        return self.pairs[BTC]

    def tick(self, name: str) -> list[dg.RunRequest]:
        """Evaluate a sensor as the daemon does; the runs it asks for."""
        [sensor] = [each for each in self.definitions.sensors or () if each.name == name]
        context = dg.build_sensor_context(
            instance=self.instance, definitions=self.definitions, resources={"warehouse": self.warehouse}
        )
        return list(sensor.evaluate_tick(context).run_requests or ())

    def execute(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run what was requested, as the daemon would."""
        job = self.definitions.resolve_job_def(str(request.job_name or "compaction"))
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=list(request.asset_selection) if request.asset_selection else None,
            run_config=request.run_config,
            tags=dict(request.tags),
            raise_on_error=False,
        )

    def compact(self, first: date, last: date) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def("compaction")
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=[TRADES_KEY],
            tags={RANGE_START_TAG: first.isoformat(), RANGE_END_TAG: last.isoformat()},
            raise_on_error=False,
        )

    def stream_trades(self, first_id: int, count: int, start: datetime = MIDNIGHT) -> None:
        """As the streamer: a part of trades a second apart, and its count of the day."""
        trades = [made_trade("BTCUSDT", each, to_ms(start)) for each in range(first_id, first_id + count)]
        parts = write_trade_parts(
            self.platform.lake,
            "binance",
            "BTCUSDT",
            Trades.from_events(trades),
            {"run_id": "stream", "code_version": "1"},
        )
        with self.warehouse.begin() as conn:
            for part in parts:
                add_stream_days(conn, [StreamDayAddition(self.pair.id, "trades", part.day, part.rows, start, start)])

    def materialisations(self, key: dg.AssetKey) -> list[dg.EventLogEntry]:
        found = self.instance.fetch_materializations(key, limit=1_000).records
        return [record.event_log_entry for record in reversed(found)]

    def partitions(self, key: dg.AssetKey) -> list[str | None]:
        return [
            entry.asset_materialization.partition for entry in self.materialisations(key) if entry.asset_materialization
        ]

    def metadata(self, key: dg.AssetKey) -> dict[str, object]:
        materialisation = self.materialisations(key)[-1].asset_materialization
        assert materialisation is not None
        return {name: value.value for name, value in materialisation.metadata.items()}

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.warehouse.url, autocommit=True) as conn:
            conn.execute(statement)

    def gaps(self) -> list[Gap]:
        with self.warehouse.connect() as conn:
            return sorted(list_gaps(conn, GapFilter()), key=lambda gap: gap.id)

    def record(self, *gaps: GapRecord) -> None:
        with self.warehouse.begin() as conn:
            record_gaps(conn, gaps)

    def close(self) -> None:
        self.platform.close()
        self.instance.dispose()


@pytest.fixture
def world(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(warehouse, tmp_path, monkeypatch)
    yield made
    made.close()


# ---------------------------------------------------------------------------------------------------------------- compaction


def test_a_day_of_parts_becomes_one_file_whose_numbers_are_shown(world: World) -> None:
    world.stream_trades(0, 1_000)
    world.stream_trades(900, 1_000)
    result = world.compact(DAY, DAY)
    assert result.success
    shown = world.metadata(TRADES_KEY)
    assert (shown["rows"], shown["parts"], shown["duplicates_dropped"], shown["changed"]) == (1_900, 2, 100, True)
    assert shown["bytes"]
    assert shown["data_version"]
    assert list_parts(TRADE_DAYS, world.platform.lake, "binance", "BTCUSDT", DAY) == []
    assert world.compact(DAY, DAY).success
    assert (world.metadata(TRADES_KEY)["changed"], world.metadata(TRADES_KEY)["rows"]) == (False, 1_900)


def test_a_run_of_several_days_reports_each(world: World) -> None:
    world.stream_trades(0, 90_000)  # 25 hours
    assert world.compact(DAY - timedelta(days=1), DAY + timedelta(days=1)).success
    assert sorted(map(str, world.partitions(TRADES_KEY))) == ["2026-03-09", "2026-03-10", "2026-03-11"]


def test_lake_statistics_count_trades_and_name_streamed_days_left_failed(world: World) -> None:
    world.stream_trades(0, 90_000)  # 25 hours
    next_day = DAY + timedelta(days=1)
    [part] = list_parts(TRADE_DAYS, world.platform.lake, "binance", "BTCUSDT", next_day)
    whole = world.platform.lake.get(part)
    world.platform.lake.replace(part, whole[:100])
    assert world.compact(DAY, DAY).success
    assert not world.compact(next_day, next_day).success
    job = world.definitions.resolve_job_def("lake_statistics")

    result = job.execute_in_process(instance=world.instance)

    shown = world.metadata(dg.AssetKey(["binance", "lake_statistics"]))
    assert (shown["pairs"], shown["days"], shown["ticks"], shown["trades"]) == (1, 1, 0, 86_400)
    assert shown["gaps"] == 1, "the day on which the stream began is degraded"
    symbols = shown["symbols"]
    assert isinstance(symbols, dg.TableMetadataValue)
    assert [(each.data["symbol"], each.data["kind"], each.data["rows"]) for each in symbols.records] == [
        ("BTCUSDT", "trades", 86_400)
    ]
    assert world.metadata(dg.AssetKey(["oanda", "lake_statistics"]))["pairs"] == 0
    checks = {each.asset_key.path[0]: each for each in result.get_asset_check_evaluations()}
    assert {exchange: each.passed for exchange, each in checks.items()} == {
        "binance": False,
        "hyperliquid": True,
        "oanda": True,
    }
    failed = checks["binance"].metadata["failed"]
    assert isinstance(failed, dg.TableMetadataValue)
    assert [dict(each.data) for each in failed.records] == [
        {"asset": "binance/BTCUSDT/trades", "partition": "2026-03-11"}
    ]
    world.platform.lake.replace(part, whole)
    assert world.compact(next_day, next_day).success
    again = job.execute_in_process(instance=world.instance)
    assert all(each.passed for each in again.get_asset_check_evaluations())
    assert world.metadata(dg.AssetKey(["binance", "lake_statistics"]))["trades"] == 90_000


def test_the_schedule_asks_for_yesterday_of_every_streamed_pair(world: World) -> None:
    [schedule] = [each for each in world.definitions.schedules or () if each.name == "compact_yesterday"]
    assert isinstance(schedule, dg.ScheduleDefinition)
    context = dg.build_schedule_context(
        instance=world.instance,
        scheduled_execution_time=datetime(2026, 3, 11, 0, 30, tzinfo=UTC),
        repository_def=world.definitions.get_repository_def(),
    )
    requests = list(schedule.evaluate_tick(context).run_requests or ())
    assert {request.partition_key for request in requests} == {"2026-03-10"}
    keys = {key.to_user_string() for request in requests for key in request.asset_selection or ()}
    assert keys == {
        "binance/BTCUSDT/trades",
        "binance/BTCUSDT.P/trades",
        "hyperliquid/BTCUSD/trades",
        "oanda/EURUSD/ticks",
    }


def test_parts_that_come_after_the_file_are_taken_in_and_then_it_is_quiet(world: World) -> None:
    world.stream_trades(0, 100)
    world.sql("UPDATE stream_days SET updated_at = updated_at - interval '1 hour'")
    world.now = datetime.now(UTC)
    world.sql(f"UPDATE stream_days SET day = '{(world.now - timedelta(days=2)).date()}'")
    day = (world.now - timedelta(days=2)).date()
    world.stream_trades(0, 100, datetime(day.year, day.month, day.day, tzinfo=UTC))
    world.sql("UPDATE stream_days SET updated_at = updated_at - interval '1 hour'")
    [request] = world.tick("compact_late_parts")
    assert (request.partition_key, request.asset_selection) == (day.isoformat(), [TRADES_KEY])
    assert world.execute(request).success
    assert world.metadata(TRADES_KEY)["rows"] == 100
    assert world.tick("compact_late_parts") == []

    world.stream_trades(50, 100, datetime(day.year, day.month, day.day, tzinfo=UTC))
    assert world.tick("compact_late_parts") == [], "more may come"
    world.now += timedelta(minutes=6)
    [again] = world.tick("compact_late_parts")
    assert again.run_key != request.run_key
    assert world.execute(again).success
    assert world.metadata(TRADES_KEY)["rows"] == 150

    world.stream_trades(20, 10, datetime(day.year, day.month, day.day, tzinfo=UTC))  # nothing new in it
    world.now += timedelta(minutes=6)
    [request] = world.tick("compact_late_parts")
    assert world.execute(request).success
    assert world.tick("compact_late_parts") == [], "the file did not change, and that is fine"


# ------------------------------------------------------------------------------------------------------------------- lineage


def test_what_was_streamed_becomes_materialisations_with_rows_lag_and_gaps(world: World) -> None:
    pair = world.pair
    noon = MIDNIGHT + timedelta(hours=12)
    world.record(GapRecord(pair.id, "candles", noon, "disconnect", end=noon + timedelta(minutes=1)))
    with world.warehouse.begin() as conn:
        add_stream_days(
            conn,
            [
                StreamDayAddition(pair.id, "trades", DAY, 500, noon, noon + timedelta(hours=1), 12.34),
                StreamDayAddition(pair.id, "candles_1m", DAY, 1_440, MIDNIGHT, noon, 80.0),
                StreamDayAddition(world.pairs["binance/BTCUSDT.P"].id, "funding_rates", DAY, 9),
                StreamDayAddition(world.pairs["oanda/EURUSD"].id, "ticks", DAY, 7),
                StreamDayAddition(world.pairs["oanda/EURUSD"].id, "no_such_layer", DAY, 7),
            ],
        )
    assert world.tick("report_stream_days") == []
    shown = world.metadata(PARTS_KEY)
    assert (shown["rows"], shown["lag_ms"], shown["gaps"]) == (500, 12.3, 0)
    assert shown["last_time"] == (noon + timedelta(hours=1)).timestamp()
    assert world.metadata(dg.AssetKey(["binance", "BTCUSDT", "candles_1m"]))["gaps"] == 1
    assert world.partitions(dg.AssetKey(["binance", "BTCUSDT.P", "funding_rates"])) == ["2026-03-10"]
    assert world.partitions(dg.AssetKey(["oanda", "EURUSD", "stream_ticks"])) == ["2026-03-10"]


def test_a_day_is_reported_again_only_when_there_is_more_and_one_in_progress_every_hour(world: World) -> None:
    pair, today = world.pair, world.now.date()

    def stream(day: date) -> None:
        with world.warehouse.begin() as conn:
            add_stream_days(conn, [StreamDayAddition(pair.id, "trades", day, 10)])
        world.tick("report_stream_days")

    stream(DAY)
    world.tick("report_stream_days")
    assert world.partitions(PARTS_KEY) == ["2026-03-10"]
    stream(DAY)
    assert world.metadata(PARTS_KEY)["rows"] == 20
    stream(today)
    stream(today)
    assert world.partitions(PARTS_KEY) == ["2026-03-10", "2026-03-10", "2026-03-11"]
    world.sql("UPDATE stream_days SET reported_at = reported_at - interval '61 minutes'")
    stream(today)
    assert world.metadata(PARTS_KEY)["rows"] == 30
    assert len(world.partitions(PARTS_KEY)) == 5, "the day before is told again as well, its mark was moved"


def test_the_instance_of_dagster_yaml_takes_reports_and_counts_the_day_in_progress_as_a_partition(world: World) -> None:
    world.now = datetime.now(UTC)
    today = world.now.date()
    with world.warehouse.begin() as conn:
        add_stream_days(conn, [StreamDayAddition(world.pair.id, "trades", today, 10)])
    with dagster_on_postgres(world.settings, world.warehouse.url) as instance:
        world.instance.dispose()
        world.instance = instance
        world.tick("report_stream_days")
        assert world.partitions(PARTS_KEY) == [today.isoformat()]
        states = partition_states(instance, PARTS_KEY, Partitions.standard().live_days, [today])
        assert states == {today: "MATERIALIZED"}


# ---------------------------------------------------------------------------------------------------------------------- gaps


def candle_gap(pair: LivePair, minute: int = 0) -> GapRecord:
    start = MIDNIGHT + timedelta(minutes=minute)
    return GapRecord(pair.id, "candles", start, "disconnect", end=start + timedelta(minutes=10), interval="1m")


def streamer_wrote(world: World, age: timedelta) -> None:
    """A streamer's state as of so long ago, by the database's clock, which the world's is set to."""
    world.now = datetime.now(UTC)
    with world.warehouse.begin() as conn:
        save_stream_state(conn, StreamState("streamer", world.now))
    world.now += age


def test_young_gaps_are_left_to_a_living_streamer(world: World) -> None:
    streamer_wrote(world, timedelta(seconds=5))
    world.record(candle_gap(world.pair))
    world.sql(
        "UPDATE gaps SET detected_at = now() - interval '10 minutes', attempts = 4, last_attempt_at = now() - interval '2 minutes'"
    )
    assert world.tick("take_over_gaps") == []


@pytest.mark.parametrize(
    "change",
    ["detected_at = now() - interval '16 minutes'", "attempts = 5, last_attempt_at = now() - interval '2 minutes'"],
)
def test_old_and_often_tried_gaps_are_taken_over(world: World, change: str) -> None:
    streamer_wrote(world, timedelta(seconds=5))
    world.record(candle_gap(world.pair), candle_gap(world.pairs["hyperliquid/BTCUSD"]))
    world.sql(f"UPDATE gaps SET {change} WHERE id = 1")
    [request] = world.tick("take_over_gaps")
    assert request.tags[EXCHANGE_TAG] == "binance"
    assert world.execute(request).success
    [repaired, _] = world.gaps()
    assert (repaired.state, repaired.repaired_rows) == ("repaired", 11)
    assert repaired.run_id
    assert world.tick("take_over_gaps") == []


def test_gaps_of_a_dead_streamer_are_taken_over_soon_a_run_an_exchange(world: World) -> None:
    streamer_wrote(world, timedelta(minutes=2))
    world.record(*(candle_gap(world.pair, each * 20) for each in range(60)), candle_gap(world.pairs["oanda/EURUSD"]))
    world.sql("UPDATE gaps SET detected_at = now() - interval '2 minutes'")
    requests = world.tick("take_over_gaps")
    assert {request.job_name for request in requests} == {gap_job_name("binance"), gap_job_name("oanda")}
    [binance] = [request for request in requests if request.tags[EXCHANGE_TAG] == "binance"]
    assert len(binance.run_config["ops"][gap_op_name("binance")]["config"]["gaps"]) == 50
    assert all(world.execute(request).success for request in requests)
    assert sum(gap.state == "open" for gap in world.gaps()) == 10
    [rest] = world.tick("take_over_gaps")
    assert rest.run_key != binance.run_key


def test_one_run_at_a_time_asks_an_exchange(world: World) -> None:
    streamer_wrote(world, timedelta(minutes=2))
    world.record(candle_gap(world.pair))
    world.sql("UPDATE gaps SET detected_at = now() - interval '2 minutes'")
    [request] = world.tick("take_over_gaps")
    job = world.definitions.resolve_job_def(gap_job_name("binance"))
    run = world.instance.create_run_for_job(
        job, run_config=request.run_config, tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED
    )
    assert run.tags[TRIGGER_TAG] == "gaps"
    assert world.tick("take_over_gaps") == []


def test_a_failed_repair_fails_its_run_and_is_asked_for_again_later(world: World) -> None:
    streamer_wrote(world, timedelta(minutes=2))
    world.record(candle_gap(world.pair))
    world.sql("UPDATE gaps SET detected_at = now() - interval '2 minutes'")
    world.rest.faults = [ExchangeUnavailableError("503 from the exchange")]
    [request] = world.tick("take_over_gaps")
    result = world.execute(request)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "503 from the exchange" in str(failure.step_failure_data.user_failure_data)
    [gap] = world.gaps()
    assert (gap.state, gap.attempts, gap.last_error) == ("open", 1, "503 from the exchange")
    assert world.tick("take_over_gaps") == []
    world.sql("UPDATE gaps SET last_attempt_at = now() - interval '2 minutes'")
    [again] = world.tick("take_over_gaps")
    assert again.run_key != request.run_key
    assert world.execute(again).success


def test_gaps_of_pairs_that_are_not_streamed_any_more_are_given_up(world: World) -> None:
    streamer_wrote(world, timedelta(minutes=2))
    world.record(candle_gap(world.pair))
    world.sql("UPDATE gaps SET detected_at = now() - interval '2 minutes'")
    world.sql(f"UPDATE trading_pairs SET active = false WHERE id = {world.pair.id}")
    [request] = world.tick("take_over_gaps")
    assert world.execute(request).success
    assert [gap.unrepairable for gap in world.gaps()] == ["the pair is not streamed any more"]
