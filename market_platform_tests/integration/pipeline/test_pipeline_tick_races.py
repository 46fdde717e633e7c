"""Two runs of the same days at once, and answers poorer than what is committed."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import replace
from datetime import date

import psycopg
import pytest

from market_platform.domain.candles import candles_from_ticks
from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.days import FetchedDay
from market_platform.domain.errors import DayFailedError, WarehouseUnavailableError
from market_platform.domain.pairs import TradingPair
from market_platform.lake.survey import survey
from market_platform.pipeline.manifests import rebuild_manifests
from market_platform.pipeline.platform import Platform
from market_platform.pipeline.ticks import ingest_tick_days
from market_platform.warehouse.lake_days import load_lake_days
from market_platform.warehouse.reference import load_pair
from market_platform_tests.fixtures.scripted_ticks import ScriptedTicks, columns_of, fetched_day
from market_platform_tests.fixtures.tick_pipeline import (
    DAY,
    MINUTE,
    ONE,
    TWO,
    WEEK,
    build,
    committed,
    committed_ticks,
    ingest,
    stored,
    wait_until_blocked_or_done,
)


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


def test_days_before_the_configured_first_day_are_missing_and_not_asked_for(
    platform: Platform, pair: TradingPair
) -> None:
    source = ScriptedTicks(fetched_day)
    late = replace(pair, first_day=WEEK[2].isoformat())
    scripted = replace(platform, open_source=source.open)
    reports = asyncio.run(ingest_tick_days(scripted, late, WEEK[:4], ONE, lambda report: None))
    missing, available = Condition.MISSING, Condition.AVAILABLE
    assert [each.condition for each in reports] == [missing, missing, available, available]
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
