"""Binance's past trades over REST against a bad exchange: every one of a day, or a clear failure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
)
from market_platform.domain.history import HistoryDays
from market_platform.domain.intervals import DAY_MS
from market_platform.domain.trades import Trades
from market_platform.exchanges.binance import history_trades
from market_platform_tests.fixtures.bad_exchange import Answer
from market_platform_tests.fixtures.binance_asking import DAY, NOW, PERP, START, asked, failure, only
from market_platform_tests.fixtures.binance_past import (
    AGG_TRADES,
    BinancePast,
    Fault,
)

pytestmark = pytest.mark.usefixtures("instant_retries")


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
