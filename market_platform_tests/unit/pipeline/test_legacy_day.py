"""A day of legacy ticks in pieces: nothing depends on where they were cut, and what is refused is told of the whole day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import BadPayloadError, WarehouseError
from market_platform.domain.ticks import concat_ticks
from market_platform.pipeline.legacy_day import Allowances, LegacyDay, fitting_price_scale
from market_platform.pipeline.legacy_rows import at_scales

START_S = 1_709_510_400
ALL = Allowances(truncate_times=True, zero_volumes=True)
micros = st.integers(0, 5000)
prices = st.sampled_from(["1", "1.5", "1.25", "100.000001"])
volumes = st.sampled_from(["", "0", "1", "0.5"])
rows = st.lists(st.tuples(micros, prices, prices, volumes, volumes), min_size=1, max_size=40).map(sorted)


@contextmanager
def a_day(pieces: Sequence[Sequence[tuple[Any, ...]]], allow: Allowances = ALL) -> Iterator[LegacyDay]:
    """A finished day of rows whose times are microseconds since its start."""
    with closing(LegacyDay("a day", allow)) as day:
        for piece in pieces:
            lines = [f"{START_S}.{at:06d},{','.join(values)}\n" for at, *values in piece]
            if lines:
                day.add("".join(lines).encode())
        day.finish()
        yield day


@given(rows, st.lists(st.integers(0, 40)))
def test_nothing_depends_on_where_the_day_is_cut(given_rows: list[tuple[Any, ...]], cuts: list[int]) -> None:
    ends = sorted({0, *(cut for cut in cuts if cut < len(given_rows)), len(given_rows)})
    pieces = [given_rows[start:end] for start, end in pairwise(ends)]
    with a_day([given_rows]) as whole, a_day(pieces) as cut:
        counts = [
            (day.rows, day.duplicates, day.truncated, day.merged, day.zeroed, day.ticks.rows, day.source_hash)
            for day in (whole, cut)
        ]
        assert counts[0] == counts[1]
        assert [line.split(" ask ")[0].split(" bid ")[0] for line in whole.examples] == [
            line.split(" ask ")[0].split(" bid ")[0] for line in cut.examples
        ]
        scales = whole.ticks.price_scale, whole.ticks.volume_scale
        ticks = concat_ticks([at_scales(block, *scales) for block in whole.ticks.blocks()])
        assert ticks.content_hash() == whole.source_hash
        assert ticks.sorted_unique()[1] == 0


def test_what_is_refused_is_counted_over_all_pieces_and_the_first_is_named() -> None:
    pieces = [[(1000 * at + 1, "1.5", "1.6", "", "1")] for at in range(5)]
    with (
        pytest.raises(
            BadPayloadError, match=r"5 rows have a NULL volume.*first 00:00:00\.000001 bid 1\.5.*--zero-volumes"
        ),
        a_day(pieces, Allowances()),
    ):
        pass
    with (
        pytest.raises(
            BadPayloadError, match=r"5 rows have times finer.*first 00:00:00\.000001 bid 1\.5; --truncate-times"
        ),
        a_day(pieces, Allowances(zero_volumes=True)),
    ):
        pass


@pytest.mark.parametrize(
    ("large", "message"),
    [
        (
            ("123456", "123457", "1", "1"),
            r"the day's prices need 12 decimals.*the row 00:00:00\.005 bid 123456 ask 123457",
        ),
        (
            ("1.5", "1.6", "1", "1234567"),
            r"the day's volumes need 11 decimals.*the row 00:00:00\.005 bid 1\.5 ask 1\.6",
        ),
    ],
)
def test_a_value_that_does_not_fit_at_the_scale_of_another_piece_is_named(large: tuple[str, ...], message: str) -> None:
    fine = (0, "1.000000000001", "2", "0.00000000001", "1")
    with pytest.raises(BadPayloadError, match=message), a_day([[fine], [(2000, "1", "2", "1", "1")], [(5000, *large)]]):
        pass


def test_rows_that_come_in_another_order_are_refused() -> None:
    row = ("1", "2", "1", "1")
    with (
        pytest.raises(WarehouseError, match="another order than asked for"),
        a_day([[(0, *row), (9000, *row)], [(1000, *row)]]),
    ):
        pass


def test_an_instruments_scale_that_does_not_fit_is_left() -> None:
    with a_day([[(0, str(2**50), "1", "1", "1")]]) as day:
        assert fitting_price_scale(day.ticks, 1) == 0
        assert fitting_price_scale(day.ticks, None) == 0
    with a_day([[(0, "1.25", "1", "1", "1")]]) as day:
        assert [fitting_price_scale(day.ticks, wanted) for wanted in (None, 1, 5)] == [2, 2, 5]
