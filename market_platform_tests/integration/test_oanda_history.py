"""OANDA's past: equal to what the replay exchange really did, and only what it has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from market_platform.domain.clock import day_start_ms, days_between, from_ms
from market_platform.domain.errors import (
    BadRequestError,
    ConfigError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryPair
from market_platform.domain.intervals import DAY_MS, parse_interval
from market_platform.domain.market_hours import FOREX_HOURS, METAL_HOURS
from market_platform.exchanges.day_rows import HOUR_MS
from market_platform.exchanges.oanda.history import holes, hours_of
from market_platform.replay.live.history import listed_from_ms
from market_platform.replay.testing import RunningReplay
from market_platform_tests.fixtures.history_rows import rows_of, span, states, truth_rows
from market_platform_tests.fixtures.live_replay import WEDNESDAY, patient_replay
from market_platform_tests.fixtures.oanda_past import EURUSD, HOUR, ask

TODAY = WEDNESDAY.date()
FRIDAY, MONDAY = date(2026, 11, 13), date(2026, 11, 16)
MINUTE, FOUR_HOURS, DAY = (parse_interval(name) for name in ("1m", "4h", "1d"))

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with patient_replay() as running:
        yield running


@pytest.mark.parametrize("interval", [MINUTE, HOUR, FOUR_HOURS, DAY])
def test_candles_are_the_exchange_s_own_in_utc_days(replay: RunningReplay, interval: Any) -> None:
    days = days_between(FRIDAY, MONDAY)
    got = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, interval, days))
    assert rows_of(got) == truth_rows(
        replay.truth.candles("oanda", "EUR_USD", interval.name, *span(*days[:: len(days) - 1]))
    )
    assert list(states(got).values()) == ["available", "closed", "available", "available"]
    assert got.days[1].inputs == ()
    assert all(each.inputs for each in got.days if each.count)


def test_days_go_back_as_far_as_the_replay_exchange_does(replay: RunningReplay) -> None:
    listed = from_ms(listed_from_ms(replay.world.clock.now_ms())).date()
    days = days_between(listed, listed + timedelta(13))
    got = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, HOUR, days))
    assert {state for day, state in states(got).items() if day.weekday() != 5} == {"available"}
    assert {state for day, state in states(got).items() if day.weekday() == 5} == {"closed"}
    before = [day - timedelta(14) for day in days]
    gone = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, HOUR, before))
    assert {state for day, state in states(gone).items() if day.weekday() != 5} == {"missing"}
    assert "before its history" in gone.days[0].reason
    assert len(gone.days[0].missing) >= 2


def test_today_is_pending(replay: RunningReplay) -> None:
    got = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, MINUTE, [TODAY]))
    assert states(got) == {TODAY: "pending"}


@pytest.mark.parametrize("fault", ["429", "503", "reset", "truncate", "garbage"])
def test_a_fault_on_the_way_is_asked_again(replay: RunningReplay, fault: str) -> None:
    replay.fail("oanda/v3/instruments", fault, seconds=0)
    got = ask(replay.live_url("oanda_rest"), lambda history: history.candles(EURUSD, HOUR, [MONDAY]))
    assert replay.faults.rules[-1].hits == 1
    assert rows_of(got) == truth_rows(replay.truth.candles("oanda", "EUR_USD", "1h", *span(MONDAY, MONDAY)))


def test_what_there_is_not_is_refused_at_once(replay: RunningReplay) -> None:
    url = replay.live_url("oanda_rest")
    unknown = HistoryPair("oanda", "NOPEUSD", "NOPE", "USD", "spot")
    with pytest.raises(UnknownSymbolError, match="OANDA does not know it"):
        ask(url, lambda history: history.candles(unknown, HOUR, [MONDAY]))
    perpetual = HistoryPair("oanda", "EURUSD", "EUR", "USD", "perps")
    with pytest.raises(ConfigError, match="no perpetual"):
        ask(url, lambda history: history.candles(perpetual, HOUR, [MONDAY]))
    with pytest.raises(BadRequestError, match="has no history of funding rates"):
        ask(url, lambda history: history.funding(EURUSD, [MONDAY]))


def test_which_hours_a_pair_has() -> None:
    assert hours_of(EURUSD) is FOREX_HOURS
    assert hours_of(HistoryPair("oanda", "XAUUSD", "XAU", "USD", "spot")) is METAL_HOURS
    assert hours_of(HistoryPair("oanda", "SPX500USD", "SPX500", "USD", "spot")) is None


@pytest.mark.parametrize(("sunday", "opens"), [(date(2026, 3, 1), 22), (date(2026, 3, 8), 21), (date(2026, 11, 8), 22)])
def test_sundays_open_by_new_york_s_clock(sunday: date, opens: int) -> None:
    start = day_start_ms(sunday)
    expected = holes(set(), sunday, HOUR, FOREX_HOURS)
    assert expected == tuple(range(start + opens * HOUR_MS, start + DAY_MS, HOUR_MS))


def test_an_hour_in_which_the_market_closes_is_due() -> None:
    last = day_start_ms(FRIDAY) + 21 * HOUR_MS
    there = set(range(day_start_ms(FRIDAY), last, HOUR_MS))
    assert holes(there, FRIDAY, HOUR, FOREX_HOURS) == (last,)
    assert holes({*there, last}, FRIDAY, HOUR, FOREX_HOURS) == ()
