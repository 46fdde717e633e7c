"""Ticks in a temporary file: the same ticks, hashes and files as from memory, whatever the blocks."""

from __future__ import annotations

import tempfile
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_platform.domain.errors import ConfigError, CorruptObjectError
from market_platform.domain.ticks import Ticks, concat_ticks
from market_platform.lake.parquet_file import ROW_GROUP_ROWS
from market_platform.lake.row_file import Summary
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.legacy_rows import at_least_scales, at_scales, missing_rows
from market_platform.pipeline.tick_spool import TickSpool, spooled_day
from market_platform_tests.fixtures.made_ticks import made_ticks

DAY = date(2024, 3, 4)


def spooled(ticks: Ticks, *sizes: int) -> TickSpool:
    """Ticks in blocks of these sizes, the last block of the rest."""
    spool = TickSpool()
    start = 0
    for size in (*sizes, len(ticks)):
        spool.append(ticks.with_columns(column[start : start + size] for column in ticks.columns))
        start += size
    return spool


@given(st.lists(st.integers(0, 30), max_size=5), st.integers(1, 40), st.integers(0, 3))
def test_blocks_and_pieces_change_neither_ticks_nor_hash(sizes: list[int], rows: int, finer: int) -> None:
    ticks, _ = made_ticks(DAY, 100).sorted_unique()
    least = at_least_scales(ticks)
    with closing(spooled(ticks, *sizes)) as spool:
        assert (spool.rows, spool.price_scale, spool.volume_scale) == (
            len(ticks),
            least.price_scale,
            least.volume_scale,
        )
        scales = spool.price_scale + finer, spool.volume_scale + finer
        pieces = list(spool.pieces(rows, *scales))
        assert {len(piece) for piece in pieces[:-1]} <= {rows}
        expected = at_scales(least, *scales)
        assert concat_ticks(pieces).content_hash() == expected.content_hash() == spool.content_hash(*scales)
        assert spool.highest(*scales)[0] == max(expected.bid.max(), expected.ask.max())


@given(st.sets(st.integers(0, 99)), st.lists(st.integers(1, 30), max_size=4), st.lists(st.integers(1, 30), max_size=4))
def test_missing_ticks_are_found_across_blocks(gone: set[int], mine: list[int], theirs: list[int]) -> None:
    ticks, _ = made_ticks(DAY, 100).sorted_unique()
    keep = np.array([at not in gone for at in range(len(ticks))])
    fewer = ticks.with_columns(column[keep] for column in ticks.columns)
    with closing(spooled(ticks, *mine)) as one, closing(spooled(fewer, *theirs)) as other:
        assert one.missing_in(other) == missing_rows(ticks, fewer) == len(ticks) - len(fewer)
        assert other.missing_in(one) == 0


def test_a_file_written_in_pieces_is_that_of_all_ticks_at_once(tmp_path: Path) -> None:
    ticks, _ = made_ticks(DAY, 2 * ROW_GROUP_ROWS + 1000).sorted_unique()
    description = {"condition": "degraded", "raw_inputs": "[]"}
    lakes = [Lake.open((tmp_path / name).as_uri()) for name in ("whole", "pieces")]
    whole = TICK_DAYS.write(lakes[0], "dukascopy", "EURUSD", DAY, ticks, description)
    with closing(spooled(ticks, 1000, 90_000)) as spool:
        scales = ticks.price_scale, ticks.volume_scale
        summary = Summary(spool.rows, scales, spool.content_hash(*scales), *spool.span)
        cut = spool.pieces(ROW_GROUP_ROWS, *scales)
        pieces = TICK_DAYS.write_pieces(lakes[1], "dukascopy", "EURUSD", DAY, cut, summary, description)
    assert whole == pieces
    assert lakes[0].get(whole.object_key) == lakes[1].get(pieces.object_key)
    with closing(spooled_day(lakes[1], pieces.object_key, pieces.content_hash)) as back:
        assert back.content_hash(*scales) == ticks.content_hash()
    with pytest.raises(CorruptObjectError, match="its manifest says 0000"):
        spooled_day(lakes[1], pieces.object_key, "0" * 64)


def test_a_folder_that_is_no_room_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"nowhere: No such file or directory.*TMPDIR"):
        TickSpool()


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(TickSpool()) as spool, Path("/dev/full").open("wb") as full:
        monkeypatch.setattr(spool, "_descriptor", full.fileno())
        with pytest.raises(ConfigError, match="No space left on device"):
            spool.append(made_ticks(DAY, 10))
