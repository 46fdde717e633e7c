"""A file's rows piece by piece: a large day is gone through without ever being decoded as a whole.

Belongs here: reading row groups of a file's bytes in order, and its content hash that way. Does not: reading a part of a file
over the network, or on several threads (tick_scan.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import pyarrow as pa
import pyarrow.parquet as pq

from market_platform.domain.column_hash import hash_columns
from market_platform.domain.ticks import Ints
from market_platform.lake.parquet_file import (
    check_columns,
    check_seal,
    column_values,
    damaged,
    open_parquet,
    read_metadata,
)
from market_platform.lake.row_file import R, RowFile, added


class RowGroups(Generic[R]):
    """The row groups of a file's bytes, as rows, in order; each is decoded when it is come to, and again the next time.

    `what` names the file in messages. Opening raises CorruptObjectError for what is no file of that kind, and so does
    going through it where it is damaged.
    """

    def __init__(self, kind: RowFile[R], data: bytes, what: str) -> None:
        check_seal(kind.layout, data, what)
        try:
            self._file: pq.ParquetFile = open_parquet(pa.BufferReader(data))
        except (pa.ArrowException, OSError) as error:
            raise damaged(what, error) from error
        self._kind = kind
        self._what = what
        self.rows: int = self._file.metadata.num_rows
        self.description = read_metadata(kind.layout, self._file.metadata, what)
        check_columns(kind.layout, self._file.schema_arrow, what)

    def __iter__(self) -> Iterator[R]:
        for table in self._tables(self._kind.layout.columns):
            yield self._kind.from_table(table, self.description, self._what)

    def content_hash(self) -> str:
        """What `content_hash` of all rows is, of a column of one row group at a time."""
        columns = (_Column(self, names) for names in self._kind.content)
        return hash_columns(self._kind.hash_form, self._kind.scales(self.description), self.rows, columns)

    def columns(self, names: Sequence[str]) -> Iterator[list[Ints]]:
        """Some of the file's columns, row group by row group."""
        for table in self._tables(names):
            yield [column_values(table.column(name), self._what) for name in names]

    def _tables(self, names: Sequence[str]) -> Iterator[Any]:
        for group in range(self._file.num_row_groups):
            try:
                yield self._file.read_row_group(group, columns=list(names), use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise damaged(self._what, error) from error


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the rows, by what in the file adds up to it."""

    groups: RowGroups[Any]
    names: Sequence[str]

    def __iter__(self) -> Iterator[Ints]:
        return (added(*columns) for columns in self.groups.columns(self.names))
