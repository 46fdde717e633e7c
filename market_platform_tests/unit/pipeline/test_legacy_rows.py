"""Text of COPY → exact ticks, for any decimals; how two days compare, whatever their scales."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import Ticks
from market_platform.pipeline.legacy_rows import (
    at_least_scales,
    at_scales,
    exact_rows,
    missing_rows,
    parse_rows,
)

START = 1_709_510_400_000
prices = st.builds(lambda units, scale: Decimal(units).scaleb(-scale), st.integers(1, 10**8), st.integers(0, 6))
volumes = st.builds(lambda units, scale: Decimal(units).scaleb(-scale), st.integers(0, 10**8), st.integers(0, 6))
rows = st.lists(st.tuples(st.integers(0, 300), prices, prices, volumes, volumes), min_size=1, max_size=40)
Row = tuple[int, Decimal, Decimal, Decimal, Decimal]


def as_text(given_rows: Sequence[tuple[Any, ...]]) -> bytes:
    """Rows as Postgres copies them."""
    lines = [
        ",".join((f"{(START + ms) / 1000:.6f}", *(f"{value:f}" for value in values))) for ms, *values in given_rows
    ]
    return ("\n".join(lines) + "\n").encode()


def as_rows(ticks: Ticks) -> list[Row]:
    """Ticks as the decimals they stand for."""
    found = []
    for time, bid, ask, bid_volume, ask_volume in zip(*(column.tolist() for column in ticks.columns), strict=True):
        values = (
            Decimal(bid).scaleb(-ticks.price_scale),
            Decimal(ask).scaleb(-ticks.price_scale),
            Decimal(bid_volume).scaleb(-ticks.volume_scale),
            Decimal(ask_volume).scaleb(-ticks.volume_scale),
        )
        found.append((time - START, *values))
    return found


@given(rows)
def test_every_digit_is_kept_and_only_duplicates_go(given_rows: list[Row]) -> None:
    found = exact_rows(parse_rows(as_text(given_rows), "a day"), "a day")
    assert as_rows(found.ticks) == sorted(set(given_rows))
    assert found.duplicates == len(given_rows) - len(set(given_rows))
    assert found.ticks.content_hash() == at_least_scales(found.ticks).content_hash(), "the scales are the least"


@given(rows, st.randoms(use_true_random=False))
def test_the_hash_depends_neither_on_the_order_nor_on_zeros(given_rows: list[Row], dice: Random) -> None:
    padded = [(ms, *(value.quantize(Decimal("1.00000000")) for value in values)) for ms, *values in given_rows]
    dice.shuffle(padded)
    one, other = (exact_rows(parse_rows(as_text(each), "a day"), "a day") for each in (given_rows, padded))
    assert one.ticks.content_hash() == other.ticks.content_hash()


@given(rows, rows, st.integers(0, 9))
def test_missing_rows_are_those_of_a_set_whatever_the_scales(first: list[Row], second: list[Row], scale: int) -> None:
    one, other = (exact_rows(parse_rows(as_text(each), "a day"), "a day").ticks for each in (first, second))
    finer = at_scales(one, max(scale, one.price_scale), one.volume_scale)
    assert missing_rows(finer, other) == len(set(first) - set(second))
    assert missing_rows(one, finer) == 0


def test_a_value_that_is_no_number_is_named() -> None:
    with pytest.raises(BadPayloadError, match=r"a day: the row of 00:00:00\.000000 has the ask NaN"):
        parse_rows(b"1709510400.000000,1,NaN,1,1\n", "a day")
