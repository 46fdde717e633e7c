"""Text of a CSV to exact columns: by name where there is a header, by place where there is none.

Belongs here: columns of any kind of file. Does not: which columns a kind has, and what their values mean together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import polars as pl
from polars.exceptions import PolarsError

from market_platform.domain.errors import BadPayloadError
from market_platform.exchanges.binance.messages import FIRST_MS, LAST_MS

_AMOUNT = r"^[0-9]{1,20}(\.[0-9]{1,18})?$"
_SIGNED = r"^-?[0-9]{1,20}(\.[0-9]{1,18})?$"
_BEYOND = 10**18


class Table:
    """Rows of text; `what` names the file in errors. Columns come out as what they are asked for as, whole or not at all."""

    def __init__(self, frame: pl.DataFrame, what: str) -> None:
        self.frame = frame
        self._what = what

    @classmethod
    def read(
        cls,
        csv: bytes,
        columns: Sequence[str],
        what: str,
        *,
        wanted: Sequence[str] | None = None,
        header: Sequence[str] | None = None,
    ) -> Table:
        """Those `wanted` (all) of the `columns` that a kind of file has, which are in the order of files without a header.

        `header` is that of an earlier block of the same file. Columns that are new are left out.

        Raises:
            BadPayloadError: it is no CSV, or a column is missing.
        """
        names = header_of(csv) if header is None else header
        skipped = int(names is not None and header is None)
        named, chosen = list(names or columns), wanted or columns
        if missing := [name for name in chosen if name not in named]:
            raise BadPayloadError(f"{what}: its header {','.join(named)[:300]} has no {missing[0]}")
        try:
            frame = pl.read_csv(csv, has_header=False, skip_rows=skipped, infer_schema=False, raise_if_empty=False)
        except (PolarsError, UnicodeError) as error:
            raise BadPayloadError(f"{what}: it is no CSV of such rows: {str(error).splitlines()[0]}") from None
        if frame.is_empty():
            return cls(pl.DataFrame(schema=dict.fromkeys(chosen, pl.String)), what)
        if frame.width < len(named):
            raise BadPayloadError(f"{what}: its rows have {frame.width} columns where {len(named)} are due")
        return cls(frame.select(pl.col(frame.columns[named.index(name)]).alias(name) for name in chosen), what)

    def amounts(self, *names: str) -> pl.DataFrame:
        """Columns of plain decimal numbers of at least 0, as decimals of 18 digits after the point."""
        return self._decimals(names, _AMOUNT, "a plain decimal number of at least 0")

    def rates(self, *names: str) -> pl.DataFrame:
        """As `amounts`, below 0 too."""
        return self._decimals(names, _SIGNED, "a plain decimal number")

    def whole(self, *names: str) -> pl.DataFrame:
        """Columns of whole numbers of at least 0, or -1 for none."""
        made = self.frame.select(pl.col(names).cast(pl.Int64, strict=False))
        self._all_are(made.select((pl.all() >= -1) & (pl.all() < _BEYOND)), "a whole number")
        return made

    def times(self, name: str) -> pl.Series:
        """A column of times as written: milliseconds or microseconds since the epoch, see `milliseconds`."""
        raw = self.whole(name)[name]
        ms = milliseconds(raw)
        if len(ms) and not (ms.min() >= FIRST_MS and ms.max() <= LAST_MS):  # type: ignore[operator]
            wrong = raw.filter((ms < FIRST_MS) | (ms > LAST_MS))[0]
            self.refuse(f"{name} {wrong} is neither milliseconds nor microseconds since 1970")
        return raw

    def refuse(self, reason: str) -> NoReturn:
        """Say what is wrong with the file.

        Raises:
            BadPayloadError: always.
        """
        raise BadPayloadError(f"{self._what}: {reason}")

    def _decimals(self, names: Sequence[str], form: str, wanted: str) -> pl.DataFrame:
        """Their form is looked at first: a cast alone would take exponents, and round a nineteenth digit."""
        self._all_are(self.frame.select(pl.col(names).str.contains(form)), wanted)
        return self.frame.select(pl.col(names).cast(pl.Decimal(38, 18)))

    def _all_are(self, right: pl.DataFrame, wanted: str) -> None:
        """Empty fields are no numbers here; where they are allowed, the rows are told apart before."""
        for column in right.fill_null(value=False):
            if not column.all():
                row = int((~column).arg_true()[0])
                self.refuse(f"row {row + 1}: {column.name} {str(self.frame[column.name][row])[:60]!r} is not {wanted}")


def header_of(csv: bytes) -> list[str] | None:
    """The names in a CSV's first line; None when that is a row already, which begins with a digit."""
    line = csv[: csv.find(b"\n") if b"\n" in csv else len(csv)].decode("utf-8", "replace")
    names = [name.strip().strip('"') for name in line.lstrip("\ufeff").split(",")]
    return names if line and not names[0][:1].isdigit() else None


def milliseconds(raw: pl.Series) -> pl.Series:
    """Times in ms, of times in ms or µs: which of them shows in the size of each."""
    return raw.to_frame("raw").select(pl.when(pl.col("raw") > LAST_MS).then(pl.col("raw") // 1000).otherwise("raw"))[
        "raw"
    ]
