"""A file gone through piece by piece says of its rows what all of them at once would: their hash, order, repetitions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.column_hash import hash_columns
from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.ticks import Ticks, concat_ticks
from market_platform.domain.trades import Trades
from market_platform.lake.day_files import DayFiles
from market_platform.lake.kinds import KINDS
from market_platform.lake.parquet_file import ROW_GROUP_ROWS
from market_platform.lake.row_groups import RowGroups
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.tick_file import TICK_FILE
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.lake.trade_file import TRADE_FILE
from market_platform_tests.fixtures.lake_days import made_trades
from market_platform_tests.fixtures.made_ticks import made_ticks

DAY = date(2026, 3, 6)
ROWS = 2 * ROW_GROUP_ROWS + 17


@pytest.fixture(scope="module")
def ticks() -> Ticks:
    return made_ticks(DAY, ROWS).sorted_unique()[0]


@pytest.fixture(scope="module")
def trades() -> Trades:
    return made_trades(DAY, ROWS, every_ms=0)


def groups_of(days: DayFiles[Any], rows: Any) -> RowGroups[Any]:
    return RowGroups(days.file, days.file.encode(rows, {}), "the day")


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_hash_of_pieces_is_the_hash_of_all(kind: str, request: pytest.FixtureRequest) -> None:
    rows = request.getfixturevalue(kind)

    groups = groups_of(KINDS[kind], rows)

    assert [len(piece) for piece in groups] == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, len(rows) - 2 * ROW_GROUP_ROWS]
    assert groups.content_hash() == rows.content_hash() == groups.description["content_hash"]
    assert KINDS[kind].disorder(groups) is None


@given(values=st.lists(st.integers(-(2**62), 2**62), max_size=30), cut=st.integers(0, 30))
def test_where_a_column_is_cut_does_not_matter(values: list[int], cut: int) -> None:
    column = np.array(values, np.int64)

    whole = hash_columns("x/1", (2,), len(column), [[column]])

    assert hash_columns("x/1", (2,), len(column), [[column[:cut], column[cut:]]]) == whole


def test_no_rows_are_a_file_too() -> None:
    assert groups_of(TICK_DAYS, Ticks.empty(5, 2)).content_hash() == Ticks.empty(5, 2).content_hash()
    assert groups_of(TRADE_DAYS, Trades.empty()).content_hash() == Trades.empty().content_hash()
    assert TRADE_DAYS.disorder(groups_of(TRADE_DAYS, Trades.empty())) is None


@pytest.mark.parametrize("at", [5, ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS])
def test_ticks_that_come_twice_are_found_across_the_edge_of_row_groups(ticks: Ticks, at: int) -> None:
    head, again, tail = (
        ticks.with_columns(column[part] for column in ticks.columns)
        for part in (slice(0, at + 1), slice(at, at + 1), slice(at + 1, None))
    )

    assert TICK_DAYS.disorder(groups_of(TICK_DAYS, concat_ticks([head, again, tail]))) == "1 ticks twice"


@pytest.mark.parametrize("at", [5, ROW_GROUP_ROWS - 1])
def test_rows_in_no_order_are_found_across_the_edge_of_row_groups(ticks: Ticks, trades: Trades, at: int) -> None:
    def swapped(rows: Any) -> Any:
        order = np.arange(len(rows))
        order[[at, at + 1]] = at + 1, at
        return rows.with_columns(column[order] for column in rows.columns)

    apart = ticks.time.copy()
    apart[at + 1 :] += 1  # so that the two are not of one millisecond
    spread = replace(ticks, time=apart)

    assert TICK_DAYS.disorder(groups_of(TICK_DAYS, swapped(spread))) == "ticks that are not sorted by time"
    assert TRADE_DAYS.disorder(groups_of(TRADE_DAYS, swapped(trades))) == "trades that are not sorted by time and id"


def test_ids_that_do_not_rise_are_no_fault_but_those_that_come_twice_are(trades: Trades) -> None:
    rising = replace(trades, time=trades.time + np.arange(len(trades)))
    falling = replace(rising, trade_id=rising.trade_id[::-1])
    twice = replace(falling, trade_id=np.where(falling.trade_id == 1, 2, falling.trade_id))

    assert TRADE_DAYS.disorder(groups_of(TRADE_DAYS, falling)) is None
    assert TRADE_DAYS.disorder(groups_of(TRADE_DAYS, twice)) == "trade 2 twice (1 such)"


def test_a_file_of_another_kind_or_a_damaged_one_is_named(ticks: Ticks) -> None:
    data = TICK_FILE.encode(ticks, {})
    broken = data[:2000] + bytes([data[2000] ^ 0xFF]) + data[2001:]

    with pytest.raises(
        CorruptObjectError, match="the day is a Parquet file, but not one of this platform's trade files"
    ):
        RowGroups(TRADE_FILE, data, "the day")
    with pytest.raises(CorruptObjectError, match="the day is not a readable Parquet file"):
        RowGroups(TICK_FILE, broken, "the day").content_hash()
    with pytest.raises(CorruptObjectError, match="the day is not a readable Parquet file"):
        RowGroups(TICK_FILE, data[:100], "the day")


def test_a_file_is_never_decoded_as_a_whole(trades: Trades) -> None:
    data = TRADE_FILE.encode(trades.with_columns(np.tile(column, 4) for column in trades.columns), {})
    before = pa.total_allocated_bytes()
    groups = RowGroups(TRADE_FILE, data, "the day")

    held = [pa.total_allocated_bytes() - before for _ in groups]

    row_group = ROW_GROUP_ROWS * len(TRADE_FILE.layout.columns) * 8
    assert len(held) == 9
    assert max(held) < 3 * row_group, "one row group, and the one before until it is let go"


def test_rows_written_in_pieces_are_the_same_file(ticks: Ticks) -> None:
    pieces = [
        ticks.with_columns(column[start : start + ROW_GROUP_ROWS] for column in ticks.columns)
        for start in range(0, len(ticks), ROW_GROUP_ROWS)
    ]

    assert TICK_FILE.encode_pieces(pieces, TICK_FILE.summary(ticks), {}) == TICK_FILE.encode(ticks, {})


def test_a_piece_at_other_scales_than_the_file_is_refused(trades: Trades) -> None:
    coarse = replace(trades, price=trades.price // 100 * 100)

    with pytest.raises(ValueError, match="a piece at the scales"):
        TRADE_FILE.encode_pieces([trades, coarse], TRADE_FILE.summary(trades), {})
