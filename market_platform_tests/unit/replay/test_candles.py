"""The generated exchange's own candles are exactly those of its ticks, on both transports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from market_platform.replay.addresses import bi5_address, json_address
from market_platform.replay.generator import GeneratorSource
from market_platform.replay.instruments import LISTED
from market_platform_tests.unit.replay.wire import (
    Candle,
    Tick,
    at,
    bi5_candles,
    bi5_ticks,
    candles_of,
    float32,
    json_candles,
    json_ticks,
    ms,
)

Body = Callable[..., bytes]
SIDES = ("BID", "ASK")


def ticks_of_days(json_body: Body, code: str, first: date, days: int) -> list[Tick]:
    """Ticks of some days in a row, over JSON."""
    return [
        tick
        for offset in range(days)
        for hour in range(24)
        for tick in json_ticks(json_body(f"ticks/{code}/{(first + timedelta(offset)):%Y/%-m/%-d}/{hour}"))
    ]


def without_flats(candles: list[Candle]) -> list[Candle]:
    return [candle for candle in candles if candle.volume]


def prices(candles: list[Candle]) -> list[tuple[int, int, int, int, int]]:
    return [(each.time, each.open, each.high, each.low, each.close) for each in candles]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("symbol", ["EURUSD", "XAUUSD", "BTCUSD"])
def test_json_minutes_are_those_of_the_ticks(symbol: str, side: str, json_body: Body) -> None:
    code, day = LISTED[symbol].code, date(2024, 7, 3)
    ticks = ticks_of_days(json_body, code, day, 1)
    assert json_candles(json_body(f"candles/minute/{code}/{side}/2024/7/3")) == candles_of(ticks, side, 60_000)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("symbol", ["GBPJPY", "BTCUSD"])
def test_bi5_minutes_are_those_of_the_bi5_ticks(symbol: str, side: str, bi5_body: Body) -> None:
    start = ms(2024, 7, 3)
    ticks = [
        tick
        for hour in range(24)
        for tick in bi5_ticks(bi5_body(f"{symbol}/2024/06/03/{hour:02d}h_ticks.bi5"), start + hour * 3_600_000)
    ]
    rows = bi5_candles(bi5_body(f"{symbol}/2024/06/03/{side}_candles_min_1.bi5"), start)
    expected = candles_of(ticks, side, 60_000)
    assert [row.time for row in rows] == [start + 60_000 * minute for minute in range(1440)]
    assert prices(without_flats(rows)) == prices(expected)
    assert [float(row.volume) for row in without_flats(rows)] == [float32(candle.volume) for candle in expected]


def test_flat_minutes_repeat_the_close_before_them(bi5_body: Body) -> None:
    rows = bi5_candles(bi5_body("XAUUSD/2024/06/03/BID_candles_min_1.bi5"), ms(2024, 7, 3))
    assert sum(1 for row in rows if not row.volume) >= 60  # the pause
    for before, row in pairwise(rows):
        if not row.volume:
            assert row.open == row.high == row.low == row.close == before.close


def test_a_closed_day_is_flat_in_bi5_and_empty_in_json(json_body: Body, bi5_body: Body) -> None:
    rows = bi5_candles(bi5_body("EURUSD/2024/06/06/ASK_candles_min_1.bi5"), ms(2024, 7, 6))  # a Saturday
    friday = json_ticks(json_body("ticks/EUR-USD/2024/7/5/20"))[-1]
    assert len(rows) == 1440
    assert {(row.open, row.high, row.low, row.close, row.volume) for row in rows} == {(*[friday.ask] * 4, Decimal(0))}
    assert json_candles(json_body("candles/minute/EUR-USD/ASK/2024/7/6")) == []


@pytest.fixture(scope="module")
def early() -> GeneratorSource:
    """The same market on 10 March 2015, when the year's files are still short."""
    return GeneratorSource(7, lambda: datetime(2015, 3, 10, 12, tzinfo=UTC))


def early_body(early: GeneratorSource, path: str) -> bytes:
    address = bi5_address(path) if path.endswith(".bi5") else json_address(path)
    assert address is not None
    body = early.bi5_body(address) if path.endswith(".bi5") else early.json_body(address)
    assert body is not None
    return body


@pytest.mark.parametrize("side", SIDES)
def test_hours_and_days_are_those_of_the_ticks(side: str, json_body: Body, early: GeneratorSource) -> None:
    first, count = date(2015, 2, 6), 4  # Friday to Monday
    ticks = ticks_of_days(json_body, "EUR-USD", first, count)
    span = range(at(first), at(first + timedelta(count)))
    hours = [row for row in json_candles(early_body(early, f"candles/hour/EUR-USD/{side}/2015/2")) if row.time in span]
    days = [row for row in json_candles(early_body(early, f"candles/day/EUR-USD/{side}/2015")) if row.time in span]
    assert hours == candles_of(ticks, side, 3_600_000)
    assert days == candles_of(ticks, side, 86_400_000)


def test_candle_files_of_a_month_and_a_year_have_every_row_as_far_as_history(early: GeneratorSource) -> None:
    february = bi5_candles(early_body(early, "EURUSD/2015/01/BID_candles_hour_1.bi5"), ms(2015, 2, 1))
    march = bi5_candles(early_body(early, "EURUSD/2015/02/BID_candles_hour_1.bi5"), ms(2015, 3, 1))
    days = bi5_candles(early_body(early, "EURUSD/2015/BID_candles_day_1.bi5"), ms(2015, 1, 1))
    assert (len(february), len(march)) == (28 * 24, 9 * 24)
    assert sum(1 for row in february if row.volume) == 20 * 24
    assert [row.time for row in days] == [ms(2015, 1, 1) + 86_400_000 * day for day in range(31 + 28 + 9)]
    closed = {day for day, row in enumerate(days) if not row.volume}
    assert closed == {day for day in range(len(days)) if (date(2015, 1, 1) + timedelta(day)).weekday() == 5}


def test_an_unfinished_month_goes_as_far_as_history(bi5_body: Body, json_body: Body) -> None:
    rows = bi5_candles(bi5_body("BTCUSD/2026/10/BID_candles_hour_1.bi5"), ms(2026, 11, 1))
    assert len(rows) == 19 * 24
    assert json_candles(json_body("candles/hour/BTC-USD/BID", ms(2026, 11, 1)))[-1].time == ms(2026, 11, 19, 23)
    assert bi5_body("BTCUSD/2026/11/BID_candles_hour_1.bi5") == b""
    assert bi5_body("BTCUSD/2014/BID_candles_day_1.bi5") == b""
