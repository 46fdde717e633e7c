"""Yahoo's prices, sessions and circuit breaker, each alone."""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.clock import from_ms
from market_platform.domain.errors import BadRequestError, RateLimitedError
from market_platform.exchanges.yahoo.breaker import CircuitBreaker
from market_platform.exchanges.yahoo.codes import CALENDARS, OF_SUFFIX
from market_platform.exchanges.yahoo.prices import decimal_price
from market_platform.exchanges.yahoo.sessions import exchange_of, is_open, open_spans, sessions_of


def float_text(price: Decimal) -> Decimal:
    """A price as Yahoo sends it: kept as a 32-bit float, written as a 64-bit one."""
    return Decimal(repr(float(np.float32(float(price)))))


@given(st.integers(1, 8_000_000))
def test_a_price_of_cents_survives_a_32_bit_float(cents: int) -> None:
    price = Decimal(cents).scaleb(-2)
    assert decimal_price(float_text(price), 2) == (price, True)


@given(st.integers(1, 8_000_000))
def test_below_eight_hundred_so_do_four_places(units: int) -> None:
    price = Decimal(units).scaleb(-4)
    for hint in (2, 3, 4):
        assert decimal_price(float_text(price), hint) == (price, True)


@pytest.mark.parametrize(
    ("sent", "hint", "value", "exact"),
    [
        ("19.59000015258789", 2, "19.59", True),
        ("20710", 2, "20710", True),
        ("9.999999747378752e-05", 2, "0.0001", True),
        ("0.14550000429153442", 4, "0.1455", True),
        ("14.5500004291534", 2, "14.55", True),
        ("612345.69", 2, "612345.69", True),
        ("612345.6875", 2, "612345.6875", False),
        ("0.6457142829895020", 2, "0.6457142829895020", False),
        ("0.0000123456789012345678", 2, "0.000012345678901235", False),
    ],
)
def test_which_decimal_a_number_means(sent: str, hint: int, value: str, exact: bool) -> None:
    assert decimal_price(Decimal(sent), hint) == (Decimal(value), exact)


def test_every_exchange_has_a_calendar() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import exchange_calendars  # type: ignore[import-untyped]
    assert set(CALENDARS.values()) <= set(exchange_calendars.get_calendar_names())


def test_a_day_that_a_calendar_does_not_know_is_refused_and_not_called_closed() -> None:
    assert len(sessions_of("NSI", date(2025, 3, 3), date(2025, 3, 14))) in range(5, 11)
    with pytest.raises(BadRequestError, match=r"XBOM .* is known from"):
        sessions_of("NSI", date(2038, 3, 3), date(2038, 3, 4))


def test_holidays_weekends_and_half_days_are_known() -> None:
    days = {each.day: each for each in sessions_of("NMS", date(2024, 7, 1), date(2024, 7, 8))}
    assert date(2024, 7, 4) not in days
    assert date(2024, 7, 6) not in days
    assert from_ms(days[date(2024, 7, 3)].closes_ms) == datetime(2024, 7, 3, 17, 0, tzinfo=UTC)
    assert from_ms(days[date(2024, 7, 5)].opens_ms) == datetime(2024, 7, 5, 13, 30, tzinfo=UTC)
    assert from_ms(days[date(2024, 7, 5)].closes_ms) == datetime(2024, 7, 5, 20, 0, tzinfo=UTC)


def test_the_clock_of_the_exchange_counts_in_winter_and_summer() -> None:
    (winter,) = sessions_of("LSE", date(2024, 3, 28), date(2024, 3, 28))
    (summer,) = sessions_of("LSE", date(2024, 4, 2), date(2024, 4, 2))
    assert (from_ms(winter.opens_ms).hour, from_ms(summer.opens_ms).hour) == (8, 7)


def test_a_lunch_break_is_not_open() -> None:
    (session,) = sessions_of("JPX", date(2024, 7, 2), date(2024, 7, 2))
    assert len(session.spans) == 2
    noon = from_ms(session.spans[0][1]) + timedelta(minutes=1)
    assert not is_open("JPX", noon)
    assert is_open("JPX", noon + timedelta(hours=1))


def test_a_session_that_begins_on_the_utc_day_before_is_cut_by_midnight() -> None:
    spans = open_spans("ASX", date(2024, 1, 3))
    assert [(from_ms(opens).hour, from_ms(closes).hour) for opens, closes in spans] == [(0, 5), (23, 0)]


def test_twenty_years_and_their_borders_are_whole() -> None:
    sessions = sessions_of("NYQ", date(1999, 12, 27), date(2000, 1, 7))
    assert [each.day.isoformat() for each in sessions] == [
        *("1999-12-27", "1999-12-28", "1999-12-29", "1999-12-30", "1999-12-31"),
        *("2000-01-03", "2000-01-04", "2000-01-05", "2000-01-06", "2000-01-07"),
    ]


@pytest.mark.parametrize(("minute", "expected"), [(-1, False), (0, True), (389, True), (390, False)])
def test_polling_is_wanted_only_inside_a_session(minute: int, expected: bool) -> None:
    assert is_open("NMS", datetime(2024, 7, 5, 13, 30, tzinfo=UTC) + timedelta(minutes=minute)) is expected


@pytest.mark.parametrize(
    ("symbol", "exchange"), [("AAPL", "NYQ"), ("BRK.B", "NYQ"), ("AZN.L", "LSE"), ("7203.T", "JPX"), ("SAP.DE", "GER")]
)
def test_when_to_poll_a_symbol_is_known_without_asking(symbol: str, exchange: str) -> None:
    assert exchange_of(symbol) == exchange


def test_every_end_of_a_symbol_leads_to_a_calendar_and_another_is_refused() -> None:
    assert set(OF_SUFFIX.values()) <= set(CALENDARS)
    with pytest.raises(BadRequestError, match=r"end in \.TA"):
        exchange_of("TEVA.TA")


def test_an_exchange_without_a_calendar_is_refused() -> None:
    with pytest.raises(BadRequestError, match="'XYZ'"):
        sessions_of("XYZ", date(2024, 7, 1), date(2024, 7, 1))


class Watch:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_the_circuit_opens_after_refusals_in_a_row_and_says_for_how_long() -> None:
    watch = Watch()
    breaker = CircuitBreaker(3, 60.0, 200.0, watch)
    breaker.refused()
    breaker.refused()
    breaker.answered()
    breaker.refused()
    breaker.refused()
    breaker.check("this")
    breaker.refused()
    watch.seconds += 20
    with pytest.raises(RateLimitedError, match="this: not asked, because 3") as caught:
        breaker.check("this")
    assert caught.value.retry_after == pytest.approx(40)


def test_after_its_pause_one_refusal_opens_it_for_longer_and_one_answer_closes_it() -> None:
    watch = Watch()
    breaker = CircuitBreaker(1, 60.0, 200.0, watch)
    pauses = []
    for _ in range(4):
        breaker.refused()
        before = watch.seconds
        while breaker.is_open:
            watch.seconds += 1
        pauses.append(watch.seconds - before)
        breaker.check("probe")
    assert pauses == [60, 120, 200, 200]
    breaker.answered()
    breaker.refused(retry_after=90)
    watch.seconds += 89
    assert breaker.is_open
    watch.seconds += 2
    assert not breaker.is_open
