"""Checks name what is wrong and change nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import polars as pl

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.quality import TickAnomalies, ohlc_errors, tick_anomalies, uncovered_hours
from market_platform.domain.ticks import Ticks


def ticks(bids: list[int], asks: list[int], times: list[int] | None = None) -> Ticks:
    count = len(bids)
    ones = np.ones(count, np.int64)
    time = np.array(times or range(count), np.int64)
    return Ticks(time, np.array(bids, np.int64), np.array(asks, np.int64), ones, ones, 5, 0)


def test_plain_quotes_have_no_anomalies() -> None:
    assert tick_anomalies(ticks([114500, 114510, 114490], [114502, 114512, 114493])).total == 0
    assert tick_anomalies(Ticks.empty()) == TickAnomalies()


def test_crossed_quote_is_counted_and_its_time_kept() -> None:
    found = tick_anomalies(ticks([114500, 114510, 114490], [114502, 114505, 114493], [10, 20, 30]))
    assert (found.crossed, found.total, found.first_ms) == (1, 1, 20)
    assert found.describe() == "1 crossed, first at 1970-01-01T00:00:00.020Z"


def test_one_tick_spike_is_counted_but_a_lasting_move_is_not() -> None:
    assert tick_anomalies(ticks([100000, 105000, 100010], [100002, 105002, 100012])).spikes == 1
    assert tick_anomalies(ticks([100000, 105000, 105010], [100002, 105002, 105012])).spikes == 0


def test_absurd_spread_disorder_and_duplicates_are_counted() -> None:
    assert tick_anomalies(ticks([100000, 100000], [100001, 112000])).absurd_spreads == 1
    assert tick_anomalies(ticks([100000, 100001], [100002, 100003], [5, 4])).out_of_order == 1
    assert tick_anomalies(ticks([100000, 100000], [100002, 100002], [5, 5])).duplicates == 1


def candle(**changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "time": datetime(2019, 2, 4, tzinfo=UTC),
        "open": Decimal("1.1"),
        "high": Decimal("1.2"),
        "low": Decimal("1.0"),
        "close": Decimal("1.15"),
        "volume": Decimal(3),
        "num_trades": 2,
    }
    return row | changes


def test_impossible_candles_are_named() -> None:
    rows = [
        candle(),
        candle(high=Decimal("1.05"), time=datetime(2019, 2, 4, 1, tzinfo=UTC)),
        candle(low=Decimal("1.12"), time=datetime(2019, 2, 4, 2, tzinfo=UTC)),
        candle(open=Decimal(0), low=Decimal(0), time=datetime(2019, 2, 4, 3, tzinfo=UTC)),
        candle(volume=Decimal(-1), time=datetime(2019, 2, 4, 4, tzinfo=UTC)),
        candle(num_trades=None, time=datetime(2019, 2, 4, 5, tzinfo=UTC)),
    ]
    errors = ohlc_errors(pl.DataFrame(rows, schema=CANDLE_SCHEMA))
    assert [line[:16] for line in errors] == [f"2019-02-04 0{hour}:00" for hour in (1, 2, 3, 4)]


def test_repeated_candle_is_named() -> None:
    frame = pl.DataFrame([candle(), candle()], schema=CANDLE_SCHEMA)
    assert ohlc_errors(frame) == ("2019-02-04 00:00: more than one candle",)


def test_hours_open_without_a_candle_are_uncovered_and_short_openings_are_not() -> None:
    hour = 3_600_000
    spans = [(0, 3 * hour), (5 * hour, 5 * hour + hour // 3)]
    times = np.array([60_000, 2 * hour], np.int64)
    assert uncovered_hours(times, spans, 0) == (1,)
