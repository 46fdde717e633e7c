"""Binance's REST side against a real local server: pages that fit together, and refused when they do not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
    HistoryGoneError,
)
from market_platform.domain.events import Candle, OpenInterest
from market_platform.domain.intervals import MINUTE_MS, Interval, parse_interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.binance import rest as rest_module
from market_platform.exchanges.binance.rest import BinanceRest
from market_platform_tests.fixtures.binance_rest_script import (
    SPOT,
    START,
    Script,
    asked,
    failing,
    server_time,
    time_path,
    trade,
    trades_path,
)
from market_platform_tests.fixtures.scripted_exchange import json_reply

ONE_MINUTE = parse_interval("1m")
PERP = LivePair(2, "binance", "BTCUSDT.P", "BTC", "USDT", "perps", "BTCUSDT", {"1m": 2})
END7 = START + 7 * MINUTE_MS

pytestmark = pytest.mark.usefixtures("instant_retries")


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_module, "KLINES_A_PAGE", {"spot": 3, "usdm": 3})
    monkeypatch.setattr(rest_module, "TRADES_A_PAGE", 3)


def klines_path(start: int, end: int, limit: int, interval: str = "1m", prefix: str = "/api/v3") -> str:
    query = {"symbol": "BTCUSDT", "interval": interval, "startTime": start, "endTime": end - 1, "limit": limit}
    return f"{prefix}/klines?{urlencode(query)}"


def minute(number: int, **changed: Any) -> list[Any]:
    """The row of a minute after START."""
    opens = START + number * MINUTE_MS
    row = {"t": opens, "o": "61837.63000000", "h": "61850.00000000", "l": "61800.10000000", "c": "61840.00000000"}
    row |= {"v": "12.50000000", "T": opens + MINUTE_MS - 1, "q": "1", "n": 40, "V": "1", "Q": "1", "B": "0"} | changed
    return list(row.values())


def minutes(count: int, pair: LivePair = SPOT) -> Callable[[BinanceRest], Awaitable[list[Candle]]]:
    return lambda rest: rest.candles(pair, ONE_MINUTE, START, START + count * MINUTE_MS)


def opens(candles: list[Candle]) -> list[int]:
    return [(each.open_ms - START) // MINUTE_MS for each in candles]


def at(number: int, limit: int, end: int = END7) -> str:
    return klines_path(START + number * MINUTE_MS, end, limit)


def test_pages_of_candles_are_put_together_exactly() -> None:
    script: Script = {
        time_path(): server_time(),
        at(0, 3): json_reply([minute(0), minute(1), minute(2)]),
        at(3, 3): json_reply([minute(3), minute(4), minute(5)]),
        at(6, 2): json_reply([minute(6)]),
    }
    candles, server = asked(script, minutes(7))
    assert opens(candles) == [0, 1, 2, 3, 4, 5, 6]
    assert candles[0] == Candle(
        symbol="BTCUSDT",
        interval="1m",
        open_ms=START,
        end_ms=START + MINUTE_MS,
        open=Decimal("61837.63000000"),
        high=Decimal("61850.00000000"),
        low=Decimal("61800.10000000"),
        close=Decimal("61840.00000000"),
        volume=Decimal("12.50000000"),
        num_trades=40,
        closed=True,
    )
    assert len(server.asked) == 4


def test_a_perpetual_is_asked_below_fapi() -> None:
    script: Script = {
        time_path("/fapi/v1"): server_time(),
        klines_path(START, START + MINUTE_MS, 2, prefix="/fapi/v1"): json_reply([minute(0)]),
    }
    candles, _ = asked(script, minutes(1, PERP))
    assert opens(candles) == [0]


def test_a_short_page_is_not_believed_to_be_the_last() -> None:
    script: Script = {
        time_path(): server_time(),
        at(0, 3): json_reply([minute(0)]),
        at(1, 3): json_reply([minute(1), minute(2), minute(3)]),
        at(4, 3): json_reply([minute(4), minute(5), minute(6)]),
    }
    assert opens(asked(script, minutes(7))[0]) == [0, 1, 2, 3, 4, 5, 6]


def test_minutes_that_binance_does_not_have_are_left_out() -> None:
    script: Script = {
        time_path(): server_time(),
        at(0, 3): json_reply([minute(0), minute(2), minute(3)]),
        at(4, 3): json_reply([minute(5)]),
        at(6, 2): json_reply([]),
    }
    assert opens(asked(script, minutes(7))[0]) == [0, 2, 3, 5]


def test_the_candle_that_is_forming_is_left_out() -> None:
    now = START + 2 * MINUTE_MS + 1
    script: Script = {
        time_path(): server_time(now),
        klines_path(START, now, 3): json_reply([minute(0), minute(1), minute(2)]),
    }
    assert opens(asked(script, minutes(7))[0]) == [0, 1]


def test_a_candle_that_ended_this_very_millisecond_is_closed() -> None:
    now = START + 2 * MINUTE_MS
    script: Script = {time_path(): server_time(now), klines_path(START, now, 3): json_reply([minute(0), minute(1)])}
    assert opens(asked(script, minutes(7))[0]) == [0, 1]


def test_the_server_may_count_in_microseconds() -> None:
    now = START + 2 * MINUTE_MS
    rows = [minute(n, t=(START + n * MINUTE_MS) * 1000, T=(START + (n + 1) * MINUTE_MS) * 1000 - 1) for n in range(2)]
    script: Script = {time_path(): server_time(now * 1000), klines_path(START, now, 3): json_reply(rows)}
    assert opens(asked(script, minutes(7))[0]) == [0, 1]


def test_a_month_has_its_own_length() -> None:
    january, february, march = 1_704_067_200_000, 1_706_745_600_000, 1_709_251_200_000
    script: Script = {
        time_path(): server_time(),
        klines_path(january, march, 3, "1M"): json_reply(
            [minute(0, t=january, T=february - 1), minute(0, t=february, T=march - 1)]
        ),
    }
    month: Interval = parse_interval("1M")
    candles, _ = asked(script, lambda rest: rest.candles(SPOT, month, january, march))
    assert [each.open_ms for each in candles] == [january, february]


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ([[0, 1, 2], [2, 3, 4]], "outside, repeated or out of order"),
        ([[0, 1, 2], [0, 1, 2]], "outside, repeated or out of order"),
        ([[0, 2, 1]], "outside, repeated or out of order"),
        ([[0, 0]], "outside, repeated or out of order"),
        ([[-1, 0]], "outside, repeated or out of order"),
        ([[6, 7]], "outside, repeated or out of order"),
        ([[0, 1, 2, 3]], "4 rows where 3 were asked for"),
    ],
    ids=["overlapping", "page twice", "disorder", "twice", "too early", "too late", "too many"],
)
def test_pages_that_do_not_fit_are_refused(pages: list[list[int]], told: str) -> None:
    script: Script = {time_path(): server_time()}
    for number, page in enumerate(pages):
        script[at(3 * number, 3)] = json_reply([minute(each) for each in page])
    failing(script, minutes(7), BadPayloadError, f"binance/BTCUSDT 1m candles from .*{told}")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (minute(0, o=61837.63), "Expected `str`, got `float`"),
        (minute(0, o=None), "Expected `str`, got `null`"),
        (minute(0, h="1"), "contradict each other"),
        (minute(0, v="-1"), "v '-1' is not a plain decimal number"),
        (minute(0, c="NaN"), "c 'NaN'"),
        (minute(0, t=START + 1), "not on the grid"),
        (minute(0, T=START + MINUTE_MS), "is not the end of the 1m"),
        (minute(0, n=-3), ">= 0"),
        (minute(0)[:6], "at least length 9, got 6"),
        ({"t": START}, "Expected `array`"),
    ],
)
def test_rows_that_make_no_sense_are_refused(row: Any, told: str) -> None:
    failing({time_path(): server_time(), at(0, 3): json_reply([row])}, minutes(7), BadPayloadError, told)


def test_trades_are_fetched_by_id_up_to_the_last_one_asked_for() -> None:
    script: Script = {
        trades_path(fromId=10, limit=3): json_reply([trade(10), trade(11)]),
        trades_path(fromId=12, limit=3): json_reply([trade(12), trade(13), trade(14)]),
        trades_path(fromId=15, limit=1): json_reply([trade(15)]),
    }
    trades, _ = asked(script, lambda rest: rest.trades(SPOT, 10, 15))
    assert [each.trade_id for each in trades] == [10, 11, 12, 13, 14, 15]
    first = trades[0]
    assert (format(first.price, "f"), first.quantity, first.side) == ("0.00000638", Decimal("1.5"), "sell")
    assert (first.first_id, first.last_id, first.time_ms) == (20, 21, START + 10)


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        ([10, 12], "trade 12 comes where 11 was due"),
        ([10, 10], "trade 10 comes where 11 was due"),
        ([9, 10], "trade 9 comes where 10 was due"),
        ([10, 11, 12, 13], "4 rows where 3"),
    ],
    ids=["hole", "twice", "too early", "too many"],
)
def test_trades_that_do_not_continue_each_other_are_refused(ids: list[int], told: str) -> None:
    script: Script = {trades_path(fromId=10, limit=3): json_reply([trade(each) for each in ids])}
    failing(script, lambda rest: rest.trades(SPOT, 10, 20), BadPayloadError, told)


def test_trades_that_binance_forgot_are_gone() -> None:
    script: Script = {trades_path(fromId=10, limit=3): json_reply([trade(500)])}
    error = failing(script, lambda rest: rest.trades(SPOT, 10, 20), HistoryGoneError, "still has is 500")
    assert isinstance(error, HistoryGoneError)
    assert error.earliest_ms == START + 500


def test_trades_that_rest_does_not_have_yet_are_worth_another_question() -> None:
    script: Script = {
        trades_path(fromId=10, limit=3): json_reply([trade(10)]),
        trades_path(fromId=11, limit=2): json_reply([]),
    }
    failing(script, lambda rest: rest.trades(SPOT, 10, 12), ExchangeUnavailableError, "none yet")


def test_the_newest_trade() -> None:
    assert asked({trades_path(limit=1): json_reply([trade(77)])}, lambda rest: rest.last_trade_id(SPOT))[0] == 77
    assert asked({trades_path(limit=1): json_reply([])}, lambda rest: rest.last_trade_id(SPOT))[0] is None


def test_open_interest_of_a_perpetual_and_none_of_spot() -> None:
    answer = {"symbol": "BTCUSDT", "openInterest": "10659.509", "time": START}
    script: Script = {"/fapi/v1/openInterest?symbol=BTCUSDT": json_reply(answer)}
    found, _ = asked(script, lambda rest: rest.context(PERP))
    assert found == [OpenInterest("BTCUSDT", Decimal("10659.509"), time_ms=START)]
    assert asked({}, lambda rest: rest.context(SPOT))[0] == []
    other: Script = {"/fapi/v1/openInterest?symbol=BTCUSDT": json_reply({**answer, "symbol": "ETHUSDT"})}
    failing(other, lambda rest: rest.context(PERP), BadPayloadError, "it is of ETHUSDT")


def test_known_symbols() -> None:
    script: Script = {
        "/api/v3/exchangeInfo": json_reply({"symbols": [{"symbol": "BTCUSDT", "status": "TRADING"}]}),
        "/fapi/v1/exchangeInfo": json_reply({"symbols": [{"symbol": "ETHUSDT"}]}),
    }
    assert asked(script, lambda rest: rest.known_symbols("spot"))[0] == {"BTCUSDT"}
    assert asked(script, lambda rest: rest.known_symbols("perps"))[0] == {"ETHUSDT"}
