"""Yahoo as the replay exchange plays it: its shapes, its habits and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, running_replay

NOW = datetime(2026, 6, 18, 15, 31, 20, tzinfo=UTC)


def now() -> datetime:
    return NOW


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=World(7, ExchangeClock(1.0, now))) as running:
        yield running


def seconds(days: float) -> int:
    return int((NOW - timedelta(days=days)).timestamp())


def chart(replay: RunningReplay, ticker: str = "AAPL", **params: str | int) -> httpx.Response:
    url = f"{replay.live_url('yahoo')}/v8/finance/chart/{ticker}"
    return httpx.get(url, params=params, timeout=60, trust_env=False)


def result(replay: RunningReplay, ticker: str = "AAPL", **params: str | int) -> dict[str, Any]:
    response = chart(replay, ticker, **params)
    response.raise_for_status()
    (found,) = response.json()["chart"]["result"]
    assert isinstance(found, dict)
    return found


def test_a_chart_has_yahoos_shape_and_columns_of_one_length(replay: RunningReplay) -> None:
    found = result(
        replay, interval="1d", period1=seconds(400), period2=seconds(0), events="div,splits", includePrePost="false"
    )
    assert found["meta"] | {"currency": "USD", "exchangeName": "NMS", "dataGranularity": "1d"} == found["meta"]
    columns = [*found["indicators"]["quote"][0].values(), found["indicators"]["adjclose"][0]["adjclose"]]
    assert {len(column) for column in columns} == {len(found["timestamp"])}
    assert set(found["events"]) == {"dividends", "splits"}
    assert found["indicators"]["adjclose"][0]["adjclose"][0] < found["indicators"]["quote"][0]["close"][0]


def test_prices_carry_the_noise_of_32_bit_floats(replay: RunningReplay) -> None:
    closes = result(replay, interval="1d", period1=seconds(60), period2=seconds(0))["indicators"]["quote"][0]["close"]
    assert any(len(repr(close)) > 10 for close in closes)
    assert all(abs(close - round(close, 2)) < 1e-5 for close in closes)


def test_half_hours_are_hours(replay: RunningReplay) -> None:
    found = result(replay, interval="30m", period1=seconds(2), period2=seconds(1))
    assert found["meta"]["dataGranularity"] == "1h"
    first, second = found["timestamp"][:2]
    assert second - first == 3600


def test_the_last_row_of_a_session_in_progress_is_the_price_of_the_moment(replay: RunningReplay) -> None:
    found = result(replay, interval="5m", range="1d")
    assert found["timestamp"][-1] == seconds(0)
    assert found["timestamp"][-2] % 300 == 0
    assert found["meta"]["regularMarketTime"] == seconds(0)


@pytest.mark.parametrize(
    ("interval", "first", "last", "told"),
    [
        ("1m", 20, 5, "Only 8 days worth"),
        ("1m", 35, 30, "within the last 30 days"),
        ("5m", 70, 65, "within the last 60 days"),
        ("1h", 800, 790, "within the last 730 days"),
    ],
)
def test_depth_is_limited_as_yahoos(replay: RunningReplay, interval: str, first: int, last: int, told: str) -> None:
    response = chart(replay, interval=interval, period1=seconds(first), period2=seconds(last))
    assert response.status_code == 422
    assert told in response.json()["chart"]["error"]["description"]


def test_unknown_tickers_and_intervals_are_refused(replay: RunningReplay) -> None:
    unknown = chart(replay, "NOPE")
    assert (unknown.status_code, unknown.json()["chart"]["error"]["code"]) == (404, "Not Found")
    assert chart(replay, interval="3m").status_code == 422
    assert chart(replay, interval="1d", period1="yesterday").status_code == 422


def test_faults_spoil_charts_too(replay: RunningReplay) -> None:
    replay.fail("/yahoo/.*AAPL", "429", seconds=7)
    response = chart(replay)
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    replay.fail("/yahoo/.*AAPL", "empty_once")
    assert "timestamp" not in result(replay, interval="1d", range="5d")
