"""Binance's past candles over REST against a bad exchange: right rows or a clear failure, never a silent hole."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeUnavailableError,
)
from market_platform.domain.history import HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, parse_interval
from market_platform_tests.fixtures.bad_exchange import Answer
from market_platform_tests.fixtures.binance_asking import DAY, NOW, PERP, SPOT, START, asked, days_from, failure, only
from market_platform_tests.fixtures.binance_past import (
    KLINES,
    SPOT_KLINES,
    BinancePast,
    Fault,
    Rows,
)

Frame = pl.DataFrame
ONE_MINUTE, FIVE_MINUTES, HOUR = (parse_interval(name) for name in ("1m", "5m", "1h"))

pytestmark = pytest.mark.usefixtures("instant_retries")


def opens(frame: Frame) -> list[int]:
    assert frame.schema == CANDLE_SCHEMA
    return frame["time"].dt.epoch("ms").to_list()


def minutes_of(pair: HistoryPair, faults: Mapping[tuple[str, int], Fault], **past: Any) -> HistoryDays[Frame]:
    """The day's candles of a minute from an exchange with those faults."""
    return asked(BinancePast(NOW, faults=faults, **past), lambda it: it.candles(pair, ONE_MINUTE, [DAY]))[0]


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
    "too many digits": lambda rows: [[rows[0][0], f"{rows[0][1]}00000000000000001", *rows[0][2:]], *rows[1:]],
    "a volume without trades": lambda rows: [[*rows[0][:8], 0, *rows[0][9:]], *rows[1:]],
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


def test_candles_before_the_market_s_first_one_fail_the_day() -> None:
    """One of the two answers is wrong."""

    def early(rows: Rows) -> Rows:
        return [_moved(rows[0], -5 * HOUR.ms), *rows]

    past = BinancePast(NOW, listed_ms=START + 5 * HOUR.ms, faults={(KLINES, 1): early})
    found, _ = asked(past, lambda it: it.candles(PERP, HOUR, [DAY]))
    assert "there are some before the market's first one" in str(failure(found))


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
