"""An exchange's own candles into a real database: what is written, kept, versioned and reported."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ConfigError,
    DayFailedError,
    ExchangeUnavailableError,
    is_retryable,
)
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.domain.ranks import CandleRank
from market_platform.lake.store import Lake
from market_platform.pipeline.history_candles import build_history_candles
from market_platform.pipeline.history_reports import HistoryCandleReport
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse.candles import CandleWrite, load_candle_days, write_candle_days
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.fixtures.reference import small_config
from market_platform_tests.fixtures.scripted_history import ScriptedHistory, candle_day, made_candles, raw_input

MINUTE, HOUR = parse_interval("1m"), parse_interval("1h")
FIRST, LAST = date(2025, 7, 30), date(2025, 8, 2)
DAYS = days_between(FIRST, LAST)
DAY = date(2025, 7, 31)


class World:
    """A pair in a database, and an exchange that says what the test wrote down."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        config = small_config()
        with warehouse.begin() as connection:
            sync_reference(connection, config)
            self.row = load_pair(connection, "oanda", "EURUSD")
        [self.pair] = [pair for pair in config.pairs() if pair.exchange == "oanda"]
        self.source = ScriptedHistory()
        self.warehouse = warehouse
        self.platform = Platform(
            Lake.open(folder.as_uri()), warehouse, lambda _: pytest.fail("no ticks"), open_history=self.source.open
        )
        self.runs = 0
        self.reports: list[HistoryCandleReport] = []

    def build(
        self, *intervals: str, days: list[date] = DAYS, pair: TradingPair | None = None
    ) -> list[HistoryCandleReport]:
        """One run; `reports` are of this run, also when it fails."""
        self.runs += 1
        self.reports = []
        asked = [parse_interval(name) for name in intervals or ("1m", "1h")]
        provenance = Provenance(f"run-{self.runs}", "test-1")
        return build_history_candles(self.platform, pair or self.pair, days, asked, provenance, self.reports.append)

    def count(self, interval: str = "1m") -> int:
        """Candles stored."""
        with self.warehouse.connect() as connection:
            return int(
                connection.exec_driver_sql(
                    "SELECT count(*) FROM candles WHERE starlisting_id = %s", (self.row.starlistings[interval],)
                ).scalar_one()
            )

    def table(self, query: str) -> list[tuple[object, ...]]:
        """Rows of a query."""
        with self.warehouse.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]


@pytest.fixture
def world(warehouse: Warehouse, tmp_path: Path) -> World:
    return World(warehouse, tmp_path)


def test_days_are_asked_for_month_by_month_and_written_at_every_interval(world: World) -> None:
    reports = world.build()
    assert [(each.interval, each.day) for each in reports] == [(name, day) for name in ("1m", "1h") for day in DAYS]
    assert world.reports == reports
    assert {each.condition for each in reports} == {Condition.AVAILABLE}
    assert (world.count("1m"), world.count("1h")) == (4 * 1440, 4 * 24)
    july, august = tuple(DAYS[:2]), tuple(DAYS[2:])
    assert world.source.asked == [
        ("candles_1m", july),
        ("candles_1m", august),
        ("candles_1h", july),
        ("candles_1h", august),
    ]
    assert world.source.opened == 1
    assert world.table("SELECT DISTINCT source FROM candles") == [(int(CandleRank.EXCHANGE),)]


def test_twice_changes_nothing(world: World) -> None:
    first = world.build()
    inputs = world.table("SELECT * FROM history_inputs ORDER BY 1, 2, 3, 4")
    second = world.build()
    assert [each.changed_rows for each in second] == [0] * len(second)
    assert [(each.data_version, each.revision) for each in second] == [
        (each.data_version, each.revision) for each in first
    ]
    assert world.table("SELECT * FROM history_inputs ORDER BY 1, 2, 3, 4") == inputs
    assert {row[0] for row in world.table("SELECT DISTINCT run_id FROM candle_days")} == {"run-1"}


def test_a_bad_day_fails_alone_and_is_named_with_its_interval(world: World) -> None:
    world.source.answers["candles_1m", DAY] = BadPayloadError("page 3 overlaps page 2")
    with pytest.raises(DayFailedError, match="1 of 4 days failed, 3 are kept") as caught:
        world.build()
    assert set(caught.value.failures) == {DAY.isoformat()}
    assert "page 3 overlaps page 2" in str(caught.value)
    assert not is_retryable(caught.value)
    assert (world.count("1m"), world.count("1h")) == (3 * 1440, 4 * 24)
    assert ("1m", DAY) not in {(each.interval, each.day) for each in world.reports}
    assert ("1h", DAY) in {(each.interval, each.day) for each in world.reports}


def test_days_of_several_intervals_that_a_retry_helps_are_one_failure_that_a_retry_helps(world: World) -> None:
    for series in ("candles_1m", "candles_1h"):
        world.source.answers[series, DAY] = ExchangeUnavailableError(f"{series}: no answer")
    with pytest.raises(DayFailedError) as caught:
        world.build()
    assert is_retryable(caught.value)
    assert "1m: candles_1m: no answer; 1h: candles_1h: no answer" in str(caught.value)


def test_an_interval_that_the_exchange_does_not_have_takes_no_other_with_it(world: World) -> None:
    world.source.refused["candles_1h"] = BadRequestError("oanda/EURUSD: no such candles")
    with pytest.raises(DayFailedError, match="4 of 4 days failed"):
        world.build()
    assert (world.count("1m"), world.count("1h")) == (4 * 1440, 0)


def test_a_day_of_which_nothing_is_said_fails(world: World) -> None:
    world.source.answers["candles_1m", DAY] = candle_day(DAY + timedelta(days=100), MINUTE)
    with pytest.raises(DayFailedError, match="which was not asked"):
        world.build("1m")


def test_a_day_the_database_refuses_fails_alone(world: World) -> None:
    wrong = made_candles(DAY + timedelta(days=1), MINUTE)
    world.source.answers["candles_1m", DAY] = candle_day(DAY, MINUTE, rows=wrong)
    with pytest.raises(DayFailedError, match="the frame has a candle of another day"):
        world.build("1m")
    assert world.count("1m") == 3 * 1440


def test_missing_minutes_are_reported_and_never_filled(world: World) -> None:
    world.source.answers["candles_1m", DAY] = candle_day(DAY, MINUTE, without=(600, 601, 602), flags=("odd close",))
    [report] = [each for each in world.build("1m") if each.day == DAY]
    assert (report.condition, report.rows, report.reason) == (Condition.DEGRADED, 1437, "3 candles are missing")
    assert [f"{each:%H:%M}" for each in report.missing] == ["10:00", "10:01", "10:02"]
    assert report.flags == ("odd close",)


@pytest.mark.parametrize("lost", [tuple(range(600, 700)), tuple(range(1440))], ids=["some", "all"])
def test_an_exchange_that_lost_candles_takes_none_from_us(world: World, lost: tuple[int, ...]) -> None:
    world.build("1m")
    condition = Condition.MISSING if len(lost) == 1440 else Condition.DEGRADED
    world.source.answers["candles_1m", DAY] = candle_day(DAY, MINUTE, without=lost, condition=condition)
    [report] = [each for each in world.build("1m") if each.day == DAY]
    assert (report.condition, report.rows, report.changed_rows) == (Condition.AVAILABLE, 1440, 0)
    assert report.kept is not None
    assert f"{1440 - len(lost):,} candles ({condition}), 1,440 are stored (available) and stay" in report.kept
    assert world.count("1m") == 4 * 1440
    assert world.table("SELECT DISTINCT run_id FROM history_inputs") == [("run-1",)], "the day is made of what it was"


def test_a_degraded_day_that_comes_whole_is_whole(world: World) -> None:
    world.source.answers["candles_1m", DAY] = candle_day(DAY, MINUTE, without=(5,))
    before = {each.day: each for each in world.build("1m")}
    del world.source.answers["candles_1m", DAY]
    after = {each.day: each for each in world.build("1m")}
    assert (after[DAY].condition, after[DAY].changed_rows) == (Condition.AVAILABLE, 1)
    assert after[DAY].data_version != before[DAY].data_version
    assert after[FIRST].data_version == before[FIRST].data_version


def test_a_day_that_is_whole_takes_away_what_the_exchange_never_had(world: World) -> None:
    stored = CandleWrite(world.row.starlistings["1m"], DAY, made_candles(DAY, MINUTE), None, CandleRank.LIVE_STREAM)
    with world.warehouse.begin() as connection:
        write_candle_days(connection, [stored], run_id="stream", code_version="1")
    rest = candle_day(DAY, MINUTE, without=(3, 4), condition=Condition.AVAILABLE, missing=())
    world.source.answers["candles_1m", DAY] = rest
    [report] = [each for each in world.build("1m") if each.day == DAY]
    assert (report.condition, report.rows, report.changed_rows) == (Condition.AVAILABLE, 1438, 2)


def test_streamed_candles_of_a_day_the_exchange_has_only_in_part_stay(world: World) -> None:
    stored = CandleWrite(world.row.starlistings["1m"], DAY, made_candles(DAY, MINUTE), None, CandleRank.LIVE_STREAM)
    with world.warehouse.begin() as connection:
        write_candle_days(connection, [stored], run_id="stream", code_version="1")
    nothing = candle_day(DAY, MINUTE, without=range(1440), condition=Condition.MISSING, reason="before the horizon")
    world.source.answers["candles_1m", DAY] = nothing
    [report] = [each for each in world.build("1m") if each.day == DAY]
    assert (report.condition, report.rows) == (Condition.DEGRADED, 1440)
    assert report.reason == "before the horizon"


def test_a_file_issued_again_is_shown_and_gives_a_new_data_version(world: World) -> None:
    first = {each.day: each for each in world.build("1m")}
    name = f"BTCUSDT-1m-{DAY}.zip"
    world.source.answers["candles_1m", DAY] = candle_day(DAY, MINUTE, close="100.75", inputs=(raw_input(name, "new"),))
    second = {each.day: each for each in world.build("1m")}
    assert second[DAY].data_version != first[DAY].data_version
    assert second[DAY].input_version != first[DAY].input_version
    [told] = second[DAY].reissued
    assert told.startswith(f"{name}: {first[DAY].inputs[0].sha256[:12]}… → ")
    assert {day for day in DAYS if second[day].data_version != first[day].data_version} == {DAY}
    assert not [each for each in second.values() if each.reissued and each.day != DAY]
    assert world.build("1m")[1].reissued == (), "said once, when it is noticed"


def test_flat_candles_without_a_trade_are_sane(world: World) -> None:
    flat = made_candles(DAY, MINUTE).with_columns(
        volume=candle_day(DAY, MINUTE).rows["volume"] - candle_day(DAY, MINUTE).rows["volume"], num_trades=0
    )
    world.source.answers["candles_1m", DAY] = candle_day(DAY, MINUTE, rows=flat.cast(made_candles(DAY, MINUTE).schema))
    [report] = [each for each in world.build("1m") if each.day == DAY]
    assert report.ohlc_errors == ()


def test_a_pair_the_database_does_not_list_is_a_config_error(world: World) -> None:
    with pytest.raises(ConfigError, match="lists no such candles"):
        world.build("5m")
    assert world.source.asked == []


def test_what_was_built_is_what_candle_days_say(world: World) -> None:
    reports = world.build("1h")
    with world.warehouse.connect() as connection:
        stored = load_candle_days(connection, world.row.starlistings["1h"], FIRST, LAST)
    assert {each.day: (each.rows, each.condition, each.data_version, each.input_version) for each in reports} == {
        day: (each.rows, each.condition, each.data_version, each.input_version) for day, each in stored.items()
    }
    assert reports[0].first_time == datetime(2025, 7, 30, tzinfo=UTC)
