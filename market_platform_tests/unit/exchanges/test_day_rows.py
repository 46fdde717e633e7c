"""Rows of history: pages that fit together, frames that are exact, what is missing of a day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle
from market_platform.domain.intervals import parse_interval
from market_platform.exchanges.day_rows import blocks_of, buckets_of, candle_day, candle_frame, page_within

DAY = date(2026, 11, 17)
HOUR = parse_interval("1h")


def candle(open_ms: int, price: str = "10.5", volume: str = "1") -> Candle:
    number = Decimal(price)
    return Candle("BTC", "1h", open_ms, open_ms + HOUR.ms, number, number, number, number, Decimal(volume), 3, True)


def test_blocks_are_neighbours_and_no_longer_than_they_may_be() -> None:
    days = [*days_between(date(2026, 11, 1), date(2026, 11, 5)), date(2026, 11, 9)]
    assert [[day.day for day in block] for block in blocks_of(days, 2)] == [[1, 2], [3, 4], [5], [9]]
    assert blocks_of([], 3) == []


def test_pages_rise_and_answer_the_question() -> None:
    page_within([], 0, 10, "page")
    page_within([0, 4, 9], 0, 10, "page")
    page_within([-5, 0, 4, 12], 0, 10, "page")
    for times, says in (([0, 4, 4], "comes twice"), ([4, 0], "out of order"), ([10, 11], "a page of other times")):
        with pytest.raises(BadPayloadError, match=says):
            page_within(times, 0, 10, "page")


def test_frames_are_exact() -> None:
    frame = candle_frame([candle(day_start_ms(DAY), "0.123456789012345678", "12345678901234567890.5")])
    assert frame.schema == CANDLE_SCHEMA
    assert frame.row(0)[1] == Decimal("0.123456789012345678")
    assert frame.row(0)[5] == Decimal("12345678901234567890.5")
    assert candle_frame([]).schema == CANDLE_SCHEMA
    assert candle_frame([candle(0, "1.50000000000000000000000")])["open"].to_list() == [Decimal("1.5")]


@pytest.mark.parametrize("price", ["0.1234567890123456789", "1e-19", "1e21", "NaN"])
def test_a_number_that_does_not_fit_is_refused_and_not_rounded(price: str) -> None:
    with pytest.raises(BadPayloadError, match="open"):
        candle_frame([candle(0, price)])


def test_a_day_s_condition_is_what_is_missing_of_it() -> None:
    expected = buckets_of(DAY, HOUR)
    whole = [candle(each) for each in expected]
    day = candle_day(DAY, whole, expected, (), reason="gone")
    assert (day.condition, day.count, day.missing, day.reason) == ("available", 24, (), "")
    day = candle_day(DAY, whole[1:], expected, (), reason="gone", flags=("look",))
    assert (day.condition, day.missing, day.reason, day.flags) == ("degraded", (expected[0],), "gone", ("look",))
    day = candle_day(DAY, [], expected, (), reason="gone")
    assert (day.condition, len(day.missing), day.rows.schema) == ("missing", 24, pl.Schema(CANDLE_SCHEMA))
