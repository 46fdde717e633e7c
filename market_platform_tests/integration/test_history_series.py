"""Funding, open interest, dividends and trades of an exchange's past into a real database and lake."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, BadRequestError, DayFailedError
from market_platform.domain.events import Funding, OpenInterest, Trade
from market_platform.domain.history import CorporateAction, HistoryDay, SeriesKind
from market_platform.domain.trades import Trades
from market_platform.lake.store import Lake
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.history_context import build_history_series
from market_platform.pipeline.history_reports import SeriesDayReport
from market_platform.pipeline.history_trades import build_history_trades
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.history_days import load_history_days
from market_platform.warehouse.lake_days import load_lake_days
from market_platform.warehouse.market_context import FundingRow, write_funding
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.fixtures.reference import small_config
from market_platform_tests.fixtures.scripted_history import ScriptedHistory, raw_input

DAY, NEXT = date(2025, 7, 31), date(2025, 8, 1)
HOUR_MS = 3_600_000


class World:
    """A pair in a database, a lake in a folder, and an exchange that says what the test wrote down."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        config = small_config()
        with warehouse.begin() as connection:
            sync_reference(connection, config)
            self.row = load_pair(connection, "dukascopy", "BTCUSD")
        [self.pair] = [pair for pair in config.pairs() if pair.symbol == "BTCUSD"]
        self.source = ScriptedHistory()
        self.warehouse = warehouse
        self.lake = Lake.open(folder.as_uri())
        self.platform = Platform(self.lake, warehouse, lambda _: pytest.fail("no ticks"), open_history=self.source.open)
        self.runs = 0

    def say(self, kind: SeriesKind, day: date, rows: Any, **more: Any) -> None:
        """What the exchange answers for a day from now on."""
        made: HistoryDay[Any] = HistoryDay(day, rows, len(rows), Condition.AVAILABLE, inputs=(raw_input(f"{day}.zip"),))
        self.source.answers[kind.value, day] = replace(made, **more)

    def build(self, kind: SeriesKind, *days: date) -> list[SeriesDayReport]:
        """One run."""
        self.runs += 1
        provenance = Provenance(f"run-{self.runs}", "test-1")
        reports: list[SeriesDayReport] = []
        if kind is SeriesKind.TRADES:
            build_history_trades(self.platform, self.pair, days or (DAY,), provenance, reports.append)
        else:
            build_history_series(self.platform, self.pair, kind, days or (DAY,), provenance, reports.append)
        return reports

    def table(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with self.warehouse.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def trades_of(self, day: date) -> Trades:
        """The committed trades."""
        with self.warehouse.connect() as connection:
            manifest = load_lake_days(connection, self.row.id, day, day, kind="trades")[day]
        assert manifest.object_key is not None
        return TRADE_DAYS.read(self.lake, manifest.object_key, manifest.content_hash)


@pytest.fixture
def world(warehouse: Warehouse, tmp_path: Path) -> World:
    return World(warehouse, tmp_path)


def funding(day: date, hour: int, rate: str, **more: Any) -> Funding:
    return Funding("BTC", Decimal(rate), time_ms=day_start_ms(day) + hour * HOUR_MS, **more)


def trades(day: date, *ids: int, price: str = "100.5") -> Trades:
    return Trades.from_events(
        [Trade("BTC", each, Decimal(price), Decimal("0.25"), "buy", day_start_ms(day) + each * 1000) for each in ids]
    )


def test_a_live_row_keeps_what_a_history_of_rates_does_not_know(world: World) -> None:
    live = funding(DAY, 8, "0.0002", mark_price=Decimal("101.5"), premium=Decimal("0.1"))
    assert live.time_ms is not None
    with world.warehouse.begin() as connection:
        write_funding(connection, [FundingRow(world.row.id, live.time_ms, live)])
    world.say(SeriesKind.FUNDING, DAY, (funding(DAY, 8, "0.0001"), funding(DAY, 16, "-0.0003")))
    [report] = world.build(SeriesKind.FUNDING)
    assert (report.condition, report.rows, report.changed_rows) == (Condition.AVAILABLE, 2, 2)
    assert world.table('SELECT funding_rate, mark_price, premium FROM funding_rates ORDER BY "time"') == [
        (Decimal("0.0001"), Decimal("101.5"), Decimal("0.1")),
        (Decimal("-0.0003"), None, None),
    ]


def test_twice_changes_nothing_and_another_value_gives_another_version(world: World) -> None:
    world.say(SeriesKind.FUNDING, DAY, (funding(DAY, 8, "0.0001"),))
    [first] = world.build(SeriesKind.FUNDING)
    [again] = world.build(SeriesKind.FUNDING)
    assert (again.changed_rows, again.data_version) == (0, first.data_version)
    stored = world.table("SELECT revision, run_id, rows FROM history_days")
    assert stored == [(1, "run-1", 1)]
    world.say(SeriesKind.FUNDING, DAY, (funding(DAY, 8, "0.0004"),), inputs=(raw_input(f"{DAY}.zip", "anew"),))
    [corrected] = world.build(SeriesKind.FUNDING)
    assert corrected.data_version != first.data_version
    assert corrected.reissued[0].startswith(f"{DAY}.zip: ")
    with world.warehouse.connect() as connection:
        day = load_history_days(connection, world.row.id, "funding_rates", DAY, DAY)[DAY]
    assert (day.revision, day.run_id, day.data_version) == (2, "run-3", corrected.data_version)


def test_the_version_is_of_all_that_is_stored_of_the_day(world: World) -> None:
    world.say(SeriesKind.FUNDING, DAY, (funding(DAY, 8, "0.0001"),))
    [before] = world.build(SeriesKind.FUNDING)
    live = funding(DAY, 9, "0.0005")
    assert live.time_ms is not None
    with world.warehouse.begin() as connection:
        write_funding(connection, [FundingRow(world.row.id, live.time_ms, live)])
    [after] = world.build(SeriesKind.FUNDING)
    assert (after.rows, after.changed_rows) == (2, 0)
    assert after.data_version != before.data_version


def test_an_exchange_that_lost_readings_takes_none_from_us(world: World) -> None:
    readings = tuple(
        OpenInterest("BTC", Decimal(hour + 1), time_ms=day_start_ms(DAY) + hour * HOUR_MS) for hour in range(24)
    )
    world.say(SeriesKind.OPEN_INTEREST, DAY, readings)
    world.build(SeriesKind.OPEN_INTEREST)
    world.say(SeriesKind.OPEN_INTEREST, DAY, (), condition=Condition.MISSING, reason="older than a month", inputs=())
    [report] = world.build(SeriesKind.OPEN_INTEREST)
    assert (report.condition, report.rows) == (Condition.AVAILABLE, 24)
    assert report.kept == "the exchange now sends 0 rows (missing), 24 are stored (available) and stay"
    assert world.table("SELECT count(*) FROM history_inputs") == [(1,)]


def test_a_day_the_exchange_does_not_serve_is_missing_with_the_reason(world: World) -> None:
    world.say(SeriesKind.OPEN_INTEREST, DAY, (), condition=Condition.MISSING, reason="older than a month")
    [report] = world.build(SeriesKind.OPEN_INTEREST)
    assert (report.condition, report.rows, report.reason, report.kept) == (
        Condition.MISSING,
        0,
        "older than a month",
        None,
    )
    assert world.table("SELECT condition, reason, data_version FROM history_days") == [
        ("missing", "older than a month", "")
    ]


def test_a_row_of_another_day_or_a_bad_day_fails_alone(world: World) -> None:
    world.say(SeriesKind.FUNDING, DAY, (funding(NEXT, 8, "0.0001"),))
    world.say(SeriesKind.FUNDING, NEXT, (funding(NEXT, 8, "0.0002"),))
    with pytest.raises(DayFailedError, match=r"2025-07-31.*are not of that day") as caught:
        world.build(SeriesKind.FUNDING, DAY, NEXT)
    assert set(caught.value.failures) == {"2025-07-31"}
    assert world.table("SELECT funding_rate FROM funding_rates") == [(Decimal("0.0002"),)]
    with pytest.raises(BadRequestError):
        build_history_series(
            world.platform, world.pair, SeriesKind.CANDLES, [DAY], Provenance("run", "1"), lambda _: None
        )


def test_dividends_come_go_and_are_versioned(world: World) -> None:
    dividend = CorporateAction("dividend", day_start_ms(DAY), Decimal("0.25"))
    world.say(SeriesKind.ACTIONS, DAY, (dividend,))
    [first] = world.build(SeriesKind.ACTIONS)
    assert (first.rows, first.changed_rows) == (1, 1)
    world.say(SeriesKind.ACTIONS, DAY, ())
    [after] = world.build(SeriesKind.ACTIONS)
    assert (after.rows, after.changed_rows, after.data_version) == (0, 1, "")


def test_trades_are_one_file_a_day_and_twice_changes_nothing(world: World) -> None:
    world.say(SeriesKind.TRADES, DAY, trades(DAY, 1, 2, 3))
    [report] = world.build(SeriesKind.TRADES)
    assert (report.rows, report.changed_rows, report.condition) == (3, 3, Condition.AVAILABLE)
    assert (report.first_time, report.last_time) == (
        from_ms(day_start_ms(DAY) + 1000),
        from_ms(day_start_ms(DAY) + 3000),
    )
    manifest = world.table("SELECT * FROM lake_days")
    [again] = world.build(SeriesKind.TRADES)
    assert (again.changed_rows, again.data_version) == (0, report.data_version)
    assert world.table("SELECT * FROM lake_days") == manifest
    assert world.source.asked == [("trades", (DAY,)), ("trades", (DAY,))]


def test_streamed_trades_and_fetched_ones_are_one_day_and_none_is_lost(world: World) -> None:
    world.say(SeriesKind.TRADES, DAY, trades(DAY, 2, 3, 9), condition=Condition.DEGRADED)
    world.build(SeriesKind.TRADES)
    world.say(SeriesKind.TRADES, DAY, trades(DAY, *range(1, 6)))
    [report] = world.build(SeriesKind.TRADES)
    assert (report.rows, report.changed_rows, report.condition) == (6, 3, Condition.AVAILABLE)
    assert report.flags == ("1 committed trades did not come from the exchange now; they stay",)
    assert world.trades_of(DAY).trade_id.tolist() == [1, 2, 3, 4, 5, 9]


def test_an_exchange_that_lost_trades_takes_none_from_us(world: World) -> None:
    world.say(SeriesKind.TRADES, DAY, trades(DAY, 1, 2, 3))
    [before] = world.build(SeriesKind.TRADES)
    world.say(SeriesKind.TRADES, DAY, Trades.empty(), condition=Condition.MISSING)
    [report] = world.build(SeriesKind.TRADES)
    assert (report.condition, report.data_version) == (Condition.AVAILABLE, before.data_version)
    assert report.kept == "the exchange now sends 0 trades (missing), 3 are committed and stay"


def test_two_different_trades_of_one_id_are_a_failure_that_names_it(world: World) -> None:
    world.say(SeriesKind.TRADES, DAY, trades(DAY, 1, 2, 3))
    world.say(SeriesKind.TRADES, NEXT, trades(NEXT, 7))
    [before, _] = world.build(SeriesKind.TRADES, DAY, NEXT)
    world.say(SeriesKind.TRADES, DAY, trades(DAY, 2, price="99"))
    with pytest.raises(DayFailedError, match=r"2025-07-31: trade 2 came twice with different content") as caught:
        world.build(SeriesKind.TRADES, DAY, NEXT)
    assert isinstance(caught.value.failures["2025-07-31"], BadPayloadError)
    assert world.trades_of(DAY).content_hash() == before.data_version


def test_a_day_without_a_trade_is_known_and_has_no_file(world: World) -> None:
    world.say(SeriesKind.TRADES, DAY, Trades.empty())
    [report] = world.build(SeriesKind.TRADES)
    assert (report.rows, report.object_key, report.condition) == (0, None, Condition.AVAILABLE)
    assert world.table("SELECT kind, rows, condition FROM lake_days") == [("trades", 0, "available")]
