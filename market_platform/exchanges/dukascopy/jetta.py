"""Dukascopy's JSON API ("jetta"): delta-encoded columns in one object. Pure: bytes in, exact columns out.

Prices are `base / multiplier + cumsum(deltas)` units, times `timestamp + cumsum(deltas)` (candles: deltas count in
`shift`). Volumes are in units for ticks, with up to a few decimals, and in millions for candles. An hour or day without
data has empty arrays and null base prices.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
import numpy as np

from market_platform.domain.candles import CandleUnits
from market_platform.domain.days import HOUR_MS
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.intervals import DAY_MS, MINUTE_MS
from market_platform.domain.ticks import MAX_UNITS, Ints, Ticks
from market_platform.exchanges.dukascopy.columns import (
    candle_columns,
    check_prices,
    check_times,
    integers,
    volume_units,
)

Body = TypeVar("Body", bound="_Body")


class _Body(msgspec.Struct, rename="camel", gc=False):
    """What tick and candle answers share; `timestamp` is the period's start in ms."""

    timestamp: int
    multiplier: float
    times: list[int]


class _TickBody(_Body, gc=False):
    ask: float | None
    bid: float | None
    asks: list[int]
    bids: list[int]
    ask_volumes: list[float]
    bid_volumes: list[float]


class _CandleBody(_Body, gc=False):
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    shift: int
    opens: list[int]
    highs: list[int]
    lows: list[int]
    closes: list[int]
    volumes: list[float]


def decode_ticks(body: bytes, start_ms: int, price_scale: int, what: str) -> Ticks:
    """The ticks of the hour that begins at `start_ms`, in the order sent; volumes in units.

    `what` names the pair, day and hour in messages.

    Raises:
        BadPayloadError: not this JSON, wrong types, another hour's answer, arrays of unequal length, a price scale that
            is not the instrument's, times outside the hour or going back, prices not above zero, impossible volumes.
    """
    answer = _parse(body, _TickBody, what)
    lengths = {
        "times": len(answer.times),
        "asks": len(answer.asks),
        "bids": len(answer.bids),
        "askVolumes": len(answer.ask_volumes),
        "bidVolumes": len(answer.bid_volumes),
    }
    _check_frame(answer, start_ms, price_scale, lengths, what)
    if not answer.times:
        return Ticks.empty(price_scale)
    offsets = np.cumsum(integers(answer.times, "times", what))
    ask = _prices(answer.ask, answer.asks, price_scale, "ask", what)
    bid = _prices(answer.bid, answer.bids, price_scale, "bid", what)
    check_times(offsets, HOUR_MS, what)
    volumes = {"askVolumes": np.array(answer.ask_volumes), "bidVolumes": np.array(answer.bid_volumes)}
    (ask_volume, bid_volume), volume_scale = volume_units(volumes, 0, what)
    return Ticks(offsets + start_ms, bid, ask, bid_volume, ask_volume, price_scale, volume_scale)


def decode_candles(
    body: bytes,
    start_ms: int,
    price_scale: int,
    what: str,
    *,
    step_ms: int = MINUTE_MS,
    length_ms: int = DAY_MS,
) -> CandleUnits:
    """The candles of the period that begins at `start_ms`; flats (volume 0) are left out, volumes are in units.

    Answers are minutes of a day by default; `step_ms` and `length_ms` say otherwise (days of a year).

    Raises:
        BadPayloadError: as for ticks, and for candles off the grid or with open or close outside high and low.
    """
    answer = _parse(body, _CandleBody, what)
    deltas = {"open": answer.opens, "high": answer.highs, "low": answer.lows, "close": answer.closes}
    bases = {"open": answer.open, "high": answer.high, "low": answer.low, "close": answer.close}
    lengths = {f"{name}s": len(array) for name, array in deltas.items()}
    lengths |= {"times": len(answer.times), "volumes": len(answer.volumes)}
    _check_frame(answer, start_ms, price_scale, lengths, what)
    if answer.shift != step_ms:
        raise BadPayloadError(f"{what}: shift is {answer.shift} ms, but candles of {step_ms} ms were asked for")
    none = np.empty(0, np.int64)
    prices = {
        field: _prices(bases[field], array, price_scale, field, what) if array else none
        for field, array in deltas.items()
    }
    return candle_columns(
        np.cumsum(integers(answer.times, "times", what)) * step_ms,
        prices,
        np.array(answer.volumes, np.float64),
        start_ms=start_ms,
        step_ms=step_ms,
        length_ms=length_ms,
        price_scale=price_scale,
        what=what,
    )


def _parse(body: bytes, kind: type[Body], what: str) -> Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayloadError(f"{what}: {len(body)} bytes are not the JSON expected: {error}") from None


def _check_frame(answer: _Body, start_ms: int, price_scale: int, lengths: dict[str, int], what: str) -> None:
    """The right period, the instrument's scale, and arrays of one length."""
    if answer.timestamp != start_ms:
        raise BadPayloadError(
            f"{what}: the answer is of another period: its timestamp is {answer.timestamp}, asked for {start_ms}"
        )
    if answer.multiplier != float(f"1e-{price_scale}"):
        raise BadPayloadError(
            f"{what}: multiplier is {answer.multiplier}, but the instrument's price scale is {price_scale} "
            f"(1e-{price_scale}); its description has changed: fetch it again"
        )
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise BadPayloadError(f"{what}: arrays differ in length: {told}")


def _prices(base: float | None, deltas: list[int], price_scale: int, field: str, what: str) -> Ints:
    """Prices in units. The base is exact: its units divided back give the very number that was sent."""
    factor = 10.0**price_scale
    units = 0.0 if base is None else float(np.rint(base * factor))
    if base is None or not 0 < units < MAX_UNITS or units / factor != base:
        raise BadPayloadError(f"{what}: base price {field} is {base}, which is not a price of scale {price_scale}")
    prices = np.cumsum(integers(deltas, f"{field}s", what)) + np.int64(units)
    check_prices(prices, field, what)
    return prices
