"""Ticks ⇄ Parquet: exact, deterministic, small, and unmistakable when damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.ticks import Ticks
from market_platform.lake.parquet_file import ROW_GROUP_ROWS
from market_platform.lake.tick_file import TICK_FILE
from market_platform_tests.fixtures.made_ticks import made_ticks

DAY = date(2019, 2, 4)
INT64 = st.integers(-(2**62), 2**62)


@given(
    rows=st.lists(st.tuples(INT64, INT64, INT64, INT64, INT64), max_size=40),
    price_scale=st.integers(0, 10),
    volume_scale=st.integers(0, 8),
)
def test_what_is_decoded_is_what_was_encoded(rows: list[tuple[int, ...]], price_scale: int, volume_scale: int) -> None:
    ticks = Ticks.empty(price_scale, volume_scale).with_columns(np.array(rows, np.int64).reshape(-1, 5).T)

    back = TICK_FILE.decode(TICK_FILE.encode(ticks, {}))

    assert all((ours == theirs).all() for ours, theirs in zip(ticks.columns, back.columns, strict=True))
    assert (back.price_scale, back.volume_scale) == (price_scale, volume_scale)
    assert back.content_hash() == ticks.content_hash()


def test_the_same_ticks_and_description_give_the_same_bytes() -> None:
    first = TICK_FILE.encode(made_ticks(DAY, 100_000), {"symbol": "EURUSD", "condition": "available"})
    again = TICK_FILE.encode(made_ticks(DAY, 100_000), {"condition": "available", "symbol": "EURUSD"})

    assert first == again


def test_bytes_do_not_depend_on_how_the_columns_lie_in_memory() -> None:
    ticks = made_ticks(DAY, 1000)
    strided = ticks.with_columns(np.repeat(column, 2)[::2] for column in ticks.columns)

    assert TICK_FILE.encode(strided, {}) == TICK_FILE.encode(ticks, {})
    assert strided.content_hash() == ticks.content_hash()


def test_the_description_says_all_that_is_needed_and_cannot_override_it() -> None:
    ticks = made_ticks(DAY, 1000, price_scale=3, volume_scale=2)
    data = TICK_FILE.encode(ticks, {"symbol": "GBPJPY", "price_scale": "99", "note": "größer"})

    description = TICK_FILE.describe(data)

    assert description["symbol"] == "GBPJPY"
    assert description["note"] == "größer"
    assert (description["price_scale"], description["volume_scale"], description["rows"]) == ("3", "2", "1000")
    assert description["content_hash"] == ticks.content_hash()
    assert int(description["first_ms"]) == ticks.time[0]
    assert int(description["last_ms"]) == ticks.time[-1]
    assert set(json.loads(description["units"])) == {"time", "bid", "spread", "bid_volume", "ask_volume"}


def test_other_programs_read_it_as_plain_parquet() -> None:
    ticks = made_ticks(DAY, 1000)

    frame = pl.read_parquet(TICK_FILE.encode(ticks, {}))

    assert frame.schema["time"] == pl.Datetime("ms", "UTC")
    assert frame.columns == ["time", "bid", "spread", "bid_volume", "ask_volume"]
    assert (frame["time"].dt.epoch("ms").to_numpy() == ticks.time).all()
    assert ((frame["bid"] + frame["spread"]).to_numpy() == ticks.ask).all()


def test_encodings_are_the_small_ones_and_row_groups_have_time_statistics() -> None:
    metadata = pq.ParquetFile(pa.BufferReader(TICK_FILE.encode(made_ticks(DAY, 150_000), {}))).metadata

    assert metadata.num_row_groups == -(-150_000 // ROW_GROUP_ROWS)
    encodings = {metadata.row_group(0).column(index).path_in_schema: index for index in range(5)}
    for name in ("time", "bid", "spread"):
        assert "DELTA_BINARY_PACKED" in metadata.row_group(0).column(encodings[name]).encodings
    for name in ("bid_volume", "ask_volume"):
        assert metadata.row_group(0).column(encodings[name]).has_dictionary_page
    assert all(metadata.row_group(group).column(0).statistics.has_min_max for group in range(3))


def test_no_ticks_are_a_file_too() -> None:
    back = TICK_FILE.decode(TICK_FILE.encode(Ticks.empty(5, 2), {}))

    assert len(back) == 0
    assert (back.price_scale, back.volume_scale) == (5, 2)


@pytest.mark.parametrize("cut", [0, 1, 4, 100, -1, -9])
def test_a_cut_file_is_corrupt(cut: int) -> None:
    data = TICK_FILE.encode(made_ticks(DAY, 1000), {})

    with pytest.raises(CorruptObjectError, match="day file x is not a readable Parquet file"):
        TICK_FILE.decode(data[:cut], "day file x")


def test_parquet_of_others_is_named_as_such() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink)

    with pytest.raises(CorruptObjectError, match="not one of this platform's"):
        TICK_FILE.describe(bytes(sink.getvalue()))


def test_a_later_version_of_the_format_asks_for_an_update() -> None:
    later = replace(TICK_FILE, layout=replace(TICK_FILE.layout, version="2"))
    data = later.encode(made_ticks(DAY, 10), {})

    with pytest.raises(CorruptObjectError, match="schema version 2, this program reads 1: update"):
        TICK_FILE.decode(data)


def test_neither_writing_nor_reading_imports_pandas() -> None:
    program = """
import sys
from datetime import date
from market_platform.lake.tick_file import TICK_FILE
from market_platform_tests.fixtures.made_ticks import made_ticks
TICK_FILE.decode(TICK_FILE.encode(made_ticks(date(2019, 2, 4), 1000), {}))
print("pandas" in sys.modules, "dagster" in sys.modules, "sqlalchemy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False", "False"]
