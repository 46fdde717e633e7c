"""A day's ticks in a temporary file, a block at a time in memory: for days that are larger than memory should be.

Belongs here: keeping sorted ticks in blocks, each at the scales it came with, and giving them back at any finer scales, hashed
or cut into pieces. Does not: where ticks come from and go to (legacy_day.py, legacy_store.py).

The file has no name and is gone with the process, however it ends. It takes 40 bytes a tick in the folder of temporary files.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from market_platform.domain.column_hash import hash_columns
from market_platform.domain.errors import ConfigError
from market_platform.domain.ticks import HASH_FORM, Ints, Ticks, concat_ticks
from market_platform.lake.row_groups import RowGroups
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.tick_file import TICK_FILE
from market_platform.pipeline.legacy_rows import at_least_scales, at_scales, missing_rows

_COLUMNS = 5
_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Block:
    """Where a block lies in the file, its columns one after the other; `highest` are the greatest price and volume in its units."""

    offset: int
    rows: int
    price_scale: int
    volume_scale: int
    first_ms: int
    last_ms: int
    highest: tuple[int, int]


class TickSpool:
    """Ticks sorted by time. `price_scale` and `volume_scale` are the least that hold all of them exactly.

    Every method raises ConfigError where the folder of temporary files is full or can't be written.
    """

    def __init__(self) -> None:
        try:
            with tempfile.TemporaryFile(prefix="market-platform-ticks-") as file:
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            raise _no_room(error) from error
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        self._blocks: list[_Block] = []
        self._end = 0
        self.rows = self.price_scale = self.volume_scale = 0

    def close(self) -> None:
        """Let the file go; nothing may be asked any more."""
        self._finalizer()

    @property
    def span(self) -> tuple[int, int]:
        """The times of the first and the last tick, ms; there must be one."""
        return self._blocks[0].first_ms, self._blocks[-1].last_ms

    def append(self, ticks: Ticks) -> None:
        """Add a block of ticks, sorted among themselves and none of them before those that are there."""
        if not len(ticks):
            return
        least = at_least_scales(ticks)
        highest = (
            max(int(least.bid.max()), int(least.ask.max())),
            max(int(least.bid_volume.max()), int(least.ask_volume.max())),
        )
        scales, span = (least.price_scale, least.volume_scale), (int(least.time[0]), int(least.time[-1]))
        self._blocks.append(_Block(self._end, len(least), *scales, *span, highest))
        self.rows += len(least)
        self.price_scale, self.volume_scale = max(self.price_scale, scales[0]), max(self.volume_scale, scales[1])
        for column in least.columns:
            self._write(column)

    def highest(self, price_scale: int, volume_scale: int) -> tuple[int, int]:
        """The greatest price and the greatest volume in units of these scales; 0 without ticks."""
        prices = (each.highest[0] * 10 ** (price_scale - each.price_scale) for each in self._blocks)
        volumes = (each.highest[1] * 10 ** (volume_scale - each.volume_scale) for each in self._blocks)
        return max(prices, default=0), max(volumes, default=0)

    def blocks(self, first_ms: int | None = None, last_ms: int | None = None) -> Iterator[Ticks]:
        """The ticks as they were added, each block at the least scales that hold it; of a span those blocks that reach into it."""
        for block in self._blocks:
            if (last_ms is None or block.first_ms <= last_ms) and (first_ms is None or block.last_ms >= first_ms):
                columns = (self._read(block, index) for index in range(_COLUMNS))
                yield Ticks.empty(block.price_scale, block.volume_scale).with_columns(columns)

    def pieces(self, rows: int, price_scale: int, volume_scale: int) -> Iterator[Ticks]:
        """The ticks at these scales in pieces of so many rows, the last of fewer."""
        rest = Ticks.empty(price_scale, volume_scale)
        for block in self.blocks():
            ticks = concat_ticks([rest, at_scales(block, price_scale, volume_scale)])
            whole = len(ticks) - len(ticks) % rows
            for start in range(0, whole, rows):
                yield ticks.with_columns(column[start : start + rows] for column in ticks.columns)
            rest = ticks.with_columns(column[whole:] for column in ticks.columns)
        if len(rest):
            yield rest

    def content_hash(self, price_scale: int, volume_scale: int) -> str:
        """What `Ticks.content_hash` of all ticks is at these scales."""
        columns = (_Column(self, index, price_scale, volume_scale) for index in range(_COLUMNS))
        return hash_columns(HASH_FORM, (price_scale, volume_scale), self.rows, columns)

    def missing_in(self, other: TickSpool) -> int:
        """How many distinct ticks of each block the other does not have, whatever the scales."""
        return sum(
            missing_rows(block, other.between(int(block.time[0]), int(block.time[-1]))) for block in self.blocks()
        )

    def between(self, first_ms: int, last_ms: int) -> Ticks:
        """The ticks of a span, both ends included."""
        blocks = (block.between(first_ms, last_ms + 1) for block in self.blocks(first_ms, last_ms))
        return concat_ticks([at_scales(block, self.price_scale, self.volume_scale) for block in blocks])

    def column(self, index: int, price_scale: int, volume_scale: int) -> Iterator[Ints]:
        """One of the five columns at these scales, block by block."""
        for block in self._blocks:
            finer = (0, *[price_scale - block.price_scale] * 2, *[volume_scale - block.volume_scale] * 2)[index]
            yield self._read(block, index) * 10**finer

    def _read(self, block: _Block, index: int) -> Ints:
        size = block.rows * _BYTES
        data = os.pread(self._descriptor, size, block.offset + index * size)
        if len(data) != size:
            raise OSError("a file of ticks is shorter than what was written to it")
        return np.frombuffer(data, np.int64)

    def _write(self, column: Ints) -> None:
        data = memoryview(column.tobytes())
        while data:
            try:
                written = os.pwrite(self._descriptor, data, self._end)
            except OSError as error:
                raise _no_room(error) from error
            self._end += written
            data = data[written:]


def spooled_day(lake: Lake, object_key: str, expect_hash: str | None) -> TickSpool:
    """The ticks of a day's file in the lake, row group by row group, proved to be those of its manifest.

    Raises:
        CorruptObjectError: the object is missing, damaged, or holds other ticks than expected.
        LakeUnavailableError: the lake does not answer.
    """
    what = f"lake object {object_key}"
    file = RowGroups(TICK_FILE, lake.get(object_key), what)
    expected = expect_hash or file.description.get("content_hash", "")
    spool = TickSpool()
    try:
        for ticks in file:
            spool.append(ticks)
        price_scale, volume_scale = TICK_FILE.scales(file.description)
        found = spool.content_hash(price_scale, volume_scale)
        if found != expected:
            raise TICK_DAYS.mismatch(what, found, expected, "its manifest" if expect_hash else "its own description")
    except BaseException:
        spool.close()
        raise
    return spool


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of all ticks, read anew each time it is gone through."""

    spool: TickSpool
    index: int
    price_scale: int
    volume_scale: int

    def __iter__(self) -> Iterator[Ints]:
        return self.spool.column(self.index, self.price_scale, self.volume_scale)


def _no_room(error: OSError) -> ConfigError:
    return ConfigError(
        f"the folder of temporary files {tempfile.gettempdir()}: {error.strerror or error}; moving a day of ticks needs 40 bytes a "
        "row there, and TMPDIR names another folder"
    )
