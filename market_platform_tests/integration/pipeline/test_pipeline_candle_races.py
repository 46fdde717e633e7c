"""Candles built while their ticks, their days or the database change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import psycopg
import pytest

from market_platform.domain.candles import candles_from_ticks
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import ConfigError, DayFailedError, WarehouseError, WarehouseUnavailableError
from market_platform.domain.intervals import DAY_INTERVALS
from market_platform.domain.pairs import TradingPair
from market_platform.domain.ranks import CandleRank
from market_platform.lake.store import Lake
from market_platform.lake.survey import survey
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.candles import build_candle_days
from market_platform.pipeline.manifests import rebuild_manifests
from market_platform.pipeline.periods import build_candle_periods
from market_platform.pipeline.platform import Platform
from market_platform.pipeline.reports import CandleDayReport
from market_platform.warehouse.candles import CandleWrite, load_candle_days, write_candle_days
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.lake_days import commit_lake_day, lock_lake_day
from market_platform.warehouse.reference import load_pair
from market_platform_tests.fixtures.made_ticks import made_ticks
from market_platform_tests.fixtures.scripted_ticks import fetched_day
from market_platform_tests.fixtures.tick_pipeline import (
    DAILY,
    DAY,
    MINUTE,
    ONE,
    TWO,
    WEEK,
    WEEKLY,
    build,
    committed,
    ingest,
    stored,
    wait_until_blocked_or_done,
)


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
