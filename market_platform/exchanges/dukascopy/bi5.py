"""Dukascopy's bi5 files: LZMA-compressed, big-endian records of fixed length. Pure: bytes in, exact columns out.

A tick record is 20 bytes: ms from the hour's start, ask, bid (units of 10^-price_scale), ask volume, bid volume (float32,
millions). A candle record is 24 bytes: seconds from the period's start, open, *close, low, high*, volume (float32,
millions). An hour without ticks is a file of 0 bytes. Integers are signed, as in the exchange's own Java.
"""

from __future__ import annotations

import lzma

import numpy as np

from market_platform.domain.candles import CandleUnits
from market_platform.domain.days import HOUR_MS
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.intervals import DAY_MS, MINUTE_MS
from market_platform.domain.ticks import Ticks
from market_platform.exchanges.dukascopy.columns import (
    MILLION,
    candle_columns,
    check_prices,
    check_times,
    volume_units,
)

TICK = np.dtype([("ms", ">i4"), ("ask", ">i4"), ("bid", ">i4"), ("ask_volume", ">f4"), ("bid_volume", ">f4")])
CANDLE = np.dtype([("s", ">i4"), ("open", ">i4"), ("close", ">i4"), ("low", ">i4"), ("high", ">i4"), ("volume", ">f4")])
MAX_RAW_BYTES = HOUR_MS * TICK.itemsize
"""A tick every millisecond of an hour; whatever decompresses to more is not a bi5 file."""


def decode_ticks(body: bytes, start_ms: int, price_scale: int, what: str) -> Ticks:
    """The ticks of the hour that begins at `start_ms`, in the order sent; volumes in units.

    `what` names the pair, day and hour in messages.

    Raises:
        BadPayloadError: truncated or corrupt LZMA, a broken length, times outside the hour or going back, prices not
            above zero, volumes not finite or below zero.
    """
    records = _records(body, TICK, what)
    if not len(records):
        return Ticks.empty(price_scale)
    offsets = records["ms"].astype(np.int64)
    ask, bid = records["ask"].astype(np.int64), records["bid"].astype(np.int64)
    check_times(offsets, HOUR_MS, what)
    check_prices(ask, "ask", what)
    check_prices(bid, "bid", what)
    volumes = {field: records[field].astype(np.float32) for field in ("ask_volume", "bid_volume")}
    (ask_volume, bid_volume), volume_scale = volume_units(volumes, MILLION, what)
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

    Files are minutes of a day by default; `step_ms` and `length_ms` say otherwise (hours of a month, days of a year).

    Raises:
        BadPayloadError: as for ticks, and for candles off the grid or with open or close outside high and low.
    """
    records = _records(body, CANDLE, what)
    return candle_columns(
        records["s"].astype(np.int64) * 1000,
        {field: records[field].astype(np.int64) for field in ("open", "high", "low", "close")},
        records["volume"].astype(np.float32),
        start_ms=start_ms,
        step_ms=step_ms,
        length_ms=length_ms,
        price_scale=price_scale,
        what=what,
    )


def _records(body: bytes, kind: np.dtype[np.void], what: str) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    raw = _decompress(body, what) if body else b""
    if len(raw) % kind.itemsize:
        raise BadPayloadError(
            f"{what}: {len(raw)} bytes after decompression are not whole records of {kind.itemsize} bytes"
        )
    return np.frombuffer(raw, kind)


def _decompress(body: bytes, what: str) -> bytes:
    decompressor = lzma.LZMADecompressor()
    try:
        raw = decompressor.decompress(body, MAX_RAW_BYTES)
    except lzma.LZMAError as error:
        raise BadPayloadError(f"{what}: {len(body)} bytes are not a bi5 file ({error})") from None
    if decompressor.eof and not decompressor.unused_data:
        return raw
    if decompressor.eof:
        raise BadPayloadError(f"{what}: {len(body)} bytes go on after the end of the bi5 file")
    if len(raw) >= MAX_RAW_BYTES:
        raise BadPayloadError(f"{what}: {len(body)} bytes decompress to more than an hour can hold")
    raise BadPayloadError(f"{what}: the bi5 file is cut off: {len(body)} bytes end before its last record")
