"""Whatever comes in an answer of Yahoo's, it becomes days or one of our errors."""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.errors import MarketPlatformError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.quality import ohlc_errors
from market_platform.exchanges.yahoo.actions import actions_of
from market_platform.exchanges.yahoo.history import _candle_days
from market_platform.exchanges.yahoo.plans import ONE_DAY, QUARTER, plan_day
from market_platform.exchanges.yahoo.wire import parse_chart

DAY = date(2026, 6, 17)
(OPEN_MS, *_) = plan_day("NMS", DAY, QUARTER).expected
OPEN_S, NOW_MS = OPEN_MS // 1000, OPEN_MS + 86_400_000
GOOD: dict[str, Any] = {
    "chart": {
        "result": [
            {
                "meta": {
                    "currency": "USD",
                    "symbol": "AAPL",
                    "exchangeName": "NMS",
                    "exchangeTimezoneName": "America/New_York",
                    "firstTradeDate": 345479400,
                    "regularMarketTime": OPEN_S + 23_400,
                    "priceHint": 2,
                    "dataGranularity": "15m",
                },
                "timestamp": [OPEN_S, OPEN_S + 900, OPEN_S + 1800],
                "indicators": {
                    "quote": [
                        {
                            "open": [190.1, 190.2, None],
                            "high": [191.0, 191.5, 191.25],
                            "low": [189.0, 189.5, 189.25],
                            "close": [190.5, 190.25, 190.75],
                            "volume": [100, 0, 7],
                        }
                    ],
                    "adjclose": [{"adjclose": [190.0, 190.0, 190.0]}],
                },
                "events": {
                    "dividends": {"1": {"amount": 0.26, "date": OPEN_S, "currency": "USD"}},
                    "splits": {"2": {"date": OPEN_S, "numerator": 4.0, "denominator": 1.0, "splitRatio": "4:1"}},
                },
            }
        ],
        "error": None,
    }
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 1e-300, 1e300, 10**17, 1e-39, 4_102_444_799, -(10**10), OPEN_S, 0.1234567890123456789]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["NaN", "Infinity", "-0", "1e400", "Europe/London", "15m"]),
    st.just([]),
    st.just({}),
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in the document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for name, child in children for path in paths(child, (*here, name)))]


@given(st.lists(st.tuples(st.sampled_from(paths(GOOD)[1:]), ODD), min_size=1, max_size=3), st.booleans())
def test_any_wrong_value_anywhere_is_a_day_or_an_error_of_ours(
    changes: list[tuple[tuple[Any, ...], Any]], daily: bool
) -> None:
    document = copy.deepcopy(GOOD)
    for path, odd in changes:
        place = document
        try:
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = odd
        except (TypeError, KeyError, IndexError):
            continue  # an earlier change took the place away
    interval = ONE_DAY if daily else QUARTER
    plans = [plan_day("NMS", DAY, interval)]
    try:
        chart = parse_chart(json.dumps(document).encode(), "AAPL", "15m", "test")
        days = _candle_days(chart, plans, interval, "AAPL", NOW_MS)
        actions = actions_of(chart, plans, NOW_MS, "AAPL")
    except MarketPlatformError:
        return
    assert days[0].rows.schema == CANDLE_SCHEMA
    assert ohlc_errors(days[0].rows) == ()
    assert all(action.value > 0 for action in actions[0].rows)


def test_the_good_answer_is_one() -> None:
    chart = parse_chart(json.dumps(GOOD).encode(), "AAPL", "15m", "test")
    (day,) = _candle_days(chart, [plan_day("NMS", DAY, QUARTER)], QUARTER, "AAPL", NOW_MS)
    assert (day.count, len(day.missing)) == (2, 24)
    halves = _candle_days(chart, [plan_day("NMS", DAY, QUARTER)], parse_interval("30m"), "AAPL", NOW_MS)
    assert halves[0].count == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_an_error_of_ours(body: bytes) -> None:
    with pytest.raises(MarketPlatformError):
        parse_chart(body, "AAPL", "15m", "test")
