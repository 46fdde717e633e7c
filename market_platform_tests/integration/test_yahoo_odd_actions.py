"""Yahoo's dividends and splits gone wrong, by a scripted server: exact, not kept and told, or a failure."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
)
from market_platform.domain.history import HistoryDays
from market_platform_tests.fixtures.bad_exchange import BadExchange
from market_platform_tests.fixtures.yahoo_past import (
    DAY,
    OPEN_S,
    PAIR,
    PATH,
    Document,
    answering,
    ask,
    daily,
)

DAYS = days_between(DAY, date(2026, 6, 19))

pytestmark = pytest.mark.usefixtures("instant_retries")


def actions(events: Document) -> HistoryDays[Any]:
    with BadExchange({PATH: answering([daily([OPEN_S], [190.0], events)])}) as exchange:
        return ask(exchange.url, lambda it: it.actions(PAIR, DAYS))


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
    found = actions(events)
    assert {day: type(error) for day, error in found.failures.items()} == dict.fromkeys(DAYS, BadPayloadError)
