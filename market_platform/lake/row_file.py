"""Rows of one kind ⇄ a Parquet file that describes itself: what files of ticks and of trades do alike.

Belongs here: encoding, decoding and describing rows by their kind's columns. Does not: which columns those are (tick_file.py,
trade_file.py), Parquet and its seal (parquet_file.py), whose rows they are and where they lie (day_files.py, parts.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from market_platform.domain.ticks import Ints
from market_platform.lake.parquet_file import (
    Layout,
    decode_columns,
    decode_metadata,
    encode_columns,
    table_columns,
)


class Rows(Protocol):
    """What a file holds: columns of equal length, `time` among them."""

    @property
    def time(self) -> Ints:
        """Milliseconds since the epoch."""
        ...

    def __len__(self) -> int:
        """How many rows."""
        ...

    def content_hash(self) -> str:
        """SHA-256, hex, of the exact content."""
        ...


R = TypeVar("R", bound=Rows)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a file says of all its rows: how many, at which scales, their content hash, their first and last time."""

    rows: int
    scales: Sequence[int]
    content_hash: str
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class RowFile(Generic[R]):
    """Files of one kind of rows.

    `make` builds rows of their columns, in their canonical order, and scales. `content` says which columns of the file add
    up to each of them. `stored` gives the other way: what the file holds of rows, in the layout's order, and its scales.
    `hash_form` is what `content_hash` hashes, of the columns of `content` at the file's scales.
    """

    layout: Layout
    content: tuple[tuple[str, ...], ...]
    hash_form: str
    make: Callable[..., R]
    stored: Callable[[R], tuple[Sequence[Ints], Sequence[int]]]

    def encode(self, rows: R, description: Mapping[str, str], content_hash: str | None = None) -> bytes:
        """A file of the rows: exact, small, the same bytes for the same rows and description.

        `description` adds to what the rows say of themselves (scales, number, span, content hash) and can't override it.
        `content_hash` saves computing it when the caller has it.
        """
        return self.encode_pieces([rows], self.summary(rows, content_hash), description)

    def encode_pieces(self, pieces: Iterable[R], summary: Summary, description: Mapping[str, str]) -> bytes:
        """As `encode`, of rows in pieces of whole row groups, of which only the last may have fewer rows.

        Every piece must be stored at the summary's scales, which trades are only where each piece needs all their digits.
        """
        own = {
            "format": self.layout.format,
            "schema_version": self.layout.version,
            "units": json.dumps(self.layout.units, separators=(",", ":")),
            **{name: str(scale) for name, scale in zip(self.layout.scales, summary.scales, strict=True)},
            "rows": str(summary.rows),
            "content_hash": summary.content_hash,
        }
        if summary.rows:
            own |= {"first_ms": str(summary.first_ms), "last_ms": str(summary.last_ms)}
        return encode_columns(self.layout, (self._at(summary, rows) for rows in pieces), {**description, **own})

    def summary(self, rows: R, content_hash: str | None = None) -> Summary:
        """What a file of the rows says of them; `content_hash` saves computing it."""
        span = (int(rows.time.min()), int(rows.time.max())) if len(rows) else (0, 0)
        return Summary(len(rows), self.stored(rows)[1], content_hash or rows.content_hash(), *span)

    def decode(self, data: bytes, what: str = "file") -> R:
        """All rows of a file's bytes; the columns are read-only. `what` names the file in messages.

        Raises:
            CorruptObjectError: it is no file of this kind, or damaged.
        """
        return self._rows(*decode_columns(self.layout, data, what))

    def describe(self, data: bytes, what: str = "file") -> dict[str, str]:
        """What a file's bytes say of themselves; the last part of the file, with its footer and seal, is enough.

        Raises:
            CorruptObjectError: it is no file of this kind, or its footer is damaged.
        """
        return decode_metadata(self.layout, data, what)

    def from_table(self, table: pa.Table, description: Mapping[str, str], what: str) -> R:
        """Rows of an Arrow table with this kind's columns, without copying a column that is in one piece.

        Raises:
            CorruptObjectError: it has other columns.
        """
        return self._rows(table_columns(self.layout, table, what), description)

    def scales(self, description: Mapping[str, str]) -> list[int]:
        """The scales that a file's description states, in the order that `make` takes them."""
        return [int(description[name]) for name in self.layout.scales]

    def _at(self, summary: Summary, rows: R) -> Sequence[Ints]:
        columns, scales = self.stored(rows)
        if tuple(scales) != tuple(summary.scales):
            raise ValueError(f"a piece at the scales {scales} can't be in a file whose rows are at {summary.scales}")
        return columns

    def _rows(self, columns: Sequence[Ints], description: Mapping[str, str]) -> R:
        named = dict(zip(self.layout.columns, columns, strict=True))
        return self.make(*(added(*(named[name] for name in each)) for each in self.content), *self.scales(description))


def added(first: Ints, *more: Ints) -> Ints:
    """The sum of columns; one alone is not copied."""
    for column in more:
        first = first + column
    return first
