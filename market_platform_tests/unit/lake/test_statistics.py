"""Statistics of a survey: sums, spans, and honest gaps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest

from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.conditions import Condition
from market_platform.lake.statistics import Gap, find_gaps, symbol_statistics
from market_platform.lake.survey import Survey, SurveyedDay


def surveyed(symbol: str, day: date, *, condition: Condition = Condition.AVAILABLE, rows: int = 100) -> SurveyedDay:
    return SurveyedDay(
        object_key=f"ticks/{symbol}/{day:%Y/%m/%d}/dukascopy-0123456789abcdef.parquet",
        kind="ticks",
        exchange="dukascopy",
        symbol=symbol,
        day=day,
        condition=condition,
        content_hash="0" * 64,
        rows=rows,
        bytes=rows * 4,
        first_ms=day_start_ms(day),
        last_ms=day_start_ms(day) + 1000,
        inputs_json="[]",
        run_id="",
        code_version="",
        last_modified=datetime(2026, 1, 1, tzinfo=UTC),
    )


MONDAY = date(2019, 2, 4)


def test_sums_and_spans_are_a_row_a_symbol() -> None:
    files = [
        surveyed("EURUSD", MONDAY),
        surveyed("EURUSD", MONDAY + timedelta(days=1), condition=Condition.DEGRADED, rows=50),
        surveyed("GBPUSD", MONDAY),
    ]

    eurusd, gbpusd = symbol_statistics(Survey(tuple(files), (files[0],), (), {}))

    assert (eurusd.exchange, eurusd.symbol, gbpusd.symbol) == ("dukascopy", "EURUSD", "GBPUSD")
    assert (eurusd.days, eurusd.ticks, eurusd.bytes, eurusd.superseded_bytes) == (2, 150, 600, 400)
    assert (eurusd.first_day, eurusd.last_day) == (MONDAY, MONDAY + timedelta(days=1))
    assert (eurusd.first_ms, eurusd.last_ms) == (day_start_ms(MONDAY), day_start_ms(MONDAY) + 86_401_000)
    assert eurusd.conditions == {"available": 1, "degraded": 1}
    assert eurusd.bytes_per_tick == pytest.approx(4.0)
    assert gbpusd.superseded_bytes == 0


def test_without_a_calendar_only_absent_weekdays_are_gaps() -> None:
    days = [MONDAY, MONDAY + timedelta(days=1), MONDAY + timedelta(days=7)]

    (row,) = symbol_statistics(Survey(tuple(surveyed("EURUSD", day) for day in days), (), (), {}))

    assert row.expected == "weekdays"
    assert row.gaps == (Gap(date(2019, 2, 6), date(2019, 2, 8), 3),)
    assert row.days_missing == 3


def test_a_calendar_decides_what_is_expected() -> None:
    def every_day(exchange: str, symbol: str, first: date, last: date) -> Iterable[date]:
        assert (exchange, symbol) == ("dukascopy", "BTCUSD")
        return days_between(first, last)

    days = [MONDAY, MONDAY + timedelta(days=7)]

    (row,) = symbol_statistics(Survey(tuple(surveyed("BTCUSD", day) for day in days), (), (), {}), every_day)

    assert row.expected == "calendar"
    assert row.gaps == (Gap(date(2019, 2, 5), date(2019, 2, 10), 6),)


def test_gaps_run_over_days_that_nobody_expected() -> None:
    expected = [date(2019, 2, day) for day in (1, 4, 5, 6, 7)]

    assert find_gaps([date(2019, 2, 6)], expected) == (
        Gap(date(2019, 2, 1), date(2019, 2, 5), 3),
        Gap(date(2019, 2, 7), date(2019, 2, 7), 1),
    )
    assert find_gaps(expected, expected) == ()
