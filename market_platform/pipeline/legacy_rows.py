"""Rows of `market_ticks` as exact ticks: Postgres's own text in, sorted ticks without duplicates out, and how ticks compare.

Belongs here: exactness, duplicates, scales. Does not: a day of many pieces (legacy_day.py), where it goes (legacy_store.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from market_platform.domain.clock import from_ms
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import MAX_UNITS, Ints, Ticks

EXAMPLES = 3
"""How many duplicates of a day are named; all are counted."""
_SCALE = 18
_VALUES = ("bid", "ask", "bid_volume", "ask_volume")
_SCHEMA = pl.Schema(
    {"micros": pl.Decimal(38, 6), **{name: pl.Decimal(38, _SCALE) for name in _VALUES}}  # as COPY writes them
)
_SAMPLE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class LegacyRows:
    """Rows: `ticks` sorted by time and then by value, without duplicates, at the least scales that hold them.

    `rows` counts all rows, `duplicates` those equal to another to the microsecond, `truncated` those whose time was cut to
    milliseconds, `merged` those that became equal by that, `zeroed` those whose NULL volume became 0. `examples` names some
    of the duplicates, `finer` the first time that was cut, `null` the first row with a NULL volume.
    """

    ticks: Ticks
    rows: int
    duplicates: int
    truncated: int
    merged: int
    zeroed: int
    examples: tuple[str, ...]
    finer: str
    null: str


def parse_rows(text: bytes, what: str) -> pl.DataFrame:
    """The rows of a piece of `read_day`'s CSV as decimals. `what` names the day in messages.

    Raises:
        BadPayloadError: a value that no tick can have, such as NaN; the row is named.
    """
    if not text:
        return pl.DataFrame(schema=_SCHEMA)
    try:
        return pl.read_csv(text, has_header=False, schema=_SCHEMA)
    except pl.exceptions.PolarsError:
        words = pl.read_csv(text, has_header=False, schema=dict.fromkeys(_SCHEMA, pl.String()))
        for name in _VALUES:
            bad = words.filter(
                pl.col(name).cast(pl.Decimal(38, _SCALE), strict=False).is_null() & pl.col(name).is_not_null()
            )
            if bad.height:
                row = bad.row(0, named=True)
                at = from_ms(int(row["micros"].replace(".", "")) // 1000)
                raise BadPayloadError(f"{what}: the row of {at:%H:%M:%S.%f} has the {name} {row[name]}") from None
        raise


def exact_rows(frame: pl.DataFrame, what: str) -> LegacyRows:
    """The rows as ticks, every value as Postgres has it, but for what is counted. `what` names the day in messages.

    Raises:
        BadPayloadError: a row that a tick can't hold (a price that is not above zero, more digits than fit); it is named.
    """
    zeroed = frame.filter(pl.any_horizontal(pl.col("bid_volume", "ask_volume").is_null()))
    if zeroed.height:
        frame = frame.with_columns(pl.col("bid_volume", "ask_volume").fill_null(0))
    micros = frame["micros"].to_physical().cast(pl.Int64).to_numpy()
    prices, price_scale = _units(frame, ("bid", "ask"), what)
    volumes, volume_scale = _units(frame, ("bid_volume", "ask_volume"), what)
    columns = _sorted([micros, *prices, *volumes])
    repeats = _equal_to_previous(columns)
    examples = _examples(columns, repeats, price_scale)
    if len(repeats):
        columns = [np.delete(column, repeats) for column in columns]
    micros, bid, ask, bid_volume, ask_volume = columns
    finer = np.flatnonzero(micros % 1000)
    first = f"{shown_time(micros[finer[0]])} bid {shown_price(bid[finer[0]], price_scale)}" if len(finer) else ""
    ticks = Ticks(micros // 1000, bid, ask, bid_volume, ask_volume, price_scale, volume_scale)
    ticks.check(what)
    merged = 0
    if len(finer):
        ticks, merged = ticks.sorted_unique()
    counts = frame.height, len(repeats), len(finer), merged, zeroed.height
    return LegacyRows(ticks, *counts, examples, first, _named(zeroed) if zeroed.height else "")


def at_scales(ticks: Ticks, price_scale: int, volume_scale: int) -> Ticks:
    """The same ticks counted in finer units; the caller knows that they fit."""
    price, volume = 10 ** (price_scale - ticks.price_scale), 10 ** (volume_scale - ticks.volume_scale)
    if price == volume == 1:
        return ticks
    values = ticks.bid * price, ticks.ask * price, ticks.bid_volume * volume, ticks.ask_volume * volume
    return Ticks(ticks.time, *values, price_scale, volume_scale)


def at_least_scales(ticks: Ticks) -> Ticks:
    """The same ticks at the least scales that hold them, so that their hash does not depend on how they were written."""
    bid, ask, price_scale = _reduced(ticks.bid, ticks.ask, ticks.price_scale)
    bid_volume, ask_volume, volume_scale = _reduced(ticks.bid_volume, ticks.ask_volume, ticks.volume_scale)
    return Ticks(ticks.time, bid, ask, bid_volume, ask_volume, price_scale, volume_scale)


def missing_rows(ticks: Ticks, other: Ticks) -> int:
    """How many distinct ticks of the first the second does not have, whatever the scales and the order."""
    price_scale = max(ticks.price_scale, other.price_scale)
    volume_scale = max(ticks.volume_scale, other.volume_scale)
    names = ["time", *_VALUES]

    def frame(each: Ticks) -> pl.DataFrame:
        prices, volumes = 10 ** (price_scale - each.price_scale), 10 ** (volume_scale - each.volume_scale)
        factors = zip(_VALUES, (prices, prices, volumes, volumes), strict=True)
        columns = pl.DataFrame(dict(zip(names, each.columns, strict=True)))
        return columns.with_columns(pl.col(name).cast(pl.Int128) * factor for name, factor in factors).unique()

    return frame(ticks).join(frame(other), on=names, how="anti").height


def _units(frame: pl.DataFrame, names: Sequence[str], what: str) -> tuple[list[Ints], int]:
    """Two columns of decimals as integers at the least scale that holds every digit of both."""
    scale, _ = _at_least_scale(frame.select(names).head(_SAMPLE), 0)
    scale, decimals = _at_least_scale(frame.select(names), scale)
    found = []
    for name in names:
        units = decimals[name].to_physical()
        if frame.height and max(abs(int(units.max())), abs(int(units.min()))) > MAX_UNITS:  # type: ignore[arg-type]
            worst = frame.filter(units.abs() > MAX_UNITS)
            raise BadPayloadError(
                f"{what}: the day's {name.replace('_', ' ')}s need {scale} decimals, and with so many the row {_named(worst)} "
                "is too large for a tick"
            )
        found.append(units.cast(pl.Int64).to_numpy())
    return found, scale


def _at_least_scale(frame: pl.DataFrame, scale: int) -> tuple[int, pl.DataFrame]:
    """The least scale from `scale` on at which no digit is lost, and the frame at it."""
    for candidate in range(scale, _SCALE):
        coarse = frame.with_columns(pl.all().cast(pl.Decimal(38, candidate)))
        again = coarse.with_columns(pl.all().cast(pl.Decimal(38, _SCALE)))
        if all((again[name] == frame[name]).all() for name in frame.columns):
            return candidate, coarse
    return _SCALE, frame


def _sorted(columns: list[Ints]) -> list[Ints]:
    """Rows sorted by time and then by value: Postgres keeps no order, and the hash must not depend on one."""
    time = columns[0]
    if not (time[1:] >= time[:-1]).all():
        order = np.argsort(time, kind="stable")
        columns = [column[order] for column in columns]
        time = columns[0]
    same = np.flatnonzero(time[1:] == time[:-1])
    if not len(same):
        return columns
    tied = np.union1d(same, same + 1)
    order = np.lexsort([column[tied] for column in reversed(columns)])
    if (order[1:] > order[:-1]).all():
        return columns
    columns = [np.array(column) for column in columns]
    for column in columns:
        column[tied] = column[tied][order]
    return columns


def _equal_to_previous(columns: Sequence[Ints]) -> npt.NDArray[np.intp]:
    same = np.flatnonzero(columns[0][1:] == columns[0][:-1])
    for column in columns[1:]:
        same = same[column[same + 1] == column[same]]
    return same + 1


def _examples(columns: Sequence[Ints], repeats: npt.NDArray[np.intp], scale: int) -> tuple[str, ...]:
    """The first duplicates: time, bid, ask and how often the row is there."""
    named: list[str] = []
    at = 0
    while at < len(repeats) and len(named) < EXAMPLES:
        first, times = int(repeats[at]) - 1, 2
        while at + 1 < len(repeats) and repeats[at + 1] == repeats[at] + 1:
            at, times = at + 1, times + 1
        bid, ask = (shown_price(columns[index][first], scale) for index in (1, 2))
        named.append(f"{shown_time(columns[0][first])} bid {bid} ask {ask}, {times} times")
        at += 1
    return tuple(named)


def _reduced(first: Ints, second: Ints, scale: int) -> tuple[Ints, Ints, int]:
    while scale and not (first % 10).any() and not (second % 10).any():
        first, second, scale = first // 10, second // 10, scale - 1
    return first, second, scale


def _named(rows: pl.DataFrame) -> str:
    """The first row of a frame of decimals, by time and prices."""
    row = rows.row(0, named=True)
    return f"{shown_time(int(row['micros'].scaleb(6)))} bid {row['bid'].normalize():f} ask {row['ask'].normalize():f}"


def shown_time(micros: np.int64 | int) -> str:
    """A time of day to the millisecond, or to the microsecond where that says more."""
    ms, rest = divmod(int(micros), 1000)
    return f"{from_ms(ms):%H:%M:%S}.{ms % 1000:03d}" + (f"{rest:03d}" if rest else "")


def shown_price(units: np.int64 | int, scale: int) -> str:
    """Units as the decimal that they stand for."""
    text = f"{int(units):0{scale + 1}d}"
    return f"{text[: len(text) - scale]}.{text[len(text) - scale :]}" if scale else text
