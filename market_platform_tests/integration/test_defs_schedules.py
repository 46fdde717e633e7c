"""Schedules on working days, weekends and holidays: which runs they ask for, and that those runs do the work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from market_platform.defs.cron import PAIRS_PER_RUN
from market_platform.defs.schedules import daily_requests
from market_platform.domain.clock import day_start_ms
from market_platform.domain.days import Instrument
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.sessions import ALWAYS_OPEN, FOREX, SessionCalendar
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.warehouse.reference import load_pair, store_instrument
from market_platform_tests.fixtures.defs_world import NOW, DefsWorld
from market_platform_tests.unit.defs.conftest import EURUSD

GOOD_FRIDAY = date(2024, 3, 29)
HOLIDAY = replace(FOREX, holidays=((day_start_ms(GOOD_FRIDAY), day_start_ms(GOOD_FRIDAY) + DAY_MS),))


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(seed=7, clock=lambda: NOW)) as running:
        yield running


@pytest.fixture
def world(exchange: RunningReplay, database_url: str, tmp_path: Path) -> Iterator[DefsWorld]:
    made = DefsWorld(database_url, exchange, tmp_path, symbols=("EURUSD", "USDJPY", "BTCUSD"))
    yield made
    made.close()


def know_calendars(world: DefsWorld, calendars: Mapping[str, SessionCalendar]) -> None:
    """Store what the exchange would say of each pair's sessions."""
    with world.warehouse.begin() as connection:
        for symbol, calendar in calendars.items():
            row = load_pair(connection, "dukascopy", symbol)
            store_instrument(connection, row.id, Instrument(symbol, symbol, 5, calendar))


def evaluate(world: DefsWorld, name: str, at: datetime) -> list[dg.RunRequest]:
    """What the schedule asks for at its tick."""
    schedules = [each for each in world.definitions.schedules or () if isinstance(each, dg.ScheduleDefinition)]
    [schedule] = [each for each in schedules if each.name == name]
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=at,
            resources={"warehouse": world.warehouse},
            repository_def=world.definitions.get_repository_def(),
        )
        return list(schedule.evaluate_tick(context).run_requests or ())


def asked(requests: list[dg.RunRequest]) -> list[tuple[str, str, str]]:
    """Session, partition and pairs of each request."""
    return [
        (request.tags.get("market/session", ""), str(request.partition_key), request.tags["market/pair"])
        for request in requests
    ]


def test_a_working_day_is_one_run_for_all_pairs(world: DefsWorld) -> None:
    know_calendars(world, {"EURUSD": FOREX, "USDJPY": FOREX, "BTCUSD": ALWAYS_OPEN})
    [request] = evaluate(world, "yesterday", datetime(2024, 3, 12, 2, tzinfo=UTC))
    assert asked([request]) == [("open", "2024-03-11", "dukascopy/EURUSD,dukascopy/USDJPY,dukascopy/BTCUSD")]
    assert len(request.asset_selection or ()) == 3 * 9
    assert request.run_key == "yesterday:2024-03-11:dukascopy:open:0"


def test_on_a_saturday_markets_that_traded_come_first_and_the_others_are_recorded_as_closed(world: DefsWorld) -> None:
    know_calendars(world, {"EURUSD": FOREX, "USDJPY": FOREX, "BTCUSD": ALWAYS_OPEN})
    requests = evaluate(world, "yesterday", datetime(2024, 3, 10, 2, tzinfo=UTC))
    assert asked(requests) == [
        ("open", "2024-03-09", "dukascopy/BTCUSD"),
        ("closed", "2024-03-09", "dukascopy/EURUSD,dukascopy/USDJPY"),
    ]
    assert [request.tags.get("dagster/priority") for request in requests] == [None, "-1"]


def test_a_sunday_evening_is_trading(world: DefsWorld) -> None:
    know_calendars(world, {"EURUSD": FOREX, "USDJPY": FOREX, "BTCUSD": ALWAYS_OPEN})
    assert len(evaluate(world, "yesterday", datetime(2024, 3, 11, 2, tzinfo=UTC))) == 1


def test_a_holiday_of_one_market_is_not_the_other_s(world: DefsWorld) -> None:
    know_calendars(world, {"EURUSD": HOLIDAY, "USDJPY": FOREX, "BTCUSD": ALWAYS_OPEN})
    assert asked(evaluate(world, "yesterday", datetime(2024, 3, 30, 2, tzinfo=UTC))) == [
        ("open", "2024-03-29", "dukascopy/USDJPY,dukascopy/BTCUSD"),
        ("closed", "2024-03-29", "dukascopy/EURUSD"),
    ]


def test_a_pair_whose_calendar_is_not_known_yet_is_asked_for(world: DefsWorld) -> None:
    assert asked(evaluate(world, "yesterday", datetime(2024, 3, 10, 2, tzinfo=UTC))) == [
        ("open", "2024-03-09", "dukascopy/EURUSD,dukascopy/USDJPY,dukascopy/BTCUSD")
    ]


def test_many_pairs_are_a_few_runs() -> None:
    pairs = [replace(EURUSD, symbol=f"P{number:03}") for number in range(2 * PAIRS_PER_RUN + 1)]
    requests = list(daily_requests(date(2024, 3, 11), pairs, []))
    assert [len(request.tags["market/pair"].split(",")) for request in requests] == [PAIRS_PER_RUN, PAIRS_PER_RUN, 1]
    assert len({request.run_key for request in requests}) == 3


@pytest.mark.parametrize(
    ("name", "at", "partition", "layer"),
    [
        ("last_week", datetime(2024, 3, 11, 2, 30, tzinfo=UTC), "2024-03-04", "candles_1w"),
        ("last_month", datetime(2024, 3, 1, 2, 45, tzinfo=UTC), "2024-02-01", "candles_1M"),
        ("last_month", datetime(2024, 1, 1, 2, 45, tzinfo=UTC), "2023-12-01", "candles_1M"),
    ],
)
def test_a_period_is_built_when_it_has_just_ended(
    world: DefsWorld, name: str, at: datetime, partition: str, layer: str
) -> None:
    [request] = evaluate(world, name, at)
    assert request.partition_key == partition
    assert {key.path[-1] for key in request.asset_selection or ()} == {layer}
    assert len(request.asset_selection or ()) == 3


def test_what_the_schedule_asks_for_does_the_work(world: DefsWorld) -> None:
    """The request is executed as the daemon would: the partition exists, the job knows the assets."""
    requests = evaluate(world, "yesterday", datetime(2024, 3, 10, 2, tzinfo=UTC))
    with dg.DagsterInstance.ephemeral() as instance:
        for request in requests:
            result = world.definitions.resolve_job_def("days").execute_in_process(
                instance=instance,
                partition_key=request.partition_key,
                asset_selection=list(request.asset_selection or ()),
                tags=dict(request.tags),
            )
            assert result.success
    with world.warehouse.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT p.symbol, d.condition FROM lake_days d JOIN trading_pairs p ON p.id = d.trading_pair_id ORDER BY 1"
        ).all()
    assert [tuple(row) for row in found] == [("BTCUSD", "available"), ("EURUSD", "closed"), ("USDJPY", "closed")]
    later = evaluate(world, "yesterday", datetime(2024, 3, 10, 2, tzinfo=UTC))
    assert [session for session, _, _ in asked(later)] == ["open", "closed"], "the calendars are known now"
