"""CCXT's symbols, rows and pages: which market a pair is, what a row must be, what is missing between rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from market_platform.domain.errors import BadPayloadError, UnknownSymbolError
from market_platform.domain.history import HistoryPair
from market_platform.exchanges.ccxt.amounts import Amounts
from market_platform.exchanges.ccxt.pages import next_due
from market_platform.exchanges.ccxt.rows import funding_of, numbers_of, open_interest_of
from market_platform.exchanges.ccxt.symbols import candidates, resolve
from market_platform.exchanges.day_rows import HOUR_MS, absent_times

DAY_MS = 24 * HOUR_MS
START = 20_000 * DAY_MS
SPOT, SWAP = {"spot": True, "swap": False}, {"spot": False, "swap": True}


def pair(coin: str, quote: str, market_type: str) -> HistoryPair:
    return HistoryPair("other", f"{coin}{quote}", coin, quote, market_type)


def test_symbols_are_spelled_as_ccxt_does() -> None:
    assert candidates(pair("BTC", "USDT", "spot"), "kraken") == ["BTC/USDT"]
    assert candidates(pair("BTC", "USDT", "perps"), "bybit") == ["BTC/USDT:USDT", "BTC/USDT:BTC"]
    assert candidates(pair("BTC", "USD", "perps"), "hyperliquid")[0] == "BTC/USDC:USDC"


def test_a_market_of_the_other_type_is_not_the_pair() -> None:
    markets: dict[str, Any] = {"BTC/USDT": SPOT, "BTC/USDT:USDT": SWAP, "BTC/USD:BTC": SWAP}
    assert resolve(pair("BTC", "USDT", "spot"), "okx", markets) == "BTC/USDT"
    assert resolve(pair("BTC", "USDT", "perps"), "okx", markets) == "BTC/USDT:USDT"
    assert resolve(pair("BTC", "USD", "perps"), "okx", markets) == "BTC/USD:BTC"
    with pytest.raises(UnknownSymbolError, match=r"okx has no spot market BTC/USD; it has BTC/USDT\. Change coin"):
        resolve(pair("BTC", "USD", "spot"), "okx", markets)
    with pytest.raises(UnknownSymbolError, match="none of its 2 perps markets is near"):
        resolve(pair("ETH", "EUR", "perps"), "okx", markets)


def test_a_market_that_counts_contracts_is_flagged() -> None:
    market: dict[str, Any] = {"symbol": "BTC/USDT:USDT", "swap": True, "precision": {"price": 0.1, "amount": 1.0}}
    assert numbers_of({**market, "contractSize": 1.0}, 4).flags == ()
    assert "coins or contracts of 0.001" in numbers_of({**market, "contractSize": 0.001}, 4).flags[0]
    assert numbers_of({**market, "contractSize": 100, "inverse": True}, 4).price_step == Decimal("0.1")


def test_events_are_of_the_minute_and_must_say_how_much() -> None:
    numbers = numbers_of({"symbol": "BTC/USDT:USDT"}, 4)
    row = {"timestamp": START + 48, "fundingRate": "-0.0000125"}
    assert funding_of(row, numbers, Amounts()).time_ms == START
    assert funding_of(row, numbers, Amounts()).funding_rate == Decimal("-0.0000125")
    interest = {"timestamp": START, "openInterestAmount": None, "openInterestValue": "1.5"}
    with pytest.raises(BadPayloadError, match="amount is None"):
        open_interest_of(interest, numbers, Amounts())
    for wrong in ({"timestamp": None}, {"timestamp": "now"}, [1], None):
        with pytest.raises(BadPayloadError):
            funding_of(wrong, numbers, Amounts())


def every(hours: int, first: int = 0, last: int = 48) -> list[int]:
    return [START + hour * HOUR_MS for hour in range(first, last, hours)]


@pytest.mark.parametrize("hours", [1, 4, 8])
def test_fundings_of_any_rhythm_have_no_hole(hours: int) -> None:
    assert absent_times(every(hours), 0, START, START + 2 * DAY_MS) == []


def test_a_rhythm_that_changes_has_no_hole() -> None:
    times = every(8, 0, 24) + every(4, 24, 48)
    assert absent_times(times, 0, START, START + 2 * DAY_MS) == []


@pytest.mark.parametrize("hours", [1, 4, 8])
@pytest.mark.parametrize("place", [0, 2, -1])
def test_one_funding_that_is_not_there_is_found(hours: int, place: int) -> None:
    times = every(hours)
    gone = times.pop(place)
    assert absent_times(times, 0, START, START + 2 * DAY_MS) == [gone]


def test_a_day_without_fundings_is_found_between_days_that_have_some() -> None:
    times = every(8, 0, 24) + every(8, 48, 72)
    assert absent_times(times, 0, START, START + 3 * DAY_MS) == every(8, 24, 48)


def test_with_a_step_every_time_without_a_row_is_absent() -> None:
    assert absent_times(every(1, 2, 24), HOUR_MS, START, START + DAY_MS) == every(1, 0, 2)
    assert absent_times([], HOUR_MS, START, START + 2 * HOUR_MS) == every(1, 0, 2)


def test_the_next_row_is_due_a_step_later_or_as_soon_as_rows_ever_followed() -> None:
    assert next_due(every(1, 0, 3), HOUR_MS) == START + 3 * HOUR_MS
    assert next_due(every(8, 0, 24), 0) == START + 24 * HOUR_MS
    assert next_due([START], 0) == START + 60_000
