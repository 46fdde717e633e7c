"""Weeks from Monday made of days."""

from __future__ import annotations

from decimal import Decimal

from market_platform.domain.events import Candle
from market_platform.domain.intervals import DAY_MS, parse_interval
from market_platform.exchanges.hyperliquid.weeks import weeks_of_days

WEEK = parse_interval("1w")
MONDAY = 1_781_481_600_000  # 15 June 2026


def day(number: int, volume: str = "1.5") -> Candle:
    open_ms = MONDAY + number * DAY_MS
    price = Decimal(100 + number)
    return Candle(
        symbol="BTC",
        interval="1d",
        open_ms=open_ms,
        end_ms=open_ms + DAY_MS,
        open=price,
        high=price + 5,
        low=price - 5,
        close=price + 1,
        volume=Decimal(volume),
        num_trades=10,
        closed=True,
    )


def test_seven_days_are_a_week() -> None:
    assert weeks_of_days([day(number) for number in range(7)], WEEK, 0) == [
        Candle(
            symbol="BTC",
            interval="1w",
            open_ms=MONDAY,
            end_ms=MONDAY + 7 * DAY_MS,
            open=Decimal(100),
            high=Decimal(111),
            low=Decimal(95),
            close=Decimal(107),
            volume=Decimal("10.5"),
            num_trades=70,
            closed=True,
        )
    ]


def test_a_week_that_is_not_over_is_not_there() -> None:
    days = [day(number) for number in range(13)]
    assert [week.open_ms for week in weeks_of_days(days, WEEK, MONDAY + 13 * DAY_MS)] == [MONDAY]
    assert [week.num_trades for week in weeks_of_days(days, WEEK, MONDAY + 14 * DAY_MS)] == [70, 60]
    assert weeks_of_days([], WEEK, MONDAY) == []


def test_a_later_day_ends_a_week_whose_last_day_had_no_trade() -> None:
    assert [week.open_ms for week in weeks_of_days([day(0), day(3), day(8)], WEEK, 0)] == [MONDAY]


def test_volumes_add_up_to_the_last_digit() -> None:
    days = [day(0, "123456789012345678901234.000000000001"), day(6, "0.000000000002")]
    (week,) = weeks_of_days(days, WEEK, 0)
    assert str(week.volume) == "123456789012345678901234.000000000003"
