"""Parquet files of this platform, whatever rows they hold: sealed, described by themselves, the same bytes for the same rows.

Belongs here: writing columns of integers, the seal, and reading metadata. Does not: which columns a file has (tick_file.py,
trade_file.py).

zstd level 3, row groups of 64 Ki rows with min and max of `time`, so that a time range reads only its row groups. Every page
has a checksum, and so has the footer: 8 bytes before it, where other readers look for nothing. It is compared before
Parquet's decoder sees the footer, because a damaged one can abort the whole process there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from market_platform.domain.errors import CorruptObjectError
from market_platform.domain.ticks import Ints
from market_platform.lake.store import Lake

ROW_GROUP_ROWS = 65_536
ZSTD_LEVEL = 3
TAIL_BYTES = 65_536
"""Enough of a file's end for its footer, description included."""
_SEAL = b"CRC:"
_SEAL_BYTES = len(_SEAL) + 4


@dataclass(frozen=True, slots=True)
class Layout:
    """What a kind of file looks like: its name in messages, its `format` and version, its columns, and which are delta encoded.

    The other columns have dictionaries. `scales` are the metadata that must be numbers, `units` those of the columns in words.
    """

    noun: str
    format: str
    version: str
    columns: tuple[str, ...]
    types: tuple[Any, ...]
    delta: frozenset[str]
    scales: tuple[str, ...]
    units: Mapping[str, str]


def encode_columns(layout: Layout, pieces: Iterable[Sequence[Ints]], metadata: Mapping[str, str]) -> bytes:
    """A sealed Parquet file of the columns, in the layout's order, with the metadata in its footer.

    However the columns are cut into pieces of whole row groups (only the last may have fewer rows), the bytes are the same.
    """
    fields = [pa.field(name, type_, nullable=False) for name, type_ in zip(layout.columns, layout.types, strict=True)]
    schema = pa.schema(fields)
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[name for name in layout.columns if name not in layout.delta],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in layout.columns if name in layout.delta},
        write_statistics=["time"],
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        for columns in pieces:
            arrays = [_array(column, type_) for column, type_ in zip(columns, layout.types, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=ROW_GROUP_ROWS)
        writer.add_key_value_metadata(dict(sorted(metadata.items())))
    return _sealed(memoryview(sink.getvalue()))


def decode_columns(layout: Layout, data: bytes, what: str) -> tuple[list[Ints], dict[str, str]]:
    """All columns of a file's bytes, read-only, and its metadata. `what` names the file in messages.

    Raises:
        CorruptObjectError: it is no file of that layout, or damaged.
    """
    check_seal(layout, data, what)
    try:
        file = open_parquet(pa.BufferReader(data))
        metadata = read_metadata(layout, file.metadata, what)
        return table_columns(layout, file.read(use_threads=False), what), metadata
    except (pa.ArrowException, OSError) as error:
        raise damaged(what, error) from error


def decode_metadata(layout: Layout, data: bytes, what: str) -> dict[str, str]:
    """What a file's bytes say of themselves; the last part of the file, with its footer and seal, is enough.

    Raises:
        CorruptObjectError: it is no file of that layout, or its footer is damaged.
    """
    check_seal(layout, data, what)
    try:
        return read_metadata(layout, pq.read_metadata(pa.BufferReader(data)), what)
    except (pa.ArrowException, OSError) as error:
        raise damaged(what, error) from error


def open_parquet(source: Any, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """A Parquet file that compares its pages' checksums as it reads them.

    Read it with `use_threads=False`: Arrow's threads may let go of our bytes after the call has returned, for which they
    need Python, and if Python is just ending, C++ aborts the process (seen in 1 of 100 short programs).
    """
    return pq.ParquetFile(source, metadata=metadata, pre_buffer=False, page_checksum_verification=True)


def read_footer(lake: Lake, object_key: str) -> tuple[bytes, int]:
    """The end of a Parquet object, with all of its footer, and the object's size: one request, rarely two.

    Raises:
        CorruptObjectError: the object is missing.
        LakeUnavailableError: the lake does not answer.
    """
    tail, size = lake.get_tail(object_key, TAIL_BYTES)
    footer = _footer_length(tail)
    if len(tail) < footer <= size:
        tail, size = lake.get_tail(object_key, footer)
    return tail, size


def check_seal(layout: Layout, data: bytes, what: str) -> None:
    """Prove that a file, or its last part, ends with an undamaged footer of ours.

    Raises:
        CorruptObjectError: cut off, damaged, or a file of another program.
    """
    if len(data) < 8 or data[-4:] != b"PAR1":
        raise damaged(what, "it does not end as one; it is cut off, or something else")
    start = len(data) - _footer_length(data)
    if start < 0:
        raise damaged(what, "its footer is longer than the file")
    seal, footer = data[start : start + _SEAL_BYTES], memoryview(data)[start + _SEAL_BYTES : -8]
    if not seal.startswith(_SEAL):
        raise CorruptObjectError(f"{what} is a Parquet file, but not one of this platform's {layout.noun} files")
    if seal != _seal(footer):
        raise damaged(what, "its footer does not match its checksum")


def read_metadata(layout: Layout, metadata: pq.FileMetaData, what: str) -> dict[str, str]:
    """The description in a sealed file's metadata.

    Raises:
        CorruptObjectError: it is of a later version of the format, or does not say its scales.
    """
    raw: dict[bytes, bytes] = metadata.metadata or {}
    description = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in raw.items()}
    if description.get("format") != layout.format:
        raise CorruptObjectError(f"{what} is a Parquet file, but not one of this platform's {layout.noun} files")
    if description.get("schema_version") != layout.version:
        theirs = description.get("schema_version")
        raise CorruptObjectError(
            f"{what} has schema version {theirs}, this program reads {layout.version}: update the program"
        )
    if not all(description.get(name, "").isdecimal() for name in layout.scales):
        raise CorruptObjectError(f"{what} does not say its {' and '.join(layout.scales).replace('_', ' ')}")
    return description


def check_columns(layout: Layout, schema: pa.Schema, what: str) -> None:
    """Prove that a file's columns are the layout's.

    Raises:
        CorruptObjectError: they are others.
    """
    if tuple(schema.names) != layout.columns or tuple(schema.types) != layout.types:
        raise CorruptObjectError(f"{what} has the columns {schema.to_string()!r}, not those of a {layout.noun} file")


def table_columns(layout: Layout, table: pa.Table, what: str) -> list[Ints]:
    """The columns of an Arrow table of that layout, without copying one that is in one piece.

    Raises:
        CorruptObjectError: it has other columns.
    """
    check_columns(layout, table.schema, what)
    return [column_values(column, what) for column in table.columns]


def column_values(column: pa.ChunkedArray, what: str) -> Ints:
    """A column of 64-bit integers as numpy has it, without copying one that is in one piece.

    Raises:
        CorruptObjectError: it has NULLs.
    """
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


def damaged(what: str, reason: object) -> CorruptObjectError:
    """The error for a file that can't be read."""
    return CorruptObjectError(f"{what} is not a readable Parquet file: {reason}")


def _footer_length(end: bytes) -> int:
    """How many of a file's last bytes its footer and seal take, by its last 8 bytes."""
    return int.from_bytes(end[-8:-4], "little") + 8 + _SEAL_BYTES


def _sealed(parquet: memoryview) -> bytes:
    """The file with its seal put between the last page and the footer."""
    start = len(parquet) - 8 - int.from_bytes(parquet[-8:-4], "little")
    return b"".join((parquet[:start], _seal(parquet[start:-8]), parquet[start:]))


def _seal(footer: memoryview) -> bytes:
    return _SEAL + zlib.crc32(footer).to_bytes(4, "little")


def _array(column: Ints, type_: Any) -> pa.Array:
    """An Arrow array on the column's own memory. `pa.array` would import pandas, which takes a second."""
    return pa.Array.from_buffers(type_, len(column), [None, pa.py_buffer(np.ascontiguousarray(column, np.int64))])
