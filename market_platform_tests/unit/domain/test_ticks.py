"""Ticks stay exact, sorted, without exact duplicates, and hash by their content alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import MAX_UNITS, Ticks, concat_ticks
from market_platform_tests.fixtures.dukascopy_wire import make_ticks

Row = tuple[int, int, int, int, int]
rows = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(0, 1)),
    max_size=40,
)


def from_rows(rows: list[Row], volume_scale: int = 0) -> Ticks:
    time, bid, ask, bid_volume, ask_volume = np.array(rows, np.int64).reshape(-1, 5).T
    return Ticks(time, bid, ask, bid_volume, ask_volume, 5, volume_scale)


def to_rows(ticks: Ticks) -> list[Row]:
    return list(zip(*(column.tolist() for column in ticks.columns), strict=True))


@given(rows)
def test_sorted_unique_is_a_stable_sort_by_time_that_keeps_the_first_of_equals(rows: list[Row]) -> None:
    expected = list(dict.fromkeys(sorted(rows, key=lambda row: row[0])))
    result, dropped = from_rows(rows).sorted_unique()
    assert to_rows(result) == expected
    assert dropped == len(rows) - len(expected)
    assert result.sorted_unique()[1] == 0


def test_ticks_already_sorted_and_unique_are_not_copied() -> None:
    ticks = make_ticks([1, 2, 2, 3], [10, 11, 12, 13])
    assert ticks.sorted_unique() == (ticks, 0)


def test_between_is_half_open() -> None:
    ticks = make_ticks([10, 20, 20, 30], [1, 2, 3, 4])
    assert ticks.between(20, 30).bid.tolist() == [2, 3]
    assert len(ticks.between(31, 99)) == 0


def test_finer_volume_scale_keeps_the_volumes() -> None:
    ticks = make_ticks([1, 2], [10, 11]).with_volume_scale(2)
    assert (ticks.bid_volume.tolist(), ticks.ask_volume.tolist(), ticks.volume_scale) == ([100, 200], [300, 600], 2)
    assert ticks.bid.tolist() == [10, 11]
    with pytest.raises(ValueError, match="coarser"):
        ticks.with_volume_scale(1)
    with pytest.raises(BadPayloadError, match="too large to be counted at scale 18"):
        ticks.with_volume_scale(18)
    assert len(Ticks.empty(5).with_volume_scale(18)) == 0


def test_a_finer_scale_at_which_a_day_could_not_be_summed_is_refused() -> None:
    hour = from_rows([(time, 1, 1, 10**13, 0) for time in range(300)])
    with pytest.raises(BadPayloadError, match="too large to be counted at scale 2"):
        hour.with_volume_scale(2)
    day = concat_ticks([hour.with_volume_scale(1)] * 24)
    assert int(day.bid_volume.sum()) == 24 * 300 * 10**14


def test_concatenation_keeps_order_and_the_finest_volume_scale() -> None:
    joined = concat_ticks([make_ticks([3], [7]), Ticks.empty(5), make_ticks([1, 2], [8, 9]).with_volume_scale(1)])
    assert joined.time.tolist() == [3, 1, 2]
    assert joined.bid_volume.tolist() == [10, 10, 20]
    assert (joined.price_scale, joined.volume_scale) == (5, 1)


def test_concatenation_of_nothing_keeps_the_price_scale() -> None:
    assert concat_ticks([Ticks.empty(3), Ticks.empty(3)]).price_scale == 3
    assert len(concat_ticks([])) == 0


def test_two_price_scales_are_refused() -> None:
    other = replace(make_ticks([1], [1]), price_scale=3)
    with pytest.raises(BadPayloadError, match=r"several price scales: \[3, 5\]"):
        concat_ticks([make_ticks([1], [1]), other])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ((7, 0, 1, 1, 1), "here: bid price 0 at 7 ms is not above zero"),
        ((7, 1, -3, 1, 1), "here: ask price -3 at 7 ms"),
        ((7, 1, 1, -1, 1), "here: bid volume -1 at 7 ms is below zero"),
        ((7, 1, 1, 1, -2), "here: ask volume -2"),
    ],
)
def test_what_can_not_be_a_quote_is_refused(row: Row, told: str) -> None:
    with pytest.raises(BadPayloadError, match=told):
        from_rows([(1, 1, 1, 0, 0), row]).check("here")


def test_crossed_quotes_pass_the_check() -> None:
    from_rows([(1, 5, 4, 0, 0)]).check("here")
    Ticks.empty().check("here")


def test_content_hash_depends_on_content_alone() -> None:
    ticks = make_ticks([1, 2, 3], [10, 11, 12])
    strided = ticks.with_columns(np.repeat(column, 2)[::2] for column in ticks.columns)
    big_endian = ticks.with_columns(column.astype(">i8") for column in ticks.columns)
    assert strided.content_hash() == big_endian.content_hash() == ticks.content_hash()


def test_content_hash_is_the_same_for_ever() -> None:
    """Lake objects are named by it: a change here orphans every file ever written."""
    assert make_ticks([1, 2], [10, 11]).content_hash() == (
        "a8bbd273733cbcf7dc128cf5ffafe80ca4ba3d1f99f544d75592ecf5e9e88634"
    )


@given(rows, rows)
def test_different_ticks_have_different_hashes(one: list[Row], other: list[Row]) -> None:
    assert (from_rows(one).content_hash() == from_rows(other).content_hash()) == (one == other)


def test_scales_are_part_of_the_hash() -> None:
    ticks = make_ticks([1], [10])
    assert ticks.with_volume_scale(1).content_hash() != ticks.content_hash()
    assert Ticks.empty(5).content_hash() != Ticks.empty(3).content_hash()


def test_months_of_volumes_can_be_summed() -> None:
    assert MAX_UNITS * 24 * 31 * 2 < 2**63
