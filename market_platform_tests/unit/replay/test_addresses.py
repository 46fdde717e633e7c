"""URLs name periods: months from 1 in JSON, from 0 in bi5 paths, and nothing else is accepted."""

from __future__ import annotations

import pytest

from market_platform.replay.addresses import Series, bi5_address, json_address
from market_platform_tests.unit.replay.wire import ms


@pytest.mark.parametrize(
    ("path", "series", "start", "end"),
    [
        ("ticks/EUR-USD/2024/2/29/0", Series.TICKS, ms(2024, 2, 29), ms(2024, 2, 29, 1)),
        ("ticks/USA500.IDX-USD/2024/12/31/23", Series.TICKS, ms(2024, 12, 31, 23), ms(2025, 1, 1)),
        ("candles/minute/EUR-USD/BID/2024/1/31", Series.MINUTES, ms(2024, 1, 31), ms(2024, 2, 1)),
        ("candles/hour/EUR-USD/ASK/2024/12", Series.HOURS, ms(2024, 12, 1), ms(2025, 1, 1)),
        ("candles/day/EUR-USD/BID/2024", Series.DAYS, ms(2024, 1, 1), ms(2025, 1, 1)),
    ],
)
def test_json_paths_name_periods_with_months_from_one(path: str, series: Series, start: int, end: int) -> None:
    address = json_address(path)
    assert address is not None
    assert (address.series, address.start_ms, address.end_ms) == (series, start, end)


@pytest.mark.parametrize(
    ("path", "series", "start", "end"),
    [
        ("EURUSD/2019/01/04/08h_ticks.bi5", Series.TICKS, ms(2019, 2, 4, 8), ms(2019, 2, 4, 9)),
        ("EURUSD/2019/00/31/BID_candles_min_1.bi5", Series.MINUTES, ms(2019, 1, 31), ms(2019, 2, 1)),
        ("EURUSD/2019/11/ASK_candles_hour_1.bi5", Series.HOURS, ms(2019, 12, 1), ms(2020, 1, 1)),
        ("EURUSD/2019/BID_candles_day_1.bi5", Series.DAYS, ms(2019, 1, 1), ms(2020, 1, 1)),
    ],
)
def test_bi5_paths_name_periods_with_months_from_zero(path: str, series: Series, start: int, end: int) -> None:
    address = bi5_address(path)
    assert address is not None
    assert (address.series, address.start_ms, address.end_ms) == (series, start, end)
    assert address.side == (None if series is Series.TICKS else path.rsplit("/", 1)[1][:3])


@pytest.mark.parametrize(
    "path",
    [
        "ticks/EUR-USD/2024/02/29/0",  # zero padding
        "ticks/EUR-USD/2024/0/29/0",  # months begin at 1
        "ticks/EUR-USD/2024/13/1/0",
        "ticks/EUR-USD/2023/2/29/0",
        "ticks/EUR-USD/2024/2/29/24",
        "ticks/EUR-USD/2024/2/29",
        "ticks/EURUSD/2024/2/29/0",
        "ticks/eur-usd/2024/2/29/0",
        "ticks/..-USD/2024/2/29/0",
        "candles/second/EUR-USD/BID/2024/2/29",
        "candles/minute/EUR-USD/MID/2024/2/29",
        "candles/minute/EUR-USD/BID/2024/2",
        "candles/day/EUR-USD/BID/2024/2",
        "candles/day/EUR-USD/BID",
        "",
    ],
)
def test_other_json_paths_are_unknown(path: str) -> None:
    assert json_address(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "EURUSD/2019/1/04/08h_ticks.bi5",
        "EURUSD/2019/12/04/08h_ticks.bi5",
        "EURUSD/2019/01/30/08h_ticks.bi5",  # 30 February
        "EURUSD/2019/01/04/8h_ticks.bi5",
        "EURUSD/2019/01/04/24h_ticks.bi5",
        "EURUSD/2019/01/08h_ticks.bi5",
        "EURUSD/2019/01/04/BID_candles_hour_1.bi5",
        "EUR-USD/2019/01/04/08h_ticks.bi5",
        "../2019/01/04/08h_ticks.bi5",
        "EURUSD/2019/01/04/08h_ticks.csv",
    ],
)
def test_other_bi5_paths_are_unknown(path: str) -> None:
    assert bi5_address(path) is None


def test_an_unfinished_period_is_named_by_its_first_millisecond() -> None:
    hour = json_address("ticks/EUR-USD", ms(2024, 5, 6, 7))
    month = json_address("candles/hour/EUR-USD/BID", ms(2024, 5, 1))
    assert hour is not None
    assert month is not None
    assert (hour.start_ms, hour.end_ms) == (ms(2024, 5, 6, 7), ms(2024, 5, 6, 8))
    assert (month.start_ms, month.end_ms) == (ms(2024, 5, 1), ms(2024, 6, 1))


@pytest.mark.parametrize(
    ("path", "from_ms"),
    [
        ("ticks/EUR-USD", ms(2024, 5, 6, 7) + 1),
        ("candles/minute/EUR-USD/BID", ms(2024, 5, 6, 7)),
        ("ticks/EUR-USD/2024/5/6/7", ms(2024, 5, 6, 7)),
        ("ticks/EUR-USD", 10**18),
    ],
)
def test_from_must_be_the_beginning_of_a_period_and_stand_alone(path: str, from_ms: int) -> None:
    assert json_address(path, from_ms) is None
