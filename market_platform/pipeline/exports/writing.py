"""Frames → a file that appears whole or not at all, the same bytes for the same rows.

Belongs here: Parquet's and CSV's layout, partial files, renaming. Does not: what the rows are.

Parquet: zstd, pages with checksums, statistics; a row group ends with a calendar month once it has 16,384 rows, so a filter on
`time` reads only the months it needs. Neither clock nor host is in a file; another version of PyArrow may lay it out
differently. CSV: a heading, times as `2024-01-01T00:00:00.000Z`, NULL as nothing, decimals with all stored digits.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from market_platform.pipeline.exports.errors import ExportError
from market_platform.pipeline.exports.request import Format

MIN_GROUP_ROWS = 16_384
_ZSTD_LEVEL = 3
_REPEATED = (pa.int64(), pa.timestamp("ms", "UTC"))
"""Counts and schedules repeat; decimals and doubles rarely do: measured, dictionaries of them cost time and 14 % of size."""
_CSV_TIME = "%Y-%m-%dT%H:%M:%S%.3fZ"
PARTIAL = ".partial"


class RowWriter(Protocol):
    """Takes frames in the order of time."""

    def write(self, frame: pl.DataFrame) -> None:
        """Add a month's rows."""
        ...

    def close(self, *, whole: bool) -> None:
        """End the file; one that is not `whole` will be thrown away."""
        ...


@contextmanager
def open_writer(file: IO[bytes], file_format: Format, schema: pa.Schema) -> Iterator[RowWriter]:
    """The writer of a format into an open file, which is whole when the block ends without an error."""
    writer: RowWriter = ParquetWriter(file, schema) if file_format == "parquet" else CsvWriter(file, schema)
    try:
        yield writer
        writer.close(whole=True)
        file.flush()
    except BaseException:
        writer.close(whole=False)
        raise


class ParquetWriter:
    """Rows as Parquet, a few months in memory at most."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=[field.name for field in schema if field.name != "time" and field.type in _REPEATED],
            column_encoding={"time": "DELTA_BINARY_PACKED"},
            write_statistics=True,
            write_page_checksum=True,
            sorting_columns=[pq.SortingColumn(0)],
        )

    def write(self, frame: pl.DataFrame) -> None:
        """Add a month's rows."""
        if frame.height:
            self._waiting.append(frame.to_arrow().cast(self._schema))
        if sum(table.num_rows for table in self._waiting) >= MIN_GROUP_ROWS:
            self._write_group()

    def close(self, *, whole: bool) -> None:
        """Write the last row group and the footer."""
        if self._waiting and whole:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        table = pa.concat_tables(self._waiting)
        self._waiting.clear()
        self._writer.write_table(table, row_group_size=table.num_rows)


class CsvWriter:
    """Rows as CSV."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = file
        heading = io.StringIO()
        csv.writer(heading, lineterminator="\n").writerow(field.name for field in schema)
        file.write(heading.getvalue().encode())

    def write(self, frame: pl.DataFrame) -> None:
        """Add a month's rows."""
        if frame.height:
            frame.write_csv(self._file, include_header=False, datetime_format=_CSV_TIME)

    def close(self, *, whole: bool) -> None:
        """Nothing waits."""


class PartialFile:
    """A file while it is being written: `path`.partial, which no other process may write meanwhile."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.beside = partial_path(path)
        self.file = file

    def put_in_place(self) -> None:
        """Make it the file, durably."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.beside.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def open_partial(path: Path) -> Iterator[PartialFile]:
    """Begin a file, in place of any partial one that a killed export left; what is not put in place is removed.

    Raises:
        ExportError: another process is writing it, or it can't be written: a full disk, no permission.
    """
    beside = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = beside.open("a+b")
    except OSError as error:
        raise ExportError(f"{path} can't be written: {error.strerror}; choose another place for it") from None
    with file:
        if not _is_ours_alone(file, beside):
            raise ExportError(f"another export is writing {path} now; wait for it, or choose another place")
        try:
            file.truncate(0)
            yield PartialFile(path, file)
        except OSError as error:
            raise ExportError(f"{path} could not be written: {error.strerror or error}; no file was left") from error
        finally:
            beside.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """Where a file is while it is not whole."""
    return path.with_name(path.name + PARTIAL)


def _is_ours_alone(file: IO[bytes], path: Path) -> bool:
    """Whether nobody else holds the file, nor put it in its place since it was opened."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def hash_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
