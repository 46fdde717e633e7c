"""Files of legacy ticks → the CSV that COPY takes, each value checked as text: CSV, Parquet, old JSON parts, the lake's day files.

Belongs here: what a file may hold, and the errors that name file, line and field. Does not: writing it (bulk_load.py).

Columns: `time` (or `timestamp`, `t`): ISO 8601, UTC when it names no zone, or milliseconds since the epoch; `bid`, `ask` (or
`bidPrice`, `askPrice`); `bid_volume`, `ask_volume` (or `bidVolume`, `askVolume`), NULL where they are empty or absent. Others
are ignored.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow.parquet as pq

from market_platform.domain.errors import BadRequestError, CorruptObjectError
from market_platform.domain.ticks import Ticks
from market_platform.lake.legacy import read_part
from market_platform.lake.tick_file import LAYOUT, TICK_FILE
from market_platform.warehouse.bulk_loads import CopyPiece

FIELDS = ("time", "bid", "ask", "bid_volume", "ask_volume")
_ALIASES = {
    "time": "time",
    "timestamp": "time",
    "t": "time",
    "bid": "bid",
    "bidprice": "bid",
    "ask": "ask",
    "askprice": "ask",
    "bidvolume": "bid_volume",
    "askvolume": "ask_volume",
}
_BLOCK_BYTES = 16 << 20
_BATCH_ROWS = 200_000
_ISO = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}(:?\d{2})?)?$"
_MS = r"^\d{12,14}$"
_WITH_EXPONENT = r"^\d{1,30}(\.\d{1,30})?[eE][-+]?\d{1,2}$"
_PATTERNS = {"price": r"^\d{1,12}(\.\d{1,18})?$", "volume": r"^\d{1,22}(\.\d{1,18})?$"}
_WANTED = {
    "time": "a time: write 2024-03-04 10:00:00.123, or milliseconds since the epoch",
    "price": "a price: above zero, at most 12 digits before the point and 18 after it",
    "volume": "a volume: not below zero, at most 22 digits before the point and 18 after it",
}


def first_line(path: Path) -> int:
    """The number of a file's first row: a CSV's first line is its header."""
    return 2 if path.name.endswith((".csv", ".csv.gz")) else 1


def read_tick_file(path: Path, pair_id: int, *, accept_floats: bool) -> Iterator[CopyPiece]:
    """The file's rows for COPY, `pair_id` first, in the file's order and in pieces.

    `accept_floats` takes a floating-point column of a Parquet file as the shortest decimals that stand for the same floats.

    Raises:
        BadRequestError: the file can't be read, or is of no kind that is known.
        CorruptObjectError: a value is not what it must be; names file, line (row, where there are no lines) and field.
    """
    try:
        line = first_line(path)
        for frame in _frames(path, accept_floats=accept_floats):
            yield _checked(frame, path, line, pair_id)
            line += frame.height
    except OSError as error:
        raise BadRequestError(f"{path}: {error.strerror or error}") from None


def _frames(path: Path, *, accept_floats: bool) -> Iterator[pl.DataFrame]:
    """Frames of strings, with the file's own names."""
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        yield from _csv_frames(path)
    elif name.endswith(".parquet"):
        yield from _parquet_frames(path, accept_floats=accept_floats)
    elif name.endswith(".json"):
        rows = read_part(path.read_bytes(), str(path))
        words = [[str(time), *(format(value, "f") for value in values)] for time, values in rows]
        yield pl.DataFrame(words, schema=dict.fromkeys(FIELDS, pl.String()), orient="row")
    else:
        raise BadRequestError(f"{path}: not a file of ticks; there are .csv, .csv.gz, .parquet and .json")


def _csv_frames(path: Path) -> Iterator[pl.DataFrame]:
    with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", "replace").strip()
        names = [name.strip().strip('"') for name in header.split(",")]
        line, rest = 2, b""
        while True:
            block = file.read(_BLOCK_BYTES)
            rest += block
            cut = rest.rfind(b"\n") + 1 if block else len(rest)
            if cut:
                yield _csv_frame(rest[:cut], names, path, line)
                line += rest.count(b"\n", 0, cut)
                rest = rest[cut:]
            if not block:
                return


def _csv_frame(block: bytes, names: Sequence[str], path: Path, line: int) -> pl.DataFrame:
    for number, text in enumerate(
        block.splitlines() if block.count(b",") != block.count(b"\n") * (len(names) - 1) else ()
    ):
        fields = text.count(b",") + 1
        if fields != len(names):
            raise CorruptObjectError(f"{path}, line {line + number}: {fields} fields, the header has {len(names)}")
    try:
        return pl.read_csv(block, has_header=False, schema=dict.fromkeys(names, pl.String()))
    except pl.exceptions.PolarsError as error:
        raise CorruptObjectError(f"{path}, in the lines from {line} on: {str(error).splitlines()[0]}") from None


def _parquet_frames(path: Path, *, accept_floats: bool) -> Iterator[pl.DataFrame]:
    try:
        file = pq.ParquetFile(path)
    except (ValueError, OSError) as error:
        raise CorruptObjectError(f"{path}: not a readable Parquet file: {error}") from None
    with file:
        if (file.metadata.metadata or {}).get(b"format") == LAYOUT.format.encode():
            yield _of_ticks(TICK_FILE.decode(path.read_bytes(), str(path)))
            return
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            yield _as_text(cast("pl.DataFrame", pl.from_arrow(batch)), path, accept_floats=accept_floats)


def _of_ticks(ticks: Ticks) -> pl.DataFrame:
    """A day file of the lake, as the decimals it stands for."""
    scales = (0, ticks.price_scale, ticks.price_scale, ticks.volume_scale, ticks.volume_scale)

    def words(units: Sequence[int], scale: int) -> list[str]:
        return [format(Decimal(each).scaleb(-scale), "f") for each in units]

    columns = zip(FIELDS, ticks.columns, scales, strict=True)
    return pl.DataFrame({name: words(column.tolist(), scale) for name, column, scale in columns})


def _as_text(frame: pl.DataFrame, path: Path, *, accept_floats: bool) -> pl.DataFrame:
    made = []
    for series in frame:
        kind = series.dtype
        if isinstance(kind, pl.Datetime):
            if kind.time_unit == "ns" and bool((series.to_physical() % 1000 != 0).any()):
                raise CorruptObjectError(
                    f"{path}, {series.name}: times finer than a microsecond, which Postgres can't hold"
                )
            micros = series.dt.cast_time_unit("us")
            utc = micros.dt.convert_time_zone("UTC") if kind.time_zone else micros.dt.replace_time_zone("UTC")
            made.append(utc.dt.strftime("%Y-%m-%d %H:%M:%S%.6f+00"))
        elif kind.is_float() and _ALIASES.get(_plain_name(series.name)) and not accept_floats:
            raise CorruptObjectError(
                f"{path}, {series.name}: floating-point numbers, which are not exact; --accept-floats takes each as the shortest "
                "decimal that stands for it"
            )
        elif kind.is_nested():
            continue
        else:
            made.append(series.cast(pl.String))
    return pl.DataFrame(made)


def _checked(frame: pl.DataFrame, path: Path, line: int, pair_id: int) -> CopyPiece:
    """The rows, after every value was compared with what it must look like."""
    columns = _columns(frame, path)
    for name, kind in zip(FIELDS, ("time", "price", "price", "volume", "volume"), strict=True):
        column = _without_exponents(columns[name])
        columns[name] = column
        if kind == "time":
            good = column.str.contains(_ISO) | column.str.contains(_MS)
        else:
            good = column.str.contains(_PATTERNS[kind])
        if kind == "price":
            good &= column.str.contains("[1-9]")
        good = good.fill_null(kind == "volume")
        if not good.all():
            at = cast("int", good.arg_min())
            raise CorruptObjectError(f"{path}, line {line + at}, {name}: {column[at]!r} is not {_WANTED[kind]}")
    columns["time"] = _with_ms(columns["time"])
    rows = pl.DataFrame([columns[name].alias(name) for name in FIELDS])
    text = rows.select(pl.lit(pair_id).alias("trading_pair_id"), *FIELDS).write_csv(include_header=False)
    return CopyPiece(text.encode(), _outermost(columns["time"]))


def _outermost(times: pl.Series) -> list[str]:
    """Times among which the first and the last are: of each way of writing them, the least and the greatest as text."""
    time = pl.col("time")
    zone = time.str.slice(19).str.strip_chars_start(".0123456789")
    ways = pl.DataFrame({"time": times}).group_by(
        time.str.len_bytes().alias("length"), time.str.slice(10, 1).alias("between"), zone.alias("zone")
    )
    found = ways.agg(time.min().alias("least"), time.max().alias("greatest"))
    return [*found["least"], *found["greatest"]]


def _columns(frame: pl.DataFrame, path: Path) -> dict[str, pl.Series]:
    """The five columns under our names; absent volumes are NULL."""
    found: dict[str, pl.Series] = {}
    for series in frame:
        name = _ALIASES.get(_plain_name(series.name))
        if name in found:
            raise CorruptObjectError(f"{path}: two columns are {name}; it has {', '.join(frame.columns)}")
        if name is not None:
            found[name] = series
    missing = [name for name in FIELDS[:3] if name not in found]
    if missing:
        raise CorruptObjectError(f"{path}: no column {', '.join(missing)}; it has {', '.join(frame.columns) or 'none'}")
    for name in FIELDS[3:]:
        found.setdefault(name, pl.Series(name, [None] * frame.height, dtype=pl.String))
    return found


def _without_exponents(column: pl.Series) -> pl.Series:
    """1e-05 as 0.00001."""
    written = column.str.contains(_WITH_EXPONENT).fill_null(value=False)
    if not written.any():
        return column
    return pl.Series([format(Decimal(each), "f") if e else each for each, e in zip(column, written, strict=True)])


def _with_ms(column: pl.Series) -> pl.Series:
    """Milliseconds since the epoch as Postgres reads times."""
    ms = column.str.contains(_MS)
    if not ms.any():
        return column
    moments = column.cast(pl.Int64, strict=False).cast(pl.Datetime("ms", "UTC"))
    return pl.select(pl.when(ms).then(moments.dt.strftime("%Y-%m-%d %H:%M:%S%.3f+00")).otherwise(column)).to_series()


def _plain_name(name: str) -> str:
    return name.strip().lower().replace("_", "")
