"""Binance's past over REST against a bad exchange: right rows or a clear failure, never a silent hole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import polars as pl
import pytest
import stamina

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    BadRequestError,
    ExchangeUnavailableError,
    MarketPlatformError,
    RateLimitedError,
    UnknownSymbolError,
)
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, parse_interval
from market_platform.domain.trades import Trades
from market_platform.exchanges.binance import history_trades
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.history import BinanceHistory
from market_platform_tests.fixtures.bad_exchange import Answer, Request, json_answer
from market_platform_tests.fixtures.binance_past import (
    AGG_TRADES,
    FUNDING,
    INTEREST,
    KLINES,
    SPOT_KLINES,
    BinancePast,
    Fault,
    Rows,
)

Result = TypeVar("Result")
Frame = pl.DataFrame

PERP = HistoryPair("binance", "BTCUSDT.P", "BTC", "USDT", "perps")
SPOT = HistoryPair("binance", "BTCUSDT", "BTC", "USDT", "spot")
DAY = date(2026, 3, 10)
START = day_start_ms(DAY)
NOW = START + 20 * DAY_MS + 3_600_000
ONE_MINUTE, FIVE_MINUTES, HOUR = (parse_interval(name) for name in ("1m", "5m", "1h"))


@pytest.fixture(autouse=True)
def instant_retries() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def asked(
    past: BinancePast, ask: Callable[[BinanceHistory], Awaitable[Result]], **config: Any
) -> tuple[Result, list[Request]]:
    """What a call returns, and what the exchange was asked of it."""

    async def run(url: str) -> Result:
        wanted = BinanceConfig(
            spot_rest=url, usdm_rest=url, **{"call_budget_s": 60.0, "request_timeout_s": 60.0, **config}
        )
        async with BinanceHistory(wanted, lambda: from_ms(past.now_ms)) as history:
            return await ask(history)

    with past.serve() as exchange:
        found = asyncio.run(run(exchange.url))
        return found, exchange.requests


def days_from(first: date, count: int) -> list[date]:
    return [first + timedelta(days=offset) for offset in range(count)]


def opens(frame: Frame) -> list[int]:
    assert frame.schema == CANDLE_SCHEMA
    return frame["time"].dt.epoch("ms").to_list()


def only(found: HistoryDays[Any]) -> HistoryDay[Any]:
    assert not found.failures
    assert len(found.days) == 1
    return found.days[0]


def failure(found: HistoryDays[Any], day: date = DAY) -> MarketPlatformError:
    assert not found.days
    assert list(found.failures) == [day]
    return found.failures[day]


def minutes_of(pair: HistoryPair, faults: Mapping[tuple[str, int], Fault], **past: Any) -> HistoryDays[Frame]:
    """The day's candles of a minute from an exchange with those faults."""
    return asked(BinancePast(NOW, faults=faults, **past), lambda it: it.candles(pair, ONE_MINUTE, [DAY]))[0]


# ---------------------------------------------------------------------------------------------------------------- candles
def test_candles_come_exact_with_the_pages_that_they_were_made_of() -> None:
    """Every number digit for digit; spot's day is two pages of 720."""
    past = BinancePast(NOW)
    found, requests = asked(past, lambda it: it.candles(SPOT, ONE_MINUTE, [DAY]))
    day = only(found)
    assert day.condition is Condition.AVAILABLE
    assert (day.count, day.missing, day.reason, day.flags) == (1440, (), "", ())
    assert opens(day.rows) == list(range(START, START + DAY_MS, MINUTE_MS))
    start = past.candle(START, START + MINUTE_MS)
    first = day.rows.row(0)
    assert first[1:] == (*(Decimal(text) for text in start[1:6]), 3)
    pages = [each for each in requests if each.path == SPOT_KLINES]
    assert [each.query["limit"] for each in pages] == ["720", "720"]
    assert [each.rows for each in day.inputs] == [720, 720]
    assert all(each.name.startswith("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=") for each in day.inputs)
    assert len(day.input_version) == 64


def test_days_share_a_page_where_they_fit_and_each_knows_it() -> None:
    """Five days of 288 candles in a page of 1500; days that don't follow each other are asked for apart."""
    days = [*days_from(DAY, 6), DAY + timedelta(days=9)]
    found, requests = asked(BinancePast(NOW), lambda it: it.candles(PERP, FIVE_MINUTES, days))
    assert [each.day for each in found.days] == days
    assert {each.condition for each in found.days} == {Condition.AVAILABLE}
    assert len([each for each in requests if each.path == KLINES]) == 3
    assert len({each.inputs[0].sha256 for each in found.days[:5]}) == 1
    assert [each.inputs[0].rows for each in found.days] == [288] * 7


TRANSIENT: dict[str, Fault] = {
    "429": Answer(b"{}", 429, {"Retry-After": "0"}),
    "5xx": Answer(b"oops", 503, content_type="text/html"),
    "html": Answer(b"<html>maintenance</html>", content_type="text/html"),
    "truncated": Answer(b'[[1,"2', cut=3),
    "broken connection": Answer(reset=True),
    "repeated rows": lambda rows: [*rows[:5], rows[4], *rows[5:]][: len(rows)],
    "out of order": lambda rows: [rows[1], rows[0], *rows[2:]],
    "overlapping page": lambda rows: [_moved(rows[0], -MINUTE_MS), *rows[:-1]],
    "beyond the window": lambda rows: [*rows[1:], _moved(rows[-1], MINUTE_MS)],
    "off the grid": lambda rows: [_moved(rows[0], 1), *rows[1:]],
    "too many rows": lambda rows: [*rows, _moved(rows[-1], MINUTE_MS)],
    "impossible prices": lambda rows: [[*rows[0][:2], "1", "2", *rows[0][4:]], *rows[1:]],
}
"""Answers that are wrong and known to be; only what comes next can be right."""
TOLERATED: dict[str, Fault] = {
    "short page": lambda rows: rows[:700],
    "shorter page": lambda rows: rows[:1],
    "empty page": lambda _: [],
    "missing minute": lambda rows: [*rows[:100], *rows[101:]],
    "missing beginning": lambda rows: rows[30:],
    "many holes": lambda rows: rows[::7],
}
"""Answers that look right and lack rows."""


def _moved(row: list[Any], ms: int) -> list[Any]:
    return [row[0] + ms, *row[1:6], row[6] + ms, *row[7:]]


@pytest.mark.parametrize("pair", [SPOT, PERP], ids=["spot", "perps"])
@pytest.mark.parametrize("name", [*TRANSIENT, *TOLERATED])
def test_a_fault_that_passes_costs_no_row(pair: HistoryPair, name: str) -> None:
    """Asked again, the exchange has them."""
    path = SPOT_KLINES if pair is SPOT else KLINES
    fault = (TRANSIENT | TOLERATED)[name]
    day = only(minutes_of(pair, {(path, 1): fault} | ({(path, 3): fault} if name in TRANSIENT else {})))
    assert day.condition is Condition.AVAILABLE
    assert opens(day.rows) == list(range(START, START + DAY_MS, MINUTE_MS))
    assert sum(each.rows for each in day.inputs) >= 1440


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_fault_that_stays_fails_the_day_by_name(name: str) -> None:
    """Never rows that are wrong; the message says which pair, day and page."""
    error = failure(minutes_of(PERP, {(KLINES, 0): TRANSIENT[name]}))
    assert isinstance(error, BadPayloadError | ExchangeUnavailableError)
    for part in ("binance/BTCUSDT.P 1m candles", "2026-03-10", "page from 2026-03-10 00:00"):
        assert part in str(error)


def test_a_page_that_comes_twice_is_noticed() -> None:
    """The second page of a spot day is the first one again."""
    rows: list[Rows] = []

    def first(page: Rows) -> Rows:
        rows.append(page)
        return page

    found = minutes_of(SPOT, {(SPOT_KLINES, 1): first, (SPOT_KLINES, 0): lambda _: rows[0]})
    error = failure(found)
    assert isinstance(error, BadPayloadError)
    assert "before the window, repeated or out of order" in str(error)
    assert "page from 2026-03-10 12:00" in str(error)


def test_pages_that_contradict_each_other_fail_the_day() -> None:
    """The page asked again for a hole has other numbers in rows that were there."""

    def other(rows: Rows) -> Rows:
        return [[each[0], each[1], each[2], each[3], each[4], "9.999", *each[6:]] for each in rows]

    holes = {(KLINES, 1): lambda rows: [rows[0], *rows[2:10], *rows[11:]], (KLINES, 2): other}
    error = failure(minutes_of(PERP, holes))
    assert isinstance(error, BadPayloadError)
    assert "two pages differ at 2026-03-10 00:02 UTC" in str(error)


def test_a_minute_that_the_exchange_really_lacks_is_said_to_be_missing() -> None:
    """It is asked for again first; then the day is degraded, with every other row."""
    holes = {START + 100 * MINUTE_MS, START + 1000 * MINUTE_MS}
    past = BinancePast(NOW, absent=holes)
    found, requests = asked(past, lambda it: it.candles(PERP, ONE_MINUTE, [DAY]))
    day = only(found)
    assert day.condition is Condition.DEGRADED
    assert day.missing == tuple(sorted(holes))
    assert "2 of 1440: 01:40, 16:40" in day.reason
    assert set(opens(day.rows)) == set(range(START, START + DAY_MS, MINUTE_MS)) - holes
    rows = [each.query for each in requests if each.path == KLINES and each.query["startTime"] != "0"]
    assert len(rows) == 2
    assert int(rows[1]["startTime"]) == min(holes)
    assert int(rows[1]["endTime"]) == max(holes) + MINUTE_MS - 1


def test_a_day_without_any_candle_is_missing() -> None:
    """Not an empty day that is available."""
    day = only(minutes_of(PERP, {}, absent=set(range(START, START + DAY_MS, MINUTE_MS))))
    assert (day.condition, day.count, len(day.missing)) == (Condition.MISSING, 0, 1440)
    assert day.reason == "Binance has no candles of the day"


def test_nothing_is_due_before_the_market_opened() -> None:
    """The day before is missing for that reason, that day itself is whole."""
    listed = START + 17 * 3_600_000 + 57 * MINUTE_MS
    days = days_from(DAY - timedelta(days=1), 3)
    found, _ = asked(BinancePast(NOW, listed_ms=listed), lambda it: it.candles(PERP, ONE_MINUTE, days))
    assert not found.failures
    before, first, after = found.days
    assert (before.condition, before.missing, before.count) == (Condition.MISSING, (), 0)
    assert "first candle, which opens on 2026-03-10 17:57 UTC" in before.reason
    assert (first.condition, first.count, first.missing) == (Condition.AVAILABLE, 6 * 60 + 3, ())
    assert first.flags == ("the market opened at 17:57",)
    assert after.condition is Condition.AVAILABLE
    hours, _ = asked(
        BinancePast(NOW, listed_ms=listed // 3_600_000 * 3_600_000), lambda it: it.candles(PERP, HOUR, days)
    )
    assert [each.count for each in hours.days] == [0, 7, 24]


def test_a_day_that_is_not_over_there_is_pending() -> None:
    """Whatever our own clock says."""
    today = from_ms(NOW).date()
    found, requests = asked(BinancePast(NOW), lambda it: it.candles(PERP, HOUR, [today]))
    assert only(found).condition is Condition.PENDING
    assert not [each for each in requests if each.path == KLINES]


def test_one_bad_day_of_a_page_fails_alone() -> None:
    """The page is asked for again day by day."""
    bad = START + DAY_MS + 3 * 3_600_000

    def spoil(rows: Rows) -> Rows:
        return [[*row[:1], "0.01", *row[2:]] if row[0] == bad else row for row in rows]

    found, _ = asked(
        BinancePast(NOW, faults={(KLINES, 0): spoil}), lambda it: it.candles(PERP, HOUR, days_from(DAY, 3))
    )
    assert [each.day for each in found.days] == [DAY, DAY + timedelta(days=2)]
    assert list(found.failures) == [DAY + timedelta(days=1)]
    error = found.failures[DAY + timedelta(days=1)]
    assert "1h candles of 2026-03-11" in str(error)


def test_a_candle_that_was_cut_short_is_kept_and_told() -> None:
    """As on days on which trading was halted."""

    def cut(rows: Rows) -> Rows:
        return [[*row[:6], row[6] - 20_000, *row[7:]] if row[0] == START + MINUTE_MS else row for row in rows]

    day = only(minutes_of(PERP, {(KLINES, 1): cut}))
    assert day.condition is Condition.AVAILABLE
    assert day.flags == ("candles whose own end is not that of their bucket: 00:01",)


@pytest.mark.parametrize(("status", "told"), [(429, "429"), (418, "418")])
def test_a_long_pause_ends_the_range_and_is_kept(status: int, told: str) -> None:
    """Nothing more is sent, and every day that is left says so; a retry helps."""
    faults: dict[tuple[str, int], Fault] = {(KLINES, 2): Answer(b"{}", status, {"Retry-After": "600"})}
    days = days_from(DAY, 9)
    found, requests = asked(BinancePast(NOW, faults=faults), lambda it: it.candles(PERP, ONE_MINUTE, days))
    assert [each.day for each in found.days] == [DAY]
    assert list(found.failures) == days[1:]
    first = found.failures[days[1]]
    assert isinstance(first, RateLimitedError)
    assert told in str(first)
    assert all(each.retryable for each in found.failures.values())
    assert len([each for each in requests if each.path == KLINES]) == 2


def test_a_ban_is_of_all_paths_and_a_path_s_own_limit_of_that_path() -> None:
    """Funding and open interest count by themselves, but nobody asks anything while banned."""

    async def ask(it: BinanceHistory) -> list[HistoryDays[Any]]:
        return [
            await it.open_interest(PERP, [DAY]),
            await it.open_interest(PERP, [DAY]),
            await it.candles(PERP, HOUR, [DAY]),
            await it.funding(PERP, [DAY]),
        ]

    limited: dict[tuple[str, int], Fault] = {(INTEREST, 1): Answer(b"{}", 429, {"Retry-After": "600"})}
    (first, second, candles, funding), requests = asked(BinancePast(NOW, faults=limited), ask)
    assert isinstance(failure(first), RateLimitedError)
    assert isinstance(failure(second), RateLimitedError)
    assert len([each for each in requests if each.path == INTEREST]) == 1
    assert only(candles).count == 24
    assert only(funding).count == 3

    async def ask_banned(it: BinanceHistory) -> HistoryDays[Any]:
        found = await it.open_interest(PERP, [DAY])
        assert isinstance(failure(await it.funding(PERP, [DAY])), RateLimitedError)
        return found

    banned: dict[tuple[str, int], Fault] = {(INTEREST, 1): Answer(b"{}", 418, {"Retry-After": "600"})}
    found, requests = asked(BinancePast(NOW, faults=banned), ask_banned)
    assert isinstance(failure(found), RateLimitedError)
    assert [each.path for each in requests] == ["/fapi/v1/time", INTEREST]


def test_a_server_that_is_down_is_not_asked_for_every_day() -> None:
    """After a few failures the rest fails with the last one's reason."""
    faults: dict[tuple[str, int], Fault] = {(KLINES, 0): Answer(b"", 502)}
    days = days_from(DAY, 12)
    found, requests = asked(BinancePast(NOW, faults=faults), lambda it: it.candles(PERP, ONE_MINUTE, days), attempts=2)
    assert list(found.failures) == days
    assert len([each for each in requests if each.path == KLINES]) == 6
    assert "not asked for after 3 failures in a row" in str(found.failures[days[-1]])


def test_an_unknown_symbol_is_the_whole_range_s_error() -> None:
    """No day of it can come."""
    refusal = json_answer({"code": -1121, "msg": "Invalid symbol."}, status=400)
    with pytest.raises(UnknownSymbolError):
        minutes_of(PERP, {(KLINES, 0): refusal})


def test_what_there_is_no_history_of_is_refused() -> None:
    """Spot has no funding, Binance no dividends, weeks are no days."""

    async def ask(it: BinanceHistory) -> None:
        for call in (
            it.funding(SPOT, [DAY]),
            it.open_interest(SPOT, [DAY]),
            it.actions(PERP, [DAY]),
            it.candles(PERP, parse_interval("1w"), [DAY]),
        ):
            with pytest.raises(BadRequestError):
                await call

    asked(BinancePast(NOW), ask)


@pytest.mark.parametrize("seed", range(30))
def test_no_hole_is_ever_silent(seed: int) -> None:
    """Whatever goes wrong by chance: each day fails, or its rows are right and all others are said to be missing."""
    dice = random.Random(seed)
    everything = list((TRANSIENT | TOLERATED).values())
    faults: dict[tuple[str, int], Fault] = {
        (KLINES, number): dice.choice(everything) for number in range(1, 60) if dice.random() < 0.5
    }
    past = BinancePast(NOW, faults=faults, absent={START + dice.randrange(4 * 288) * 5 * MINUTE_MS for _ in range(3)})
    days = days_from(DAY, 4)
    found, _ = asked(past, lambda it: it.candles(PERP, FIVE_MINUTES, days), attempts=2)
    assert sorted([*(each.day for each in found.days), *found.failures]) == days
    for day in found.days:
        due = range(day_start_ms(day.day), day_start_ms(day.day) + DAY_MS, FIVE_MINUTES.ms)
        there = opens(day.rows)
        assert sorted([*there, *day.missing]) == list(due)
        assert past.absent.intersection(due) <= set(day.missing)
        assert (day.condition is Condition.AVAILABLE) == (not day.missing)
        assert [row[1] for row in day.rows.rows()] == [Decimal(past.candle(each, each + 300_000)[1]) for each in there]


# ---------------------------------------------------------------------------------------------------------------- funding
def test_funding_comes_by_the_minute_with_its_mark_price() -> None:
    """Binance's milliseconds are cut off."""
    past = BinancePast(NOW)
    found, _ = asked(past, lambda it: it.funding(PERP, days_from(DAY, 2)))
    assert [each.condition for each in found.days] == [Condition.AVAILABLE] * 2
    rates = found.days[0].rows
    assert [each.time_ms for each in rates] == [START, START + DAY_MS // 3, START + DAY_MS // 3 * 2]
    assert [each.funding_rate for each in rates] == [
        Decimal(past.funding(each.time_ms or 0)["fundingRate"]) for each in rates
    ]
    assert rates[0].mark_price == Decimal("61000.10")


@pytest.mark.parametrize("mark", ["", None])
def test_years_without_a_mark_price_have_none(mark: str | None) -> None:
    """Not zero."""

    def without(rows: Rows) -> Rows:
        return [{key: mark for key in row if mark is not None and key == "markPrice"} | _but_mark(row) for row in rows]

    found, _ = asked(BinancePast(NOW, faults={(FUNDING, 1): without}), lambda it: it.funding(PERP, [DAY]))
    assert [each.mark_price for each in only(found).rows] == [None] * 3


def _but_mark(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "markPrice"}


@pytest.mark.parametrize("hours", [1, 4, 8])
@pytest.mark.parametrize("keep", [0, 1, 5, 100])
def test_short_pages_of_funding_are_followed_to_the_end(hours: int, keep: int) -> None:
    """However often a contract is funded."""
    past = BinancePast(NOW, funding_ms=hours * 3_600_000, faults={(FUNDING, 1): lambda rows: rows[:keep]})
    found, _ = asked(past, lambda it: it.funding(PERP, days_from(DAY, 6)))
    assert [each.condition for each in found.days] == [Condition.AVAILABLE] * 6
    assert [each.count for each in found.days] == [24 // hours] * 6


@pytest.mark.parametrize("hours", [1, 4, 8])
def test_a_rate_in_the_middle_that_is_missing_is_asked_for_and_then_told(hours: int) -> None:
    """It comes when it was the page's fault, and is named when Binance has none."""
    at = START + 8 * hours * 3_600_000

    def skip(rows: Rows) -> Rows:
        return [row for row in rows if row["fundingTime"] // MINUTE_MS * MINUTE_MS != at]

    days = days_from(DAY, 4)
    transient = BinancePast(NOW, funding_ms=hours * 3_600_000, faults={(FUNDING, 1): skip})
    found, _ = asked(transient, lambda it: it.funding(PERP, days))
    assert [each.condition for each in found.days] == [Condition.AVAILABLE] * 4
    lacking = BinancePast(NOW, funding_ms=hours * 3_600_000, absent={at})
    found, _ = asked(lacking, lambda it: it.funding(PERP, days))
    assert [each.missing for each in found.days if each.missing] == [(at,)]
    assert sorted(each.condition for each in found.days) == [Condition.AVAILABLE] * 3 + [Condition.DEGRADED]


@pytest.mark.parametrize(
    "fault",
    [
        lambda rows: [rows[0], *rows],
        lambda rows: rows[::-1],
        lambda rows: [{**rows[0], "fundingRate": "1.5"}, *rows[1:]],
        lambda rows: [{**rows[0], "symbol": "ETHUSDT"}, *rows[1:]],
        lambda rows: [{**rows[0], "fundingTime": rows[0]["fundingTime"] - DAY_MS}, *rows[1:]],
        lambda rows: [{**rows[0], "fundingRate": "NaN"}, *rows[1:]],
        lambda rows: [{**rows[0], "markPrice": "1e5"}, *rows[1:]],
    ],
    ids=["twice", "order", "beyond 100 %", "another symbol", "another day", "no number", "no price"],
)
def test_wrong_pages_of_funding_fail_by_name(fault: Fault) -> None:
    """When asked again helps they do no harm, when not the day fails."""
    found, _ = asked(BinancePast(NOW, faults={(FUNDING, 1): fault}), lambda it: it.funding(PERP, [DAY]))
    assert only(found).condition is Condition.AVAILABLE
    found, _ = asked(BinancePast(NOW, faults={(FUNDING, 0): fault}), lambda it: it.funding(PERP, [DAY]))
    assert "binance/BTCUSDT.P funding rates" in str(failure(found))
    assert "page from 2026-03-10 00:00" in str(failure(found))


# ---------------------------------------------------------------------------------------------------------- open interest
def test_open_interest_is_kept_for_a_month() -> None:
    """Days before are missing with the reason, and not asked for."""
    past = BinancePast(NOW)
    early = from_ms(NOW - 30 * DAY_MS).date()
    found, requests = asked(past, lambda it: it.open_interest(PERP, [early, early + timedelta(days=1)]))
    gone, kept = found.days
    assert (gone.condition, gone.count) == (Condition.MISSING, 0)
    assert "for a month" in gone.reason
    assert (kept.condition, kept.count) == (Condition.AVAILABLE, 288)
    first = kept.rows[0]
    wanted = past.interest(day_start_ms(kept.day))
    assert first.time_ms == wanted["timestamp"]
    assert first.open_interest == Decimal(wanted["sumOpenInterest"])
    assert first.notional_value == Decimal("123.45678901")
    assert len([each for each in requests if each.path == INTEREST]) == 1


@pytest.mark.parametrize(
    ("fault", "passes"),
    [
        (lambda rows: rows[:40], True),
        (lambda rows: rows[-40:], True),
        (lambda rows: [*rows[:9], *rows[10:]], True),
        (lambda rows: [{**row, "timestamp": str(row["timestamp"])} for row in rows], True),
        (lambda rows: [rows[0], *rows[:-1]], False),
        (lambda rows: [{**rows[0], "timestamp": rows[0]["timestamp"] + 1}, *rows[1:]], False),
        (lambda rows: [{**rows[0], "sumOpenInterest": "-1"}, *rows[1:]], False),
    ],
    ids=["short", "only the end", "a hole", "times as text", "twice", "off the grid", "no amount"],
)
def test_bad_pages_of_open_interest(fault: Fault, passes: bool) -> None:
    """Right rows, or a clear failure."""
    found, _ = asked(BinancePast(NOW, faults={(INTEREST, 1): fault}), lambda it: it.open_interest(PERP, [DAY]))
    assert (only(found).condition, only(found).count) == (Condition.AVAILABLE, 288)
    if not passes:
        found, _ = asked(BinancePast(NOW, faults={(INTEREST, 0): fault}), lambda it: it.open_interest(PERP, [DAY]))
        assert "page from 2026-03-10 00:00" in str(failure(found))


def test_a_reading_that_is_missing_is_named() -> None:
    """And the day degraded."""
    at = START + 95 * MINUTE_MS
    found, _ = asked(BinancePast(NOW, absent={at}), lambda it: it.open_interest(PERP, [DAY]))
    assert (only(found).condition, only(found).missing, only(found).count) == (Condition.DEGRADED, (at,), 287)


# ----------------------------------------------------------------------------------------------------------------- trades
@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_trades, "TRADES_A_PAGE", 9)
    monkeypatch.setattr(history_trades, "_TRADES_A_PART", 20)


def trades_of(faults: Mapping[tuple[str, int], Fault], day: date = DAY, **past: Any) -> HistoryDays[Trades]:
    return asked(BinancePast(NOW, faults=faults, **past), lambda it: it.trades(PERP, [day]))[0]


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("trades_a_day", [1, 3, 8, 9, 50])
def test_a_day_of_trades_is_whole(trades_a_day: int) -> None:
    """From the first to the last id, whatever is on which page."""
    past = BinancePast(NOW, trades_a_day=trades_a_day)
    found, _ = asked(past, lambda it: it.trades(PERP, [DAY]))
    day = only(found)
    first = (START - past.listed_ms) // DAY_MS * trades_a_day
    assert day.rows.trade_id.tolist() == list(range(first, first + trades_a_day))
    assert day.rows.time.tolist() == [past.trade_time(each) for each in range(first, first + trades_a_day)]
    assert (day.condition, day.count) == (Condition.AVAILABLE, trades_a_day)
    assert [(each.rows, each.sha256) for each in day.inputs] == [(trades_a_day, day.rows.content_hash())]
    assert day.inputs[0].name == f"/fapi/v1/aggTrades?symbol=BTCUSDT&startTime={START}&endTime={START + DAY_MS - 1}"


@pytest.mark.usefixtures("small_pages")
def test_the_first_day_ever_and_the_newest_one_are_whole() -> None:
    """There is no trade before the first, and none after the last."""
    listed = only(trades_of({}, listed_ms=START))
    assert listed.rows.trade_id.tolist() == list(range(50))
    newest = only(trades_of({}, day=from_ms(NOW).date() - timedelta(days=1)))
    assert newest.count == 50
    ended = BinancePast(START + DAY_MS, trades_a_day=50)
    found, _ = asked(ended, lambda it: it.trades(PERP, [DAY]))
    assert only(found).count == 50


@pytest.mark.usefixtures("small_pages")
def test_a_day_before_the_market_has_no_trades() -> None:
    """Missing, not empty and available."""
    day = only(trades_of({}, listed_ms=START + 2 * DAY_MS))
    assert (day.condition, day.count, day.reason) == (Condition.MISSING, 0, "Binance has no trades of the day")


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    ("fault", "number"),
    [
        (Answer(b"{}", 429, {"Retry-After": "0"}), 2),
        (Answer(b"", 500), 3),
        (Answer(b'[{"a":1', cut=4), 3),
        (lambda rows: rows[:2], 3),
        (lambda rows: [{**rows[0], "p": "NaN"}, *rows[1:]], 3),
    ],
    ids=["429", "5xx", "truncated", "short page", "no price"],
)
def test_faults_that_pass_cost_no_trade(fault: Fault, number: int) -> None:
    """A short page that more follows is gone on from."""
    assert only(trades_of({(AGG_TRADES, number): fault})).count == 50


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({3: lambda rows: [*rows[:3], *rows[4:]]}, "comes where"),
        ({3: lambda rows: [*rows[:3], *rows[2:8]]}, "comes where"),
        ({3: lambda rows: [_of(rows[0], -9), *rows[1:]]}, "comes where"),
        ({3: lambda _: []}, "is not the newest"),
        ({1: lambda _: []}, "came as the first of the day, and"),
        ({2: lambda _: []}, "came by its time and does not by its id"),
        ({3: lambda rows: [{**rows[0], "T": START + 3 * DAY_MS}, *rows[1:]]}, "follow one of a later day"),
        ({3: lambda rows: [{**rows[0], "T": START - 1}, *rows[1:]]}, "before the day"),
    ],
    ids=["hole", "twice", "overlap", "empty page", "first skipped", "no first page", "late time", "early time"],
)
def test_faults_that_would_lose_trades_fail_the_day(faults: dict[int, Fault], told: str) -> None:
    """By name; nothing that came of it is kept."""
    error = failure(trades_of({(AGG_TRADES, number): fault for number, fault in faults.items()}))
    assert isinstance(error, BadPayloadError)
    assert told in str(error)
    assert "binance/BTCUSDT.P trades of 2026-03-10" in str(error)


def _of(row: dict[str, Any], ids: int) -> dict[str, Any]:
    return {**row, "a": row["a"] + ids}
