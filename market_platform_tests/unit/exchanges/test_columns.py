"""Volumes become the decimals the exchange wrote, at one scale, or are refused."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import MAX_UNITS
from market_platform.exchanges.dukascopy.columns import MILLION, volume_units

WHAT = "dukascopy/EURUSD 2019-02-04 07h"


def test_float32_millions_are_read_as_the_shortest_decimal_not_as_the_nearest_unit() -> None:
    """17.28 million is 17280000.69 as float32; a fifth of large volumes would be off by a unit or more."""
    column = np.array([17.28, 77.77, 8.35, 1.01], np.float32)
    (units,), scale = volume_units({"volume": column}, MILLION, WHAT)
    assert (units.tolist(), scale) == ([17_280_000, 77_770_000, 8_350_000, 1_010_000], 0)


def test_large_and_fine_volumes_side_by_side_each_keep_their_own_decimals() -> None:
    (units,), scale = volume_units({"volume": np.array([17.28, 0.000005, 3.5], np.float32)}, MILLION, WHAT)
    assert (units.tolist(), scale) == ([17_280_000, 5, 3_500_000], 0)


def test_columns_share_the_finest_scale_needed() -> None:
    columns = {"bid": np.array([2.0, 13.0]), "ask": np.array([1.48, 0.125])}
    (bid, ask), scale = volume_units(columns, 0, WHAT)
    assert (bid.tolist(), ask.tolist(), scale) == ([2000, 13_000], [1480, 125], 3)


def test_no_volumes_are_no_units() -> None:
    (bid, ask), scale = volume_units({"bid": np.empty(0, np.float32), "ask": np.empty(0, np.float32)}, MILLION, WHAT)
    assert (len(bid), len(ask), scale) == (0, 0, 0)


@given(st.lists(st.decimals(0, 100_000, places=4), min_size=1, max_size=30))
def test_units_equal_the_text_of_json_numbers(volumes: list[Decimal]) -> None:
    (units,), scale = volume_units({"volume": np.array([float(volume) for volume in volumes])}, 0, WHAT)
    assert [Decimal(int(each)).scaleb(-scale) for each in units] == volumes


@given(st.lists(st.decimals(0, 99, places=2), min_size=1, max_size=30))
def test_float32_and_json_give_the_same_units(millions: list[Decimal]) -> None:
    (packed,), packed_scale = volume_units(
        {"v": np.array([float(each) for each in millions], np.float32)}, MILLION, WHAT
    )
    (told,), told_scale = volume_units({"v": np.array([float(each * 1_000_000) for each in millions])}, 0, WHAT)
    assert (packed.tolist(), packed_scale) == (told.tolist(), told_scale)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ([1.0, -0.01], "volume of row 1 is -0.01"),
        ([float("nan"), 1.0], "volume of row 0 is nan"),
        ([1.0, float("inf")], "volume of row 1 is inf"),
        ([float(MAX_UNITS), 1.0], "volume of row 0 is 4503599627370496"),
        ([float(MAX_UNITS // 2)] * 3, "volume of row 0 is 2251799813685248"),
        ([1e12, 1e-9], "too large to count so finely"),
        ([1 / 3], "finer than 9 decimals"),
        ([1e-12], "finer than 9 decimals"),
    ],
)
def test_what_is_no_volume_is_refused(column: list[float], told: str) -> None:
    with pytest.raises(BadPayloadError, match=told):
        volume_units({"volume": np.array(column)}, 0, WHAT)
