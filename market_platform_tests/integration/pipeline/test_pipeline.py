"""The pipeline on real parts: replay exchange over HTTP, a lake in a folder, a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from market_platform.domain.clock import days_between, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, DayFailedError, LakeError, UnknownSymbolError
from market_platform.domain.intervals import DAY_INTERVALS, parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.candles import build_candle_days
from market_platform.pipeline.periods import build_candle_periods
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.pipeline.reports import CandleDayReport, TickDayReport
from market_platform.pipeline.sweep import sweep_superseded
from market_platform.pipeline.ticks import ingest_tick_days
from market_platform.pipeline.verify import compare_with_exchange
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.settings import load_settings
from market_platform.starlistings import load_starlistings
from market_platform.warehouse.candles import read_candles
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.recordings import PROJECT_ROOT

NOW = datetime(2024, 3, 12, 6, tzinfo=UTC)
PROVENANCE = Provenance("run-1", "test-1")
WEEK = days_between(date(2024, 3, 4), date(2024, 3, 10))


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(seed=7, clock=lambda: NOW)) as running:
        yield running


@pytest.fixture
def pair() -> TradingPair:
    config = load_starlistings(PROJECT_ROOT / "config" / "starlistings.yaml")
    return next(each for each in config.pairs() if each.symbol == "EURUSD")


@pytest.fixture
def platform(exchange: RunningReplay, database_url: str, warehouse: Warehouse, tmp_path: Path) -> Iterator[Platform]:
    exchange.faults.clear()
    with warehouse.begin() as connection:
        sync_reference(connection, load_starlistings(PROJECT_ROOT / "config" / "starlistings.yaml"))
    settings = load_settings(
        _env_file=None,
        market_data_dir=tmp_path,
        dukascopy_json_url=exchange.json_url,
        dukascopy_bi5_url=exchange.bi5_url,
        dukascopy_day_budget_s=60,
        dukascopy_request_timeout_s=5,
    )
    opened = Platform.from_settings(settings, database_url, clock=lambda: NOW)
    yield opened
    opened.close()


def ingest(platform: Platform, pair: TradingPair, days: list[date]) -> list[TickDayReport]:
    heard: list[TickDayReport] = []
    done = asyncio.run(ingest_tick_days(platform, pair, days, PROVENANCE, heard.append))
    assert heard == done
    return done


def build(platform: Platform, pair: TradingPair, days: list[date]) -> list[CandleDayReport]:
    return build_candle_days(platform, pair, days, DAY_INTERVALS, PROVENANCE, lambda report: None)


def test_a_week_from_ticks_to_the_weekly_candle(platform: Platform, pair: TradingPair) -> None:
    ticks = ingest(platform, pair, WEEK)
    assert [each.condition for each in ticks] == [Condition.AVAILABLE] * 5 + [Condition.CLOSED, Condition.AVAILABLE]
    candles = build(platform, pair, WEEK)
    assert len(candles) == 7 * len(DAY_INTERVALS)
    assert not [each for each in candles if each.ohlc_errors or each.uncovered_hours]
    [week] = build_candle_periods(platform, pair, parse_interval("1w"), [WEEK[0]], PROVENANCE, lambda report: None)
    assert (week.condition, week.rows) == (Condition.AVAILABLE, 1)
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
        start = int(datetime(2024, 3, 4, tzinfo=UTC).timestamp() * 1000)
        weekly = read_candles(connection, row.starlistings["1w"], start, start + 7 * 86_400_000)
        minutes = read_candles(connection, row.starlistings["1m"], start, start + 7 * 86_400_000)
    assert weekly["volume"][0] == minutes["volume"].sum()
    assert weekly["num_trades"][0] == sum(each.rows for each in ticks)
    assert (weekly["open"][0], weekly["close"][0]) == (minutes["open"][0], minutes["close"][-1])


def test_twice_changes_nothing(platform: Platform, pair: TradingPair) -> None:
    first, built = ingest(platform, pair, WEEK[:2]), build(platform, pair, WEEK[:2])
    assert all(each.changed for each in first)
    again, rebuilt = ingest(platform, pair, WEEK[:2]), build(platform, pair, WEEK[:2])
    assert not [each for each in again if each.changed]
    assert not [each for each in rebuilt if each.changed_rows]
    assert [(each.data_version, each.revision) for each in built] == [
        (each.data_version, each.revision) for each in rebuilt
    ]


def test_our_minutes_are_the_exchange_s_own(platform: Platform, pair: TradingPair) -> None:
    ingest(platform, pair, WEEK[:1])
    comparison = asyncio.run(compare_with_exchange(platform, pair, WEEK[0]))
    assert comparison.compared > 2000
    assert comparison.differences == ()


def test_one_bad_day_fails_alone(platform: Platform, pair: TradingPair, exchange: RunningReplay) -> None:
    exchange.fail("/ticks/EUR-USD/2024/3/5/10$", "wrong_types", times=1000)
    exchange.fail("/2024/02/05/10h_ticks", "garbage", times=1000)
    heard: list[TickDayReport] = []
    with pytest.raises(DayFailedError) as failed:
        asyncio.run(ingest_tick_days(platform, pair, WEEK[:3], PROVENANCE, heard.append))
    assert [each.day for each in heard] == [WEEK[0], WEEK[2]]
    assert list(failed.value.failures) == ["2024-03-05"]
    assert isinstance(failed.value.failures["2024-03-05"], BadPayloadError)
    assert "1 of 3 days failed, 2 are kept" in str(failed.value)
    assert "EURUSD" in str(failed.value)
    with pytest.raises(DayFailedError, match="2024-03-05: its ticks are not in the lake"):
        build(platform, pair, WEEK[:3])
    exchange.faults.clear()
    ingest(platform, pair, WEEK[1:2])
    assert len(build(platform, pair, WEEK[:3])) == 3 * len(DAY_INTERVALS)


def test_a_day_is_never_replaced_by_a_poorer_one(
    platform: Platform, pair: TradingPair, exchange: RunningReplay
) -> None:
    [complete] = ingest(platform, pair, WEEK[:1])
    exchange.fail("/ticks/EUR-USD/2024/3/4/1[0-9]$", "empty_once", times=1000)
    exchange.fail("/2024/02/04/1[0-9]h_ticks", "empty_once", times=1000)
    [poorer] = ingest(platform, pair, WEEK[:1])
    assert (poorer.data_version, poorer.rows, poorer.changed) == (complete.data_version, complete.rows, False)
    assert poorer.condition is Condition.AVAILABLE


def test_a_replaced_day_file_is_swept_a_day_later_and_never_the_committed_one(
    platform: Platform, pair: TradingPair, exchange: RunningReplay
) -> None:
    exchange.fail("/ticks/EUR-USD/2024/3/4/1[0-9]$", "empty_once", times=30)
    exchange.fail("/2024/02/04/1[0-9]h_ticks", "empty_once", times=30)
    [poor] = ingest(platform, pair, WEEK[:1])
    exchange.faults.clear()
    [complete] = ingest(platform, pair, WEEK[:1])
    assert poor.object_key != complete.object_key
    removed: list[str] = []
    assert sweep_superseded(replace(platform, clock=utc_now), removed.append) == 0
    later = replace(platform, clock=lambda: utc_now() + timedelta(days=2))
    assert sweep_superseded(later, removed.append) == 1
    assert removed == [poor.object_key]
    assert sweep_superseded(later, removed.append) == 0
    assert len(build(platform, pair, WEEK[:1])) == len(DAY_INTERVALS)


def test_what_killed_writers_left_is_swept_a_day_later(platform: Platform, pair: TradingPair) -> None:
    """Of every kind of object, also of a day whose only file is the current one."""
    [day] = ingest(platform, pair, WEEK[:1])
    platform.lake.replace("exports/merged/date=2024-03-04/data.parquet", b"an export")
    kept = {info.key for info in platform.lake.list()}
    root = Path(platform.lake.url.removeprefix("file://"))
    left = [f"{day.object_key}#1", "exports/merged/date=2024-03-04/data.parquet#2"]
    for key in left:
        (root / key).write_bytes(b"half of it")
    removed: list[str] = []
    assert sweep_superseded(replace(platform, clock=utc_now), removed.append) == 0, "its writer may still be at it"
    assert sweep_superseded(replace(platform, clock=lambda: utc_now() + timedelta(days=2)), removed.append) == 2
    assert sorted(removed) == sorted(left)
    assert {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} == kept


def test_days_not_yet_published_are_pending_and_become_available(
    platform: Platform, pair: TradingPair, exchange: RunningReplay
) -> None:
    today = NOW.date()
    early = replace(platform, clock=lambda: NOW)
    [pending] = ingest(early, pair, [today])
    assert pending.condition is Condition.PENDING
    build(early, pair, [today])
    [week] = build_candle_periods(
        early, pair, parse_interval("1w"), [today - timedelta(days=1)], PROVENANCE, lambda report: None
    )
    assert (week.condition, week.rows) == (Condition.PENDING, 0)
    assert week.reason is not None
    assert today.isoformat() in week.reason


def test_an_unknown_symbol_is_named(platform: Platform, pair: TradingPair) -> None:
    with platform.warehouse.begin() as connection:
        connection.exec_driver_sql("UPDATE trading_pairs SET symbol = 'NOSUCH' WHERE symbol = 'EURUSD'")
    with pytest.raises(UnknownSymbolError, match="NOSUCH"):
        asyncio.run(
            ingest_tick_days(platform, replace(pair, symbol="NOSUCH"), WEEK[:1], PROVENANCE, lambda report: None)
        )


def test_a_lake_that_can_t_be_written_leaves_nothing_committed(
    platform: Platform, pair: TradingPair, tmp_path: Path
) -> None:
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(DayFailedError) as failed:
        ingest(platform, pair, WEEK[:1])
    assert isinstance(failed.value.failures["2024-03-04"], LakeError)
    with platform.warehouse.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM lake_days").scalar_one() == 0
