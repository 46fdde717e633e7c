"""Reading parts of a tick file: the row groups of a time range, or all of them, one by one, on several threads.

Working row group by row group keeps every intermediate column in the processor's cache and all processors busy; it is the
fast way from a large file to candles.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_platform.domain.candles import CandlePrice, CandleUnits, candle_units, roll_up_units
from market_platform.domain.intervals import Alignment, Interval
from market_platform.domain.ticks import Ints, Ticks
from market_platform.lake.parquet_file import check_seal, damaged, open_parquet, read_footer, read_metadata
from market_platform.lake.store import Lake
from market_platform.lake.tick_file import LAYOUT, TICK_FILE

T = TypeVar("T")
_MAX_INT64 = 2**63 - 1
_UNIT_COLUMNS = ("time", "open", "high", "low", "close", "volume", "num_trades")


def read_ticks(lake: Lake, object_key: str, start_ms: int | None = None, end_ms: int | None = None) -> Ticks:
    """Ticks of the half-open time range, fetching only the row groups that overlap it (all of them without a range).

    What is read is checked by its checksums; only `TICK_DAYS.read` can compare the content hash, which is of a whole file.

    Raises:
        CorruptObjectError: the object is missing, damaged, or no tick file.
        LakeUnavailableError: the lake does not answer.
    """
    what = f"lake object {object_key}"
    start, end = start_ms if start_ms is not None else -_MAX_INT64, end_ms if end_ms is not None else _MAX_INT64
    tail, size = read_footer(lake, object_key)
    check_seal(LAYOUT, tail, what)
    try:
        pieces = _Pieces(size, [(size - len(tail), tail)])
        metadata = open_parquet(pa.PythonFile(pieces, mode="r")).metadata
        groups = [index for index in range(metadata.num_row_groups) if _overlaps(metadata.row_group(index), start, end)]
        if groups:
            first, last = _byte_span(metadata.row_group(groups[0]))[0], _byte_span(metadata.row_group(groups[-1]))[1]
            if first < size - len(tail):
                pieces.pieces.append((first, lake.get_range(object_key, first, last - first)))
        file = open_parquet(pa.PythonFile(pieces, mode="r"), metadata)
        ticks = TICK_FILE.from_table(
            file.read_row_groups(groups, use_threads=False), read_metadata(LAYOUT, metadata, what), what
        )
    except (pa.ArrowException, OSError) as error:
        raise damaged(what, error) from error
    return ticks.between(start, end)


def scan_ticks(
    data: bytes, function: Callable[[Ticks], T], *, threads: int | None = None, what: str = "tick file"
) -> list[T]:
    """`function` of each row group's ticks, in the file's order; it runs on several threads, so it must not share state.

    `threads` are as many as this process may use processors when not given.

    Raises:
        CorruptObjectError: the bytes are damaged or no tick file.
    """
    check_seal(LAYOUT, data, what)
    try:
        metadata = pq.read_metadata(pa.BufferReader(data))
        description = read_metadata(LAYOUT, metadata, what)

        mine = threading.local()  # an open file is not for two threads, and opening one for each row group costs

        def work(group: int) -> T:
            if not hasattr(mine, "file"):
                mine.file = open_parquet(pa.BufferReader(data), metadata)
            return function(TICK_FILE.from_table(mine.file.read_row_group(group, use_threads=False), description, what))

        groups = range(metadata.num_row_groups)
        workers = min(threads or available_processors(), len(groups))
        if workers < 2:
            return [work(group) for group in groups]
        with ThreadPoolExecutor(workers, thread_name_prefix="scan-ticks") as pool:
            return list(pool.map(work, groups))
    except (pa.ArrowException, OSError) as error:
        raise damaged(what, error) from error


def scan_candles(
    data: bytes,
    interval: Interval,
    price: CandlePrice = "mid",
    alignment: Alignment = Alignment.UTC,
    *,
    threads: int | None = None,
) -> CandleUnits:
    """Candles of a whole tick file, equal to `candle_units(TICK_FILE.decode(data, …), …)`, without holding all its ticks.

    Raises:
        CorruptObjectError: the bytes are damaged or no tick file.
    """
    parts = scan_ticks(data, lambda ticks: candle_units(ticks, interval, price, alignment), threads=threads)
    if not parts:
        return candle_units(Ticks.empty(), interval, price, alignment)
    return roll_up_units(_joined(parts), interval, alignment)  # joins the candles that a row group's edge cut in two


def available_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _joined(parts: Sequence[CandleUnits]) -> CandleUnits:
    def whole(name: str) -> Ints:
        return np.concatenate([getattr(part, name) for part in parts])

    columns = {name: whole(name) for name in _UNIT_COLUMNS}
    return CandleUnits(**columns, price_scale=parts[0].price_scale, volume_scale=parts[0].volume_scale)


def _overlaps(group: pq.RowGroupMetaData, start_ms: int, end_ms: int) -> bool:
    statistics = group.column(LAYOUT.columns.index("time")).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min_raw < end_ms and start_ms <= statistics.max_raw)


def _byte_span(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """First byte and the one after the last of a row group."""
    spans = []
    for index in range(group.num_columns):
        column = group.column(index)
        start = column.data_page_offset
        if column.dictionary_page_offset is not None:
            start = min(start, column.dictionary_page_offset)
        spans.append((start, start + column.total_compressed_size))
    return min(start for start, _ in spans), max(end for _, end in spans)


class _Pieces(io.RawIOBase):
    """A read-only file of which only some pieces (offset, bytes) are here."""

    def __init__(self, size: int, pieces: list[tuple[int, bytes]]) -> None:
        super().__init__()
        self.pieces = pieces
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        size = self._size - self._position if size < 0 else min(size, self._size - self._position)
        for offset, piece in self.pieces:
            start = self._position - offset
            if start >= 0 and start + size <= len(piece):
                self._position += size
                return piece[start : start + size]
        raise OSError(f"its footer points to bytes {self._position}–{self._position + size}, which are not its ticks'")
