"""Decimals of what CCXT hands over: text digit for digit, floats by the market's own step."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError
from market_platform.exchanges.ccxt.amounts import Amounts, smallest_step

TICK_SIZE, DECIMAL_PLACES, SIGNIFICANT_DIGITS = 4, 2, 3


@pytest.mark.parametrize("text", ["67159.220000000001234567", "0.00000001", "1e-8", "-0.0001", "12"])
def test_text_is_kept_digit_for_digit(text: str) -> None:
    amounts = Amounts()
    assert amounts.exact(text, Decimal("0.01"), "close") == Decimal(text)
    assert amounts.flags("kraken") == ()


@given(st.integers(1, 10**15), st.integers(0, 12))
def test_a_float_is_the_decimal_on_the_market_s_grid_that_it_stands_for(units: int, places: int) -> None:
    exact = Decimal(units).scaleb(-places)
    amounts = Amounts()
    assert amounts.exact(float(exact), Decimal(1).scaleb(-places), "close") == exact
    assert amounts.off_grid == []


def test_a_float_of_a_sum_is_put_right_only_when_the_grid_has_it() -> None:
    amounts = Amounts()
    assert str(amounts.exact(0.1, Decimal("0.1"), "close")) == "0.1"
    assert str(amounts.exact(0.1 + 0.2, Decimal("0.1"), "close")) == "0.30000000000000004"
    assert str(amounts.exact(67159.225, Decimal("0.05"), "open")) == "67159.225"
    assert str(amounts.exact(1.5, None, "rate")) == "1.5"
    flags = amounts.flags("kraken")
    assert flags[0].startswith("kraken: ccxt handed 4 numbers over as floats")
    assert flags[1] == "kraken: 3 of them fit no step of the market, such as close 0.30000000000000004"


@pytest.mark.parametrize("value", [None, "", "abc", "NaN", "Infinity", float("nan"), float("inf"), True, [1]])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(BadPayloadError, match=r"^close is"):
        Amounts().exact(value, Decimal("0.01"), "close")


def test_steps_are_what_the_exchange_s_precision_mode_says() -> None:
    assert smallest_step(0.01, TICK_SIZE) == Decimal("0.01")
    assert smallest_step(1e-8, TICK_SIZE) == Decimal("1E-8")
    assert smallest_step("0.5", TICK_SIZE) == Decimal("0.5")
    assert smallest_step(2, DECIMAL_PLACES) == Decimal("0.01")
    assert smallest_step(0, DECIMAL_PLACES) == 1
    assert smallest_step(-1, DECIMAL_PLACES) == 10
    assert smallest_step(5, SIGNIFICANT_DIGITS) is None
    assert smallest_step(None, TICK_SIZE) is None
    assert smallest_step(0, TICK_SIZE) is None
