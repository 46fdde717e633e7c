"""Two runs of the same days at once, days that change meanwhile, and answers poorer than what is committed."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg
import pytest

from market_platform.domain.candles import candles_from_ticks
from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.days import FetchedDay
from market_platform.domain.errors import ConfigError, DayFailedError, WarehouseError, WarehouseUnavailableError
from market_platform.domain.intervals import DAY_INTERVALS, DAY_MS, parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.ranks import CandleRank
from market_platform.domain.ticks import Ticks
from market_platform.lake.store import Lake
from market_platform.lake.survey import survey
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.candles import build_candle_days
from market_platform.pipeline.manifests import rebuild_manifests
from market_platform.pipeline.periods import build_candle_periods
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.pipeline.reports import CandleDayReport, TickDayReport
from market_platform.pipeline.ticks import ingest_tick_days
from market_platform.warehouse.candles import CandleWrite, load_candle_days, read_candles, write_candle_days
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, load_lake_days, lock_lake_day
from market_platform.warehouse.reference import load_pair
from market_platform_tests.fixtures.made_ticks import made_ticks
from market_platform_tests.fixtures.reference import small_config, synced_pair
from market_platform_tests.fixtures.scripted_ticks import Between, ScriptedTicks, columns_of, fetched_day

DAY = date(2024, 3, 4)
WEEK = days_between(DAY, date(2024, 3, 10))
ONE, TWO = Provenance("run-1", "test"), Provenance("run-2", "test")
MINUTE, DAILY, WEEKLY = parse_interval("1m"), parse_interval("1d"), parse_interval("1w")


@pytest.fixture
def pair(warehouse: Warehouse) -> TradingPair:
    synced_pair(warehouse)
    return next(each for each in small_config().pairs() if each.name == "dukascopy/EURUSD")


@pytest.fixture
def platform(warehouse: Warehouse, tmp_path: Path) -> Platform:
    source = ScriptedTicks(fetched_day)
    return Platform(Lake.open((tmp_path / "lake").as_uri()), warehouse, source.open)


def ingest(
    platform: Platform,
    pair: TradingPair,
    answer: Callable[[date], FetchedDay],
    *,
    between: Between | None = None,
    days: list[date] | None = None,
    provenance: Provenance = ONE,
) -> list[TickDayReport]:
    source = ScriptedTicks(answer, between)
    scripted = replace(platform, open_source=source.open)
    return asyncio.run(ingest_tick_days(scripted, pair, days or [DAY], provenance, lambda report: None))


def build(platform: Platform, pair: TradingPair, days: list[date] | None = None) -> list[CandleDayReport]:
    return build_candle_days(platform, pair, days or [DAY], DAY_INTERVALS, ONE, lambda report: None)


def committed(platform: Platform, pair: TradingPair, day: date = DAY) -> LakeDay:
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        return load_lake_days(connection, row.id, day, day)[day]


def committed_ticks(platform: Platform, pair: TradingPair) -> Ticks:
    manifest = committed(platform, pair)
    assert manifest.object_key is not None
    return TICK_DAYS.read(platform.lake, manifest.object_key, expect_hash=manifest.content_hash)


def stored(platform: Platform, pair: TradingPair, interval: str, day: date = DAY, days: int = 1) -> pl.DataFrame:
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        start = day_start_ms(day)
        return read_candles(connection, row.starlistings[interval], start, start + days * DAY_MS)


def test_a_run_that_fetched_before_the_exchange_corrected_itself_does_not_win(
    platform: Platform, pair: TradingPair
) -> None:
    seed = [1]

    async def corrected_meanwhile(day: date) -> None:
        if seed == [1]:
            seed[:] = [2]
            await asyncio.to_thread(ingest, platform, pair, answer, provenance=TWO)

    def answer(day: date) -> FetchedDay:
        return fetched_day(day, seed=seed[0])

    [report] = ingest(platform, pair, answer, between=corrected_meanwhile)
    assert columns_of(committed_ticks(platform, pair)) == columns_of(fetched_day(DAY, seed=2).ticks)
    assert report.data_version == committed(platform, pair).content_hash


def test_of_two_runs_at_once_the_poorer_one_does_not_win(platform: Platform, pair: TradingPair) -> None:
    async def the_whole_day_comes(day: date) -> None:
        await asyncio.to_thread(ingest, platform, pair, fetched_day, provenance=TWO)

    [report] = ingest(platform, pair, lambda day: fetched_day(day, absent=[5]), between=the_whole_day_comes)
    assert committed(platform, pair).condition is Condition.AVAILABLE
    assert report.condition is Condition.AVAILABLE
    assert report.kept


def test_a_day_that_others_keep_changing_is_given_up_as_retryable(platform: Platform, pair: TradingPair) -> None:
    seeds = iter(range(10, 100))

    async def somebody_else_commits(day: date) -> None:
        seed = next(seeds)
        await asyncio.to_thread(ingest, platform, pair, lambda day: fetched_day(day, seed=seed), provenance=TWO)

    with pytest.raises(DayFailedError) as failed:
        ingest(platform, pair, fetched_day, between=somebody_else_commits)
    assert isinstance(failed.value.failures[DAY.isoformat()], WarehouseUnavailableError)


def test_a_complete_day_is_not_replaced_by_an_incomplete_one_with_more_ticks(
    platform: Platform, pair: TradingPair
) -> None:
    ingest(platform, pair, lambda day: fetched_day(day, 2000))
    [report] = ingest(platform, pair, lambda day: fetched_day(day, 5000, seed=2, absent=[3, 4]))
    assert report.kept
    assert (report.condition, report.rows) == (Condition.AVAILABLE, 2000)
    assert report.incomplete_hours == []
    assert committed(platform, pair).rows == 2000


def test_a_corrected_day_replaces_the_old_one_even_with_fewer_ticks(platform: Platform, pair: TradingPair) -> None:
    ingest(platform, pair, lambda day: fetched_day(day, 2000))
    first = {(each.interval, each.day): each.data_version for each in build(platform, pair)}
    [report] = ingest(platform, pair, lambda day: fetched_day(day, 1900, seed=2))
    assert (report.rows, report.changed, report.kept) == (1900, True, None)
    rebuilt = build(platform, pair)
    assert all(each.data_version != first[each.interval, each.day] for each in rebuilt)
    expected = candles_from_ticks(fetched_day(DAY, 1900, seed=2).ticks, MINUTE)
    assert stored(platform, pair, "1m").equals(expected)


def test_an_incomplete_day_becomes_complete_and_so_do_its_candles(platform: Platform, pair: TradingPair) -> None:
    ingest(platform, pair, lambda day: fetched_day(day, absent=[5, 6]))
    build(platform, pair)
    [report] = ingest(platform, pair, fetched_day)
    assert (report.condition, report.kept) == (Condition.AVAILABLE, None)
    assert {each.condition for each in build(platform, pair)} == {Condition.AVAILABLE}
    assert stored(platform, pair, "1m").equals(candles_from_ticks(fetched_day(DAY).ticks, MINUTE))


def test_volumes_rounded_by_the_fallback_do_not_replace_exact_ones(platform: Platform, pair: TradingPair) -> None:
    exact = fetched_day(DAY)
    exact = replace(exact, ticks=replace(exact.ticks, bid_volume=exact.ticks.bid_volume + 48, volume_scale=2))
    rounded = replace(
        exact,
        ticks=replace(exact.ticks, bid_volume=exact.ticks.bid_volume // 100 * 100),
        hours=tuple(
            replace(hour, source="bi5" if hour.start_ms > exact.hours[3].start_ms else "json") for hour in exact.hours
        ),
    )
    ingest(platform, pair, lambda day: exact)
    [report] = ingest(platform, pair, lambda day: rounded)
    assert report.kept
    assert columns_of(committed_ticks(platform, pair)) == columns_of(exact.ticks)


def test_no_more_than_a_few_days_are_in_memory_however_slow_the_first_is(platform: Platform, pair: TradingPair) -> None:
    days = days_between(date(2024, 1, 1), date(2024, 2, 9))
    alive: list[weakref.ref[object]] = []
    most = 0

    def answer(day: date) -> FetchedDay:
        fetched = fetched_day(day, 200)
        alive.append(weakref.ref(fetched.ticks.bid))
        return fetched

    async def the_first_is_slow(day: date) -> None:
        if day == days[0]:
            for _ in range(50):
                await asyncio.sleep(0.01)  # lets the others run as far as they may
        nonlocal most
        gc.collect()
        most = max(most, sum(each() is not None for each in alive))

    reports = ingest(platform, pair, answer, between=the_first_is_slow, days=days)
    assert [each.day for each in reports] == days
    assert most <= 8


def test_a_lost_database_gets_back_what_each_hour_said(platform: Platform, pair: TradingPair) -> None:
    ingest(platform, pair, lambda day: fetched_day(day, absent=[7]))
    before = committed(platform, pair)
    with platform.warehouse.begin() as connection:
        connection.exec_driver_sql("DELETE FROM lake_days")
    rebuild_manifests(platform.warehouse, survey(platform.lake))
    assert replace(committed(platform, pair), written_at=None) == replace(before, written_at=None)


class _Interrupted(Lake):
    """A lake in which something happens right after an object was read, once."""

    happen: Callable[[], object] | None = None

    def get(self, key: str) -> bytes:
        data = super().get(key)
        happen, self.happen = self.happen, None
        if happen is not None:
            happen()
        return data


def test_candles_of_ticks_replaced_meanwhile_are_built_again(
    platform: Platform, pair: TradingPair, tmp_path: Path
) -> None:
    ingest(platform, pair, fetched_day)
    lake = _Interrupted.open((tmp_path / "lake").as_uri())
    assert isinstance(lake, _Interrupted)

    def corrected_and_built() -> None:
        ingest(platform, pair, lambda day: fetched_day(day, seed=2), provenance=TWO)
        build(platform, pair)

    lake.happen = corrected_and_built
    reports = build(replace(platform, lake=lake), pair)
    assert stored(platform, pair, "1m").equals(candles_from_ticks(fetched_day(DAY, seed=2).ticks, MINUTE))
    assert {each.input_version for each in reports} == {committed(platform, pair).content_hash}


def test_a_day_that_postgres_refuses_fails_alone(platform: Platform, pair: TradingPair) -> None:
    days = WEEK[:3]
    ingest(platform, pair, fetched_day, days=days)
    absurd = made_ticks(days[1], 50, price_scale=0, start_price=2 * 10**12)
    file = TICK_DAYS.write(platform.lake, pair.exchange, pair.symbol, days[1], absurd, {})
    manifest = committed(platform, pair, days[1])
    with platform.warehouse.begin() as connection:
        commit_lake_day(
            connection, replace(manifest, object_key=file.object_key, content_hash=file.content_hash, rows=50)
        )
    heard: list[CandleDayReport] = []
    with pytest.raises(DayFailedError) as failed:
        build_candle_days(platform, pair, days, DAY_INTERVALS, ONE, heard.append)
    assert list(failed.value.failures) == [days[1].isoformat()]
    assert isinstance(failed.value.failures[days[1].isoformat()], WarehouseError)
    assert [each.day for each in heard if each.interval == "1m"] == [days[0], days[2]]


def test_a_database_that_goes_away_names_the_days(platform: Platform, pair: TradingPair, database_url: str) -> None:
    ingest(platform, pair, fetched_day)
    impatient = create_warehouse(database_url, lock_timeout_s=0.2)
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE candle_days")
        with pytest.raises(DayFailedError, match="2024-03-04") as failed:
            build(replace(platform, warehouse=impatient), pair)
    impatient.close()
    assert isinstance(failed.value.failures[DAY.isoformat()], WarehouseUnavailableError)


def test_candles_of_one_price_side_are_never_written_to_a_starlisting_of_another(
    platform: Platform, pair: TradingPair
) -> None:
    ingest(platform, pair, fetched_day)
    unsynced = replace(pair, candle_price="bid")
    with pytest.raises(ConfigError, match="config sync"):
        build(platform, unsynced)
    with pytest.raises(ConfigError, match="config sync"):
        build_candle_periods(platform, unsynced, WEEKLY, [DAY], ONE, lambda report: None)
    assert stored(platform, pair, "1m").is_empty()


def test_a_starlisting_that_is_not_there_is_named(platform: Platform, pair: TradingPair) -> None:
    ingest(platform, pair, fetched_day)
    with platform.warehouse.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE starlistings SET active = false WHERE interval_id = (SELECT id FROM intervals WHERE name = '4h')"
        )
    with pytest.raises(ConfigError, match=r"EURUSD.*4h.*config sync"):
        build(platform, pair)


@pytest.fixture
def week(platform: Platform, pair: TradingPair) -> Iterator[int]:
    """A week of candles; gives the id of its 1d starlisting."""
    ingest(platform, pair, fetched_day, days=WEEK)
    build(platform, pair, WEEK)
    with platform.warehouse.connect() as connection:
        yield load_pair(connection, pair.exchange, pair.symbol).starlistings["1d"]


def other_daily(starlisting_id: int, day: date = DAY) -> CandleWrite:
    frame = candles_from_ticks(fetched_day(day, seed=9).ticks, DAILY)
    return CandleWrite(starlisting_id, day, frame, Condition.AVAILABLE, CandleRank.COMPLETE_TICKS)


def build_week(platform: Platform, pair: TradingPair) -> CandleDayReport:
    [report] = build_candle_periods(platform, pair, WEEKLY, [DAY], ONE, lambda report: None)
    return report


def test_a_week_waits_for_a_day_that_is_being_written(
    platform: Platform, pair: TradingPair, week: int, database_url: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with platform.warehouse.begin() as connection:
            write_candle_days(connection, [other_daily(week)], run_id="run-2", code_version="test")
            building = pool.submit(build_week, platform, pair)
            wait_until_blocked_or_done(database_url, building.done)
        building.result(30)
    weekly = stored(platform, pair, "1w")
    assert weekly["volume"][0] == stored(platform, pair, "1d", days=7)["volume"].sum()


def test_a_day_written_after_its_week_is_dated_after_it(platform: Platform, pair: TradingPair, week: int) -> None:
    with platform.warehouse.begin() as connection:
        connection.exec_driver_sql("SELECT now()")  # the transaction's time stands still from here
        build_week(platform, pair)
        write_candle_days(connection, [other_daily(week)], run_id="run-2", code_version="test")
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        day = load_candle_days(connection, week, DAY, DAY)[DAY]
        weekly = load_candle_days(connection, row.starlistings["1w"], DAY, DAY)[DAY]
    assert day.written_at > weekly.written_at


def wait_until_blocked_or_done(database_url: str, done: Callable[[], bool]) -> None:
    """Return once some session waits for a lock, or when there is nothing to wait for."""
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    pause = threading.Event()
    with psycopg.connect(database_url, autocommit=True) as watcher:
        while datetime.now(UTC) < deadline and not done():
            if watcher.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                return
            pause.wait(0.02)


def test_a_rebuild_does_not_overwrite_a_day_that_is_being_committed(
    platform: Platform, pair: TradingPair, database_url: str
) -> None:
    ingest(platform, pair, lambda day: fetched_day(day, absent=[5]))
    poorer = survey(platform.lake)
    ingest(platform, pair, fetched_day)
    complete = committed(platform, pair)
    with platform.warehouse.begin() as connection:
        connection.exec_driver_sql("DELETE FROM lake_days")
    with ThreadPoolExecutor(1) as pool:
        with platform.warehouse.begin() as connection:
            lock_lake_day(connection, complete.trading_pair_id, DAY)
            commit_lake_day(connection, complete)
            rebuilding = pool.submit(rebuild_manifests, platform.warehouse, poorer)
            wait_until_blocked_or_done(database_url, rebuilding.done)
        assert rebuilding.result(30).kept == 1
    assert committed(platform, pair).content == complete.content


def test_days_before_the_configured_first_day_are_closed_and_not_asked_for(
    platform: Platform, pair: TradingPair
) -> None:
    source = ScriptedTicks(fetched_day)
    late = replace(pair, first_day=WEEK[2].isoformat())
    scripted = replace(platform, open_source=source.open)
    reports = asyncio.run(ingest_tick_days(scripted, late, WEEK[:4], ONE, lambda report: None))
    closed, available = Condition.CLOSED, Condition.AVAILABLE
    assert [each.condition for each in reports] == [closed, closed, available, available]
    assert source.fetched == 2


def test_a_run_cancelled_while_it_commits_leaves_a_whole_day_and_nothing_else(
    platform: Platform, pair: TradingPair, database_url: str
) -> None:
    source = ScriptedTicks(fetched_day)
    scripted = replace(platform, open_source=source.open)

    async def cancelled() -> None:
        run = asyncio.create_task(ingest_tick_days(scripted, pair, WEEK, ONE, lambda report: None))
        with psycopg.connect(database_url) as blocker:
            blocker.execute("LOCK TABLE lake_days IN EXCLUSIVE MODE")
            await asyncio.to_thread(wait_until_blocked_or_done, database_url, run.done)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

    asyncio.run(cancelled())
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        there = load_lake_days(connection, row.id, WEEK[0], WEEK[-1])
    assert list(there) == WEEK[:1]
    assert columns_of(committed_ticks(platform, pair)) == columns_of(fetched_day(DAY).ticks)
