"""Yahoo's answers gone wrong, by a scripted server: right rows, a day that says what it lacks, or a clear failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import stamina

from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ExchangeError,
    ExchangeUnavailableError,
    MarketPlatformError,
    RateLimitedError,
)
from market_platform.domain.history import HistoryDays, HistoryPair
from market_platform.domain.intervals import parse_interval
from market_platform.exchanges.yahoo.config import YahooConfig
from market_platform.exchanges.yahoo.history import YahooHistory
from market_platform.exchanges.yahoo.sessions import sessions_of
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, Request, json_answer

PATH = "/v8/finance/chart/AAPL"
PAIR = HistoryPair("yahoo", "AAPL", "AAPL", "USD", "stock")
DAY = date(2026, 6, 17)
NOW = datetime(2026, 6, 19, 12, 0, tzinfo=UTC)
(SESSION,) = sessions_of("NMS", DAY, DAY)
OPEN_S = SESSION.opens_ms // 1000
Document = dict[str, Any]
Columns = dict[str, list[Any]]


@pytest.fixture(autouse=True)
def instant_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def chart(interval: str, columns: Columns | None = None, **meta: Any) -> Document:
    """A good answer of that interval, with or without bars."""
    result: Document = {
        "meta": {
            "currency": "USD",
            "symbol": "AAPL",
            "exchangeName": "NMS",
            "exchangeTimezoneName": "America/New_York",
            "firstTradeDate": 345479400,
            "regularMarketTime": OPEN_S + 23_400,
            "priceHint": 2,
            "dataGranularity": interval,
            **meta,
        },
        "indicators": {"quote": [{}]},
    }
    if columns is not None:
        result["timestamp"] = columns["time"]
        result["indicators"]["quote"] = [{name: values for name, values in columns.items() if name != "time"}]
    return {"chart": {"result": [result], "error": None}}


def session(count: int = 26) -> Columns:
    """The quarters of the session of `DAY`."""
    return {
        "time": [OPEN_S + 900 * number for number in range(count)],
        "open": [190.0 + number / 10 for number in range(count)],
        "high": [190.5 + number / 10 for number in range(count)],
        "low": [189.5 + number / 10 for number in range(count)],
        "close": [190.25 + number / 10 for number in range(count)],
        "volume": [1000 + number for number in range(count)],
    }


def without(columns: Columns, index: int) -> Columns:
    return {name: values[:index] + values[index + 1 :] for name, values in columns.items()}


def answering(answers: list[Answer]) -> Callable[[Request], Answer]:
    """What is known of a ticker, always; to questions for bars the answers in turn, the last for ever."""
    asked = 0

    def answer(request: Request) -> Answer:
        nonlocal asked
        if "range" in request.query:
            return json_answer(chart("1d"))
        asked += 1
        return answers[min(asked, len(answers)) - 1]

    return answer


def fetch(*answers: Answer, interval: str = "15m", **config: Any) -> tuple[HistoryDays[Any], list[Request]]:
    """What the day comes back as, and what was asked for its bars."""

    async def run(url: str) -> HistoryDays[Any]:
        settings = {"requests_per_minute": 60_000, **config}
        async with YahooHistory(YahooConfig(url, **settings), lambda: NOW) as history:
            return await history.candles(PAIR, parse_interval(interval), [DAY])

    with BadExchange({PATH: answering(list(answers))}) as exchange:
        found = asyncio.run(run(exchange.url))
        return found, [each for each in exchange.asked(PATH) if "range" not in each.query]


GOOD = json_answer(chart("15m", session()))


def failure(*answers: Answer, **config: Any) -> MarketPlatformError:
    """The error of the day."""
    found, _ = fetch(*answers, **config)
    assert not found.days
    return found.failures[DAY]


def changed(**columns: list[Any]) -> Answer:
    return json_answer(chart("15m", {**session(), **columns}))


def replaced(name: str, index: int, value: object) -> Answer:
    columns = session()
    columns[name][index] = value
    return json_answer(chart("15m", columns))


def test_what_is_asked_is_bounded_without_extended_hours_and_with_actions() -> None:
    found, (asked,) = fetch(GOOD)
    assert (found.days[0].condition, found.days[0].count) == (Condition.AVAILABLE, 26)
    assert asked.query["includePrePost"] == "false"
    assert asked.query["events"] == "div,splits,capitalGains"
    assert int(asked.query["period1"]) < OPEN_S < OPEN_S + 23_400 < int(asked.query["period2"])


@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=429, headers={"Retry-After": "0"}),
        Answer(status=429, body=b"Edge: Too Many Requests", content_type="text/html"),
        Answer(status=500),
        Answer(status=502, body=b"<html>"),
        Answer(status=999),
        Answer(status=401, body=b'{"finance":{"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}'),
        Answer(body=json.dumps(chart("15m", session())).encode(), cut=300),
        Answer(reset=True),
        Answer(body=b"Will be right back", content_type="text/html"),
        json_answer({"chart": {"result": None, "error": {"code": "Internal Server Error", "description": "try"}}}),
    ],
    ids=["429", "429 page", "500", "502", "999", "401", "cut", "reset", "page", "error"],
)
def test_a_passing_outage_is_asked_through_and_a_lasting_one_is_a_failure(bad: Answer) -> None:
    found, asked = fetch(bad, bad, GOOD)
    assert (found.days[0].count, len(asked)) == (26, 3)
    error = failure(bad)
    assert isinstance(error, ExchangeUnavailableError)
    assert "tried" in str(error)


def test_a_pause_that_yahoo_orders_is_kept_and_named() -> None:
    error = failure(Answer(status=429, headers={"Retry-After": "3600"}), GOOD)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after is not None
    assert 3500 < error.retry_after <= 3600


def test_nulls_are_missing_bars_of_which_yahoo_says_so_itself() -> None:
    columns = session()
    for name in ("open", "high", "low", "close", "volume"):
        columns[name][5] = None
    columns["close"][7] = None
    day = fetch(json_answer(chart("15m", columns)))[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 24)
    assert day.missing == (SESSION.opens_ms + 5 * 900_000, SESSION.opens_ms + 7 * 900_000)
    assert "Yahoo says itself" in day.reason


def test_half_hours_of_a_null_quarter_are_those_of_the_other_and_unknown_ones_are_left_out() -> None:
    nothing = session()
    for name in ("open", "high", "low", "close", "volume"):
        nothing[name][2] = None
    day = fetch(json_answer(chart("15m", nothing)), interval="30m")[0].days[0]
    assert (day.condition, day.count, day.missing) == (Condition.AVAILABLE, 13, ())
    assert float(day.rows["open"][1]) == 190.3
    day = fetch(json_answer(chart("15m", without(session(), 2))), interval="30m")[0].days[0]
    assert (day.condition, day.count, day.missing) == (Condition.DEGRADED, 12, (SESSION.opens_ms + 1_800_000,))


def test_a_bar_that_is_not_even_listed_makes_the_day_degraded() -> None:
    day = fetch(json_answer(chart("15m", without(session(), 9))))[0].days[0]
    assert (day.condition, day.count) == (Condition.DEGRADED, 25)
    assert day.missing == (SESSION.opens_ms + 9 * 900_000,)
    assert "1 of the 26 bars" in day.reason


@pytest.mark.parametrize(
    "bad",
    [
        changed(time=[*session()["time"][:5], session()["time"][4], *session()["time"][6:]]),
        changed(time=[*session()["time"][:4], session()["time"][5], session()["time"][4], *session()["time"][6:]]),
        changed(close=session()["close"][:-1]),
        changed(volume=[]),
        replaced("open", 3, "NaN"),
        replaced("open", 3, True),
        replaced("volume", 3, -1),
        replaced("close", 3, 10**30),
        replaced("time", 3, 10**12),
        json_answer(chart("1h", session())),
        json_answer(chart("15m", session(), symbol="MSFT")),
        json_answer(chart("15m", session(), exchangeTimezoneName="Mars/Olympus")),
        json_answer({"chart": {"result": [], "error": None}}),
        json_answer({"chart": []}),
        json_answer({}),
        Answer(body=b'{"chart": NaN}'),
    ],
    ids=[
        *("twice", "out of order", "short column", "no column", "text", "bool", "negative volume", "huge", "no time"),
        *("another interval", "another symbol", "another world", "no result", "list", "nothing", "no json"),
    ],
)
def test_a_wrong_answer_fails_the_day_whole(bad: Answer) -> None:
    error = failure(bad)
    assert isinstance(error, BadPayloadError)
    assert "yahoo AAPL 15m" in str(error)


@pytest.mark.parametrize(
    ("name", "value"), [("high", 180.0), ("low", 200.0), ("open", -190.0), ("close", 0)], ids=["high", "low", "-", "0"]
)
def test_an_impossible_bar_is_left_out_named_and_missing(name: str, value: float) -> None:
    day = fetch(replaced(name, 3, value))[0].days[0]
    assert (day.condition, day.count) == (Condition.DEGRADED, 25)
    assert day.missing == (SESSION.opens_ms + 3 * 900_000,)
    assert "was left out" in day.flags[-1]


def test_bars_outside_the_session_are_refused_and_counted() -> None:
    columns = session(29)
    for name in columns:
        columns[name] = columns[name][:1] + columns[name][1:]
    columns["time"] = [OPEN_S - 900, *columns["time"][:-1]]
    day = fetch(json_answer(chart("15m", columns, regularMarketTime=OPEN_S + 90_000)))[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 26)
    assert "3 bars outside the sessions were refused" in day.flags[0]


def test_the_price_of_the_moment_at_the_end_is_no_bar_and_no_alarm() -> None:
    columns = session(27)
    columns["time"][-1] = OPEN_S + 23_401
    day = fetch(json_answer(chart("15m", columns, regularMarketTime=OPEN_S + 23_401)))[0].days[0]
    assert (day.condition, day.count, day.flags) == (Condition.AVAILABLE, 26, ())


def test_the_last_bar_may_come_twice_with_one_time_and_the_first_counts() -> None:
    columns = session()
    for name, values in columns.items():
        values.append(values[-1] if name in ("time", "volume") else values[-1] + 1)
    day = fetch(json_answer(chart("15m", columns)))[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 26)
    assert float(day.rows["close"][-1]) == session()["close"][-1]


def test_nulls_between_the_end_of_a_range_and_now_are_no_bars_and_no_alarm() -> None:
    columns = session(28)
    for name in ("open", "high", "low", "close", "volume"):
        columns[name][26:] = [None, None]
    day = fetch(json_answer(chart("15m", columns)))[0].days[0]
    assert (day.condition, day.count, day.flags) == (Condition.AVAILABLE, 26, ())


def test_bars_on_a_holiday_are_refused_and_the_closed_day_says_so() -> None:
    """Juneteenth 2026 lies between two sessions that are asked for; now is the Monday after."""
    columns = session()
    columns["time"] = [second + 2 * 86_400 for second in columns["time"]]

    async def run(url: str) -> HistoryDays[Any]:
        now = datetime(2026, 6, 22, 22, 0, tzinfo=UTC)
        async with YahooHistory(YahooConfig(url, requests_per_minute=60_000), lambda: now) as history:
            return await history.candles(
                PAIR, parse_interval("15m"), days_between(date(2026, 6, 18), date(2026, 6, 22))
            )

    answer = json_answer(chart("15m", columns, regularMarketTime=OPEN_S + 5 * 86_400 + 23_400))
    with BadExchange({PATH: answering([answer])}) as exchange:
        holiday = asyncio.run(run(exchange.url)).days[1]
    assert (holiday.day, holiday.condition, holiday.count) == (date(2026, 6, 19), Condition.CLOSED, 0)
    assert "26 bars outside the sessions were refused" in holiday.flags[0]


def test_a_ticker_that_nothing_can_be_learnt_of_fails_all_days() -> None:
    async def run(url: str) -> HistoryDays[Any]:
        async with YahooHistory(YahooConfig(url), lambda: NOW) as history:
            return await history.candles(PAIR, parse_interval("1d"), days_between(date(2026, 6, 1), DAY))

    with BadExchange({PATH: Answer(status=503)}) as exchange:
        found = asyncio.run(run(exchange.url))
    assert (found.days, len(found.failures)) == ((), 17)
    assert all(isinstance(error, ExchangeUnavailableError) for error in found.failures.values())


def test_a_hundredfold_bar_is_kept_and_the_day_is_degraded() -> None:
    columns = session()
    for name in ("open", "high", "low", "close"):
        columns[name][4] *= 100
    day = fetch(json_answer(chart("15m", columns)))[0].days[0]
    assert (day.condition, day.count) == (Condition.DEGRADED, 26)
    assert day.flags == (
        "14:30 prices are about 100 times those of the bars around, as if the unit of the currency were another",
    )


@pytest.mark.parametrize(
    ("status", "description"),
    [
        (
            422,
            "15m data not available for startTime=1 and endTime=2. The requested range must be within the last 60 days.",
        ),
        (400, "Data doesn't exist for startDate = 1, endDate = 2"),
    ],
)
def test_a_range_that_yahoo_says_is_gone_is_missing_in_its_words(status: int, description: str) -> None:
    error = {"chart": {"result": None, "error": {"code": "Unprocessable Entity", "description": description}}}
    found, asked = fetch(json_answer(error, status=status))
    assert (found.days[0].condition, len(asked)) == (Condition.MISSING, 1)
    assert description[:30] in found.days[0].reason


def test_another_refusal_is_not_asked_again() -> None:
    error = {"chart": {"result": None, "error": {"code": "Bad Request", "description": "Invalid input"}}}
    found, asked = fetch(json_answer(error, status=422))
    assert len(asked) == 1
    assert isinstance(found.failures[DAY], ExchangeError)
    assert "Invalid input" in str(found.failures[DAY])


def test_a_circuit_that_is_open_asks_nothing() -> None:
    async def run(url: str) -> list[MarketPlatformError]:
        config = YahooConfig(url, requests_per_minute=60_000, refusals_before_pause=2, attempts=2)
        async with YahooHistory(config, lambda: NOW) as history:
            found = [await history.candles(PAIR, parse_interval(name), [DAY]) for name in ("15m", "1m", "5m")]
            return [each.failures[DAY] for each in found]

    with BadExchange({PATH: answering([Answer(status=503)])}) as exchange:
        errors = asyncio.run(run(exchange.url))
        assert len([each for each in exchange.asked(PATH) if "range" not in each.query]) == 2
    assert "circuit" not in str(errors[0])
    assert all(isinstance(each, RateLimitedError) and "circuit" in str(each) for each in errors[1:])


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"exchangeName": "NOWHERE"}, "no calendar"),
        ({"currency": "EUR"}, "set it to EUR"),
        ({"currency": None}, "no currency"),
    ],
)
def test_a_ticker_that_can_not_be_kept_is_refused_before_anything_is_asked(meta: dict[str, Any], told: str) -> None:
    async def run(url: str) -> None:
        async with YahooHistory(YahooConfig(url), lambda: NOW) as history:
            await history.candles(PAIR, parse_interval("1d"), days_between(date(2026, 6, 1), DAY))

    with (
        BadExchange({PATH: json_answer(chart("1d", **meta))}) as exchange,
        pytest.raises(BadRequestError, match=told),
    ):
        asyncio.run(run(exchange.url))
    assert len(exchange.asked(PATH)) == 1


def daily(times: list[int], prices: list[float], events: Document | None = None, **meta: Any) -> Answer:
    columns: Columns = dict.fromkeys(("open", "high", "low", "close"), prices)
    document = chart("1d", {"time": times, **columns, "volume": [5] * len(times)}, **meta)
    document["chart"]["result"][0]["events"] = events or {}
    return json_answer(document)


def test_a_daily_bar_belongs_to_the_exchanges_day_and_of_the_last_one_twice_the_later_counts() -> None:
    times = [OPEN_S - 86_400, OPEN_S, OPEN_S + 23_401]
    day = fetch(daily(times, [190.1, 190.2, 190.3], regularMarketTime=times[-1]), interval="1d")[0].days[0]
    assert (day.condition, day.count) == (Condition.AVAILABLE, 1)
    assert day.rows["time"][0] == datetime(2026, 6, 17, tzinfo=UTC)
    assert str(day.rows["close"][0]) == "190.300000000000000000"
    assert day.flags == ("the day came twice, and the later bar counts",)


def test_a_daily_bar_dated_an_hour_before_its_midnight_belongs_to_the_day_meant() -> None:
    midnight = int(datetime(2026, 6, 17, 4, tzinfo=UTC).timestamp())
    for early in (0, 3_600, 7_200):
        day = fetch(daily([midnight - early], [190.1]), interval="1d")[0].days[0]
        assert (day.condition, day.count) == (Condition.AVAILABLE, 1)


def test_two_daily_bars_of_one_day_are_a_wrong_answer() -> None:
    times = [OPEN_S, OPEN_S + 60, OPEN_S + 86_400]
    found, _ = fetch(daily(times, [190.1, 190.2, 190.3]), interval="1d")
    assert isinstance(found.failures[DAY], BadPayloadError)


def actions(events: Document) -> HistoryDays[Any]:
    async def run(url: str) -> HistoryDays[Any]:
        async with YahooHistory(YahooConfig(url, requests_per_minute=60_000), lambda: NOW) as history:
            return await history.actions(PAIR, days_between(DAY, date(2026, 6, 19)))

    with BadExchange({PATH: answering([daily([OPEN_S], [190.0], events)])}) as exchange:
        return asyncio.run(run(exchange.url))


def test_actions_are_exact_or_say_that_they_are_not() -> None:
    events = {
        "dividends": {"a": {"date": OPEN_S, "amount": 0.23999999463558197}},
        "capitalGains": {"b": {"date": OPEN_S, "amount": 1.5}},
        "splits": {"c": {"date": OPEN_S, "numerator": 1.0, "denominator": 3.0, "splitRatio": "1:3"}},
    }
    wednesday, thursday, friday = actions(events).days
    assert [(each.kind, str(each.value)) for each in wednesday.rows] == [
        ("dividend", "1.74"),
        ("split", "0.333333333333333333"),
    ]
    assert len(wednesday.flags) == 3
    assert (thursday.condition, thursday.rows) == (Condition.AVAILABLE, ())
    assert friday.condition is Condition.CLOSED


def test_a_dividend_in_another_currency_is_not_kept_and_its_day_is_degraded() -> None:
    wednesday, *_ = actions({"dividends": {"a": {"date": OPEN_S, "amount": 0.4, "currency": "EUR"}}}).days
    assert (wednesday.rows, wednesday.condition) == ((), Condition.DEGRADED)
    assert "0.40 EUR is not kept, for prices are in USD" in wednesday.reason


@pytest.mark.parametrize(
    "events",
    [
        {"dividends": {"a": {"date": OPEN_S, "amount": -1}}},
        {"splits": {"a": {"date": OPEN_S, "numerator": 4, "denominator": 0}}},
        {"splits": {"a": {"date": OPEN_S, "numerator": "4", "denominator": None}}},
    ],
)
def test_actions_that_can_not_be_fail(events: Document) -> None:
    assert all(isinstance(error, BadPayloadError) for error in actions(events).failures.values())
