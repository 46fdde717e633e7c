"""Ticks ⇄ Parquet bytes: exact, small, the same bytes for the same ticks and description.

Columns, all 64-bit integers without NULLs so that every file of the lake has one schema (delta encoding makes the unused
width free: measured 4.10 bytes a tick on EURUSD either way):

    time        timestamp[ms, UTC]      delta
    bid         price units             delta        price = units / 10**price_scale
    spread      price units, ask - bid  delta        (negative when crossed)
    bid_volume  volume units            dictionary   volume = units / 10**volume_scale, base currency
    ask_volume  volume units            dictionary

zstd level 3, row groups of 64 Ki rows with min and max of `time`, so that a time range reads only its row groups. Scales and
the file's description are key-value metadata of the Parquet footer; the ticks never depend on the description.

Every page has a checksum, and so has the footer: 8 bytes before it, where other readers look for nothing. It is compared
before Parquet's decoder sees the footer, because a damaged one can abort the whole process there.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.ticks import Ints, Ticks

SCHEMA_VERSION = "1"
ROW_GROUP_ROWS = 65_536
ZSTD_LEVEL = 3
COLUMNS = ("time", "bid", "spread", "bid_volume", "ask_volume")
UNITS = json.dumps(
    {
        "time": "ms since 1970-01-01 UTC",
        "bid": "1/10**price_scale",
        "spread": "1/10**price_scale",
        "bid_volume": "1/10**volume_scale",
        "ask_volume": "1/10**volume_scale",
    },
    separators=(",", ":"),
)
_TYPES = (pa.timestamp("ms", "UTC"), pa.int64(), pa.int64(), pa.int64(), pa.int64())
_SEAL = b"CRC:"
_SEAL_BYTES = len(_SEAL) + 4
_FORMAT = "market-platform ticks"
_DELTA = {"time": "DELTA_BINARY_PACKED", "bid": "DELTA_BINARY_PACKED", "spread": "DELTA_BINARY_PACKED"}


def encode_ticks(ticks: Ticks, description: Mapping[str, str], *, content_hash: str | None = None) -> bytes:
    """A Parquet file of the ticks that describes itself; see the module for columns and units.

    `description` adds to what the ticks say of themselves (scales, rows, span, content hash) and can't override it.
    `content_hash` saves computing it when the caller has it.
    """
    own = {
        "format": _FORMAT,
        "schema_version": SCHEMA_VERSION,
        "units": UNITS,
        "price_scale": str(ticks.price_scale),
        "volume_scale": str(ticks.volume_scale),
        "rows": str(len(ticks)),
        "content_hash": content_hash or ticks.content_hash(),
    }
    if len(ticks):
        own |= {"first_ms": str(int(ticks.time[0])), "last_ms": str(int(ticks.time[-1]))}
    metadata = dict(sorted({**description, **own}.items()))
    fields = [pa.field(name, type_, nullable=False) for name, type_ in zip(COLUMNS, _TYPES, strict=True)]
    values = (ticks.time, ticks.bid, ticks.ask - ticks.bid, ticks.bid_volume, ticks.ask_volume)
    table = pa.Table.from_arrays(
        [_array(column, type_) for column, type_ in zip(values, _TYPES, strict=True)], schema=pa.schema(fields)
    )
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=["bid_volume", "ask_volume"],
        column_encoding=_DELTA,
        write_statistics=["time"],
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        writer.add_key_value_metadata(metadata)
    return _sealed(memoryview(sink.getvalue()))


def decode_ticks(data: bytes, what: str = "tick file") -> Ticks:
    """All ticks of a file's bytes; the columns are read-only. `what` names the file in messages.

    Raises:
        CorruptObjectError: it is no tick file, or damaged.
    """
    check_seal(data, what)
    try:
        file = open_parquet(pa.BufferReader(data))
        return table_to_ticks(file.read(use_threads=False), read_metadata(file.metadata, what), what)
    except (pa.ArrowException, OSError) as error:
        raise damaged(what, error) from error


def read_description(data: bytes, what: str = "tick file") -> dict[str, str]:
    """What a file's bytes say of themselves; the last part of the file, with its footer and seal, is enough.

    Raises:
        CorruptObjectError: it is no tick file, or its footer is damaged.
    """
    check_seal(data, what)
    try:
        return read_metadata(pq.read_metadata(pa.BufferReader(data)), what)
    except (pa.ArrowException, OSError) as error:
        raise damaged(what, error) from error


def open_parquet(source: Any, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """A Parquet file that compares its pages' checksums as it reads them.

    Read it with `use_threads=False`: Arrow's threads may let go of our bytes after the call has returned, for which they
    need Python, and if Python is just ending, C++ aborts the process (seen in 1 of 100 short programs).
    """
    return pq.ParquetFile(source, metadata=metadata, pre_buffer=False, page_checksum_verification=True)


def footer_length(end: bytes) -> int:
    """How many of a file's last bytes its footer and seal take, by its last 8 bytes."""
    return int.from_bytes(end[-8:-4], "little") + 8 + _SEAL_BYTES


def check_seal(data: bytes, what: str) -> None:
    """Prove that a file, or its last part, ends with an undamaged footer of ours.

    Raises:
        CorruptObjectError: cut off, damaged, or a file of another program.
    """
    if len(data) < 8 or data[-4:] != b"PAR1":
        raise damaged(what, "it does not end as one; it is cut off, or something else")
    start = len(data) - footer_length(data)
    if start < 0:
        raise damaged(what, "its footer is longer than the file")
    seal, footer = data[start : start + _SEAL_BYTES], memoryview(data)[start + _SEAL_BYTES : -8]
    if not seal.startswith(_SEAL):
        raise CorruptObjectError(f"{what} is a Parquet file, but not one of this platform's tick files")
    if seal != _seal(footer):
        raise damaged(what, "its footer does not match its checksum")


def read_metadata(metadata: pq.FileMetaData, what: str) -> dict[str, str]:
    """The description in a sealed file's metadata.

    Raises:
        CorruptObjectError: it is of a later version of the format, or does not say its scales.
    """
    raw: dict[bytes, bytes] = metadata.metadata or {}
    description = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in raw.items()}
    if description.get("format") != _FORMAT:
        raise CorruptObjectError(f"{what} is a Parquet file, but not one of this platform's tick files")
    if description.get("schema_version") != SCHEMA_VERSION:
        theirs = description.get("schema_version")
        raise CorruptObjectError(
            f"{what} has schema version {theirs}, this program reads {SCHEMA_VERSION}: update the program"
        )
    if not (description.get("price_scale", "").isdecimal() and description.get("volume_scale", "").isdecimal()):
        raise CorruptObjectError(f"{what} does not say its price and volume scale")
    return description


def table_to_ticks(table: pa.Table, description: Mapping[str, str], what: str) -> Ticks:
    """Ticks of an Arrow table with this module's columns, without copying a column that is in one piece."""
    if tuple(table.column_names) != COLUMNS or tuple(table.schema.types) != _TYPES:
        raise CorruptObjectError(f"{what} has the columns {table.schema.to_string()!r}, not those of a tick file")
    time, bid, spread, bid_volume, ask_volume = (_ints(table.column(index), what) for index in range(len(COLUMNS)))
    scales = int(description["price_scale"]), int(description["volume_scale"])
    return Ticks(time, bid, bid + spread, bid_volume, ask_volume, *scales)


def damaged(what: str, reason: object) -> CorruptObjectError:
    """The error for a file that can't be read."""
    return CorruptObjectError(f"{what} is not a readable Parquet file: {reason}")


def _sealed(parquet: memoryview) -> bytes:
    """The file with its seal put between the last page and the footer."""
    start = len(parquet) - 8 - int.from_bytes(parquet[-8:-4], "little")
    return b"".join((parquet[:start], _seal(parquet[start:-8]), parquet[start:]))


def _seal(footer: memoryview) -> bytes:
    return _SEAL + zlib.crc32(footer).to_bytes(4, "little")


def _array(column: Ints, type_: Any) -> pa.Array:
    """An Arrow array on the column's own memory. `pa.array` would import pandas, which takes a second."""
    return pa.Array.from_buffers(type_, len(column), [None, pa.py_buffer(np.ascontiguousarray(column, np.int64))])


def _ints(column: pa.ChunkedArray, what: str) -> Ints:
    if column.null_count:
        raise CorruptObjectError(f"{what} has NULLs")
    pieces = [
        np.frombuffer(chunk.buffers()[1], np.int64, len(chunk), chunk.offset * 8)
        for chunk in column.chunks
        if len(chunk)
    ]
    if not pieces:
        return np.empty(0, np.int64)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
