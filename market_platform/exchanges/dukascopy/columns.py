"""Checks and exact conversions that both of Dukascopy's formats share. Pure functions on numpy columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from market_platform.domain.candles import CandleUnits
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import MAX_UNITS, Ints

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

FINEST_VOLUME_SCALE = 9
MAX_DIGITS = 99
MILLION = 6
"""Exponent of volumes given in millions of units."""


def refuse(what: str, field: str, row: int, value: object, rule: str) -> NoReturn:
    """Raise the error of one wrong value.

    Raises:
        BadPayloadError: always; `what` names the pair, day and hour.
    """
    raise BadPayloadError(f"{what}: {field} of row {row} is {value}, but {rule}")


def first_true(mask: npt.NDArray[np.bool_]) -> int:
    """Index of the first True."""
    return int(np.argmax(mask))


def check_times(offsets: Ints, length_ms: int, what: str) -> None:
    """Milliseconds from a period's start must lie inside it and never go back.

    Raises:
        BadPayloadError: naming the first row that does.
    """
    if not len(offsets):
        return
    back = offsets[1:] < offsets[:-1]
    if back.any():
        row = first_true(back) + 1
        refuse(
            what, "time", row, f"{offsets[row]} ms", f"the row before has {offsets[row - 1]} ms: times must not go back"
        )
    for row in (0, len(offsets) - 1):
        if not 0 <= offsets[row] < length_ms:
            refuse(what, "time", row, f"{offsets[row]} ms", f"times of this period are 0 to {length_ms - 1} ms")


def check_prices(prices: Ints, field: str, what: str) -> None:
    """Prices in units must be above zero and countable.

    Raises:
        BadPayloadError: naming the first row that is not.
    """
    if not len(prices):
        return
    if int(prices.min()) <= 0:
        row = first_true(prices <= 0)
        refuse(what, field, row, f"{prices[row]} units", "a price is above zero")
    if int(prices.max()) >= MAX_UNITS:
        row = first_true(prices >= MAX_UNITS)
        refuse(what, field, row, f"{prices[row]} units", "that is absurd")


def volume_units(columns: Mapping[str, Floats], exponent: int, what: str) -> tuple[list[Ints], int]:
    """Volume columns of one length as integers at the smallest common scale that holds them exactly, and that scale.

    `exponent` is that of the unit the columns are in (0 units, 6 millions). Each volume is taken for the shortest decimal
    that gives the very float sent: what the exchange wrote. (17.28 million as float32 is 17280000.69 units; the exchange
    means 17280000, and its JSON API says so.)

    Raises:
        BadPayloadError: for a volume below zero, not finite, too large to count or finer than 9 decimals of a unit.
    """
    volumes = np.concatenate(list(columns.values()))
    total = float(volumes.sum(dtype=np.float64))
    if len(volumes) and not (volumes.min() >= 0 and total * 10.0**exponent < MAX_UNITS):
        wrong = ~((volumes >= 0) & (volumes < MAX_UNITS / 10.0**exponent))
        at = first_true(wrong) if wrong.any() else int(volumes.argmax())
        column, row = divmod(at, len(volumes) // len(columns))
        refuse(what, list(columns)[column], row, volumes[at], "a volume is a finite, countable number, zero or more")
    units, digits = _shortest_decimals(volumes, 2 if exponent == MILLION else 0)
    decimals = max(exponent, digits)
    if decimals > exponent + FINEST_VOLUME_SCALE or total * 10.0**decimals >= MAX_UNITS:
        raise BadPayloadError(
            f"{what}: {' and '.join(columns)} have volumes finer than {FINEST_VOLUME_SCALE} decimals of a unit, "
            "or too large to count so finely"
        )
    if decimals > digits:
        units *= 10 ** (decimals - digits)
    return np.split(units, len(columns)), decimals - exponent


def _shortest_decimals(volumes: Floats, coarse: int) -> tuple[Ints, int]:
    """The volumes as integers of `digits` decimals, and `digits`; more than can be counted when there are none.

    All are tried with `coarse` decimals first: nearly always enough, and fast. Else each gets the fewest decimals that
    give its float back.
    """
    units, exact = _at_decimals(volumes, coarse)
    if exact.all():
        return units, coarse
    own = np.full(len(volumes), coarse)
    left = np.arange(len(volumes))
    digits = 0
    while volumes.max() * 10.0**digits < MAX_UNITS:
        tried, exact = _at_decimals(volumes[left], digits)
        units[left[exact]], own[left[exact]] = tried[exact], digits
        left = left[~exact]
        if not len(left):
            most = int(own.max())
            return units * 10 ** (most - own), most
        digits += 1
    return units, MAX_DIGITS


def _at_decimals(volumes: Floats, digits: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The volumes rounded to integers of that many decimals, and which of them lose nothing."""
    factor = 10.0**digits
    units = np.multiply(volumes, factor, dtype=np.float64)
    np.rint(units, out=units)
    return units.astype(np.int64), (units / factor).astype(volumes.dtype) == volumes


def integers(values: list[int], field: str, what: str) -> Ints:
    """A JSON array of integers as a column.

    Raises:
        BadPayloadError: when one is too large to count with.
    """
    try:
        column = np.array(values, np.int64)
    except OverflowError:
        column = np.array([MAX_UNITS], np.int64)
    if len(column) and max(int(column.max()), -int(column.min())) >= MAX_UNITS:
        row = next(row for row, value in enumerate(values) if abs(value) >= MAX_UNITS)
        refuse(what, field, row, values[row], "that is absurd")
    return column


def candle_columns(
    offsets: Ints,
    prices: Mapping[str, Ints],
    volume: Floats,
    *,
    start_ms: int,
    step_ms: int,
    length_ms: int,
    price_scale: int,
    what: str,
) -> CandleUnits:
    """Checked candles of one period, those without volume (flat fillers) left out; `num_trades` is 0: not told.

    `offsets` are ms from `start_ms`, `prices` has open, high, low and close in units, `volume` is in millions.

    Raises:
        BadPayloadError: times off the grid, repeated or outside; prices not above zero or outside high and low.
    """
    check_times(offsets, length_ms, what)
    off_grid = offsets % step_ms != 0
    if len(offsets):
        off_grid[1:] |= offsets[1:] == offsets[:-1]
    if off_grid.any():
        row = first_true(off_grid)
        refuse(what, "time", row, f"{offsets[row]} ms", f"candles are {step_ms} ms apart, each once")
    for field, column in prices.items():
        check_prices(column, field, what)
    high, low = prices["high"], prices["low"]
    for field in ("open", "close"):
        outside = (prices[field] > high) | (prices[field] < low)
        if outside.any():
            row = first_true(outside)
            refuse(what, field, row, prices[field][row], f"low is {low[row]} and high is {high[row]}")
    (units,), volume_scale = volume_units({"volume": volume}, MILLION, what)
    traded = units > 0
    kept = {field: column[traded] for field, column in prices.items()}
    times = start_ms + offsets[traded]
    return CandleUnits(
        time=times,
        open=kept["open"],
        high=kept["high"],
        low=kept["low"],
        close=kept["close"],
        volume=units[traded],
        num_trades=np.zeros(len(times), np.int64),
        price_scale=price_scale,
        volume_scale=volume_scale,
    )
