"""Hyperliquid's past: equal to what the replay exchange really did, and only what it has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from market_platform.domain.clock import day_start_ms, days_between
from market_platform.domain.errors import (
    BadRequestError,
    ConfigError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryPair
from market_platform.domain.intervals import MINUTE_MS, parse_interval
from market_platform.exchanges.day_rows import HOUR_MS, told
from market_platform.replay.live.hyperliquid.contexts import Contexts
from market_platform.replay.testing import RunningReplay
from market_platform_tests.fixtures.history_rows import rows_of, span, states, truth_rows
from market_platform_tests.fixtures.hyperliquid_past import BTC, HOUR, ask
from market_platform_tests.fixtures.live_replay import WEDNESDAY, patient_replay

TODAY = WEDNESDAY.date()
MONDAY, TUESDAY = TODAY - timedelta(2), TODAY - timedelta(1)
MINUTE, DAY = parse_interval("1m"), parse_interval("1d")

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with patient_replay() as running:
        yield running


@pytest.mark.parametrize("interval", [MINUTE, HOUR, DAY])
def test_candles_are_the_exchange_s_own(replay: RunningReplay, interval: Any) -> None:
    days = days_between(MONDAY, TUESDAY)
    got = ask(replay.live_url("hyperliquid_rest"), lambda history: history.candles(BTC, interval, days))
    assert rows_of(got) == truth_rows(replay.truth.candles("hyperliquid", "BTC", interval.name, *span(*days)))
    assert states(got) == dict.fromkeys(days, "available")
    assert all(each.inputs and each.input_version and not each.missing for each in got.days)


def test_the_same_days_have_the_same_input_version_again(replay: RunningReplay) -> None:
    url = replay.live_url("hyperliquid_rest")
    first, again = (ask(url, lambda history: history.candles(BTC, HOUR, [MONDAY, TUESDAY])) for _ in range(2))
    assert [each.input_version for each in first.days] == [each.input_version for each in again.days]


def test_days_beyond_the_newest_5000_candles_are_missing_and_say_from_when_there_are_some(
    replay: RunningReplay,
) -> None:
    days = days_between(TODAY - timedelta(5), TUESDAY)
    earliest = edge_of(replay)
    got = ask(replay.live_url("hyperliquid_rest"), lambda history: history.candles(BTC, MINUTE, days))
    latest = edge_of(replay)
    assert list(states(got).values()) == ["missing", "missing", "degraded", "available", "available"]
    gone, _, partly, *_ = got.days
    assert len(gone.missing) == 1440
    may_be = [told(edge) for edge in range(earliest, latest + 1, MINUTE_MS)]
    assert gone.reason == partly.reason
    assert any(f"the newest 5,000 candles of 1m, from {edge} on" in gone.reason for edge in may_be)
    assert partly.missing[0] == day_start_ms(partly.day)
    assert earliest <= partly.missing[-1] + MINUTE_MS <= latest
    assert partly.count + len(partly.missing) == 1440


def edge_of(replay: RunningReplay) -> int:
    """The first of the newest 5,000 minutes now."""
    now = replay.world.clock.now_ms()
    return now - now % MINUTE_MS - 4999 * MINUTE_MS


def test_a_day_that_is_not_over_by_the_exchange_s_clock_is_pending(replay: RunningReplay) -> None:
    url = replay.live_url("hyperliquid_rest")
    got = ask(url, lambda history: history.candles(BTC, HOUR, [TUESDAY, TODAY]))
    assert states(got) == {TUESDAY: "available", TODAY: "pending"}
    assert "not over yet by Hyperliquid's clock" in got.days[-1].reason
    paid = ask(url, lambda history: history.funding(BTC, [TODAY]))
    assert states(paid) == {TODAY: "pending"}


def test_funding_is_hourly_to_the_minute_with_rate_and_premium_as_the_stream_said(replay: RunningReplay) -> None:
    days = days_between(TODAY - timedelta(25), TUESDAY)
    got = ask(replay.live_url("hyperliquid_rest"), lambda history: history.funding(BTC, days))
    assert states(got) == dict.fromkeys(days, "available")
    rows = [row for day in got.days for row in day.rows]
    start, end = span(days[0], days[-1])
    assert [row.time_ms for row in rows] == list(range(start, end, HOUR_MS))
    market = replay.world.market("hyperliquid", "BTC")
    assert market is not None
    said = Contexts(replay.world.book(market).tape)
    for row in rows[:: 7 * 24 + 1]:
        assert row.time_ms is not None
        rate, premium = said.funding(row.time_ms // 1000)
        assert (row.funding_rate, row.premium) == (Decimal(rate), Decimal(premium))
        assert (row.mark_price, row.oracle_price) == (None, None)  # so that COALESCE leaves what the stream had


@pytest.mark.parametrize("fault", ["429", "503", "reset", "truncate", "garbage", "empty_once"])
def test_a_fault_on_the_way_is_asked_again(replay: RunningReplay, fault: str) -> None:
    replay.fail("hyperliquid/info", fault, seconds=0)
    got = ask(replay.live_url("hyperliquid_rest"), lambda history: history.candles(BTC, HOUR, [MONDAY, TUESDAY]))
    assert replay.faults.rules[-1].hits == 1
    assert rows_of(got) == truth_rows(replay.truth.candles("hyperliquid", "BTC", "1h", *span(MONDAY, TUESDAY)))


def test_what_there_is_not_is_refused_at_once(replay: RunningReplay) -> None:
    url = replay.live_url("hyperliquid_rest")
    unknown = HistoryPair("hyperliquid", "NOPEUSD", "NOPE", "USD", "perps")
    with pytest.raises(UnknownSymbolError, match="'NOPE'"):
        ask(url, lambda history: history.candles(unknown, HOUR, [MONDAY]))
    spot = HistoryPair("hyperliquid", "BTCUSD", "BTC", "USD", "spot")
    with pytest.raises(ConfigError, match="no spot market"):
        ask(url, lambda history: history.funding(spot, [MONDAY]))
    with pytest.raises(BadRequestError, match="has no history of open interest"):
        ask(url, lambda history: history.open_interest(BTC, [MONDAY]))
