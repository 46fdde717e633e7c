"""Numbers are written as Java writes doubles."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.replay.numbers import java_double, multiplier


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-5, "1.0E-5"),
        (0.1, "0.1"),
        (0.001, "0.001"),
        (0.0009, "9.0E-4"),
        (0.000667, "6.67E-4"),
        (0.00109, "0.00109"),
        (1800000.0, "1800000.0"),
        (9999999.5, "9999999.5"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (455444.66, "455444.66"),
        (1.14277, "1.14277"),
        (24921.5, "24921.5"),
        (13.0, "13.0"),
        (0.0, "0.0"),
        (-0.00012, "-1.2E-4"),
        (1e21, "1.0E21"),
        (1.5e-10, "1.5E-10"),
    ],
)
def test_doubles_are_written_as_java_writes_them(value: float, text: str) -> None:
    assert java_double(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_reads_back_as_the_same_double(value: float) -> None:
    read = json.loads(java_double(value))
    assert read == value
    assert math.copysign(1, read) == math.copysign(1, value)


@pytest.mark.parametrize(("scale", "text"), [(5, "1.0E-5"), (3, "0.001"), (1, "0.1"), (0, "1.0"), (4, "1.0E-4")])
def test_the_multiplier_is_one_unit_of_price(scale: int, text: str) -> None:
    assert multiplier(scale) == text
