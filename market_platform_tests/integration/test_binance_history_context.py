"""Binance's past funding rates and open interest over REST against a bad exchange: right rows or a clear failure."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import DAY_MS, MINUTE_MS
from market_platform_tests.fixtures.binance_asking import DAY, NOW, PERP, START, asked, days_from, failure, only
from market_platform_tests.fixtures.binance_past import (
    FUNDING,
    INTEREST,
    BinancePast,
    Fault,
    Rows,
)

pytestmark = pytest.mark.usefixtures("instant_retries")


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


@pytest.mark.parametrize("after", [8, 9])
@pytest.mark.parametrize("hours", [1, 4, 8])
def test_a_rate_in_the_middle_that_is_missing_is_asked_for_and_then_told(hours: int, after: int) -> None:
    """It comes when it was the page's fault, and is named when Binance has none; of hourly rates the one at 09:00, too."""
    at = START + after * hours * 3_600_000

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
