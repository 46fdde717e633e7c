"""bi5 files as Dukascopy writes them: big-endian rows inside an LZMA "alone" file.

Belongs here: bytes from columns, and back (a recorded file is also served as JSON). Does not: where files are, or what an
hour without ticks means. Ticks are `>IIIff`: ms from the hour's start, ask, bid, ask volume, bid volume. Candles are
`>5if`: seconds from the period's start, open, close, low, high, volume. Volumes are in millions.
"""

from __future__ import annotations

import lzma
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.ticks import Ints, Ticks
from market_platform.replay.candles import CandleRows, whole_units

TICK_ROW = np.dtype([("ms", ">u4"), ("ask", ">u4"), ("bid", ">u4"), ("ask_volume", ">f4"), ("bid_volume", ">f4")])
CANDLE_ROW = np.dtype(
    [("seconds", ">i4"), ("open", ">i4"), ("close", ">i4"), ("low", ">i4"), ("high", ">i4"), ("volume", ">f4")]
)
HEADER = bytes.fromhex("5d00004000")
"""lc=3 lp=0 pb=2 and a dictionary of 4 MiB, which is how every Dukascopy file begins."""

_FAST: list[dict[str, int]] = [{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 1 << 18}]


def compress(rows: bytes) -> bytes:
    """An LZMA "alone" file of the bytes, quickly made. A smaller dictionary than the header says is always readable."""
    return HEADER + lzma.compress(rows, format=lzma.FORMAT_ALONE, filters=_FAST)[len(HEADER) :]


def encode_ticks(ticks: Ticks, hour_ms: int) -> bytes:
    """The file of one hour's ticks; no bytes at all when there are none."""
    if not len(ticks):
        return b""
    rows = np.empty(len(ticks), TICK_ROW)
    rows["ms"] = ticks.time - hour_ms
    rows["ask"], rows["bid"] = ticks.ask, ticks.bid
    rows["ask_volume"] = whole_units(ticks.ask_volume, ticks.volume_scale) / 1e6
    rows["bid_volume"] = whole_units(ticks.bid_volume, ticks.volume_scale) / 1e6
    return compress(rows.tobytes())


def encode_candles(candles: CandleRows, start_ms: int) -> bytes:
    """The file of a period's candles, flat rows included; no bytes at all when there are none."""
    if not len(candles):
        return b""
    rows = np.empty(len(candles), CANDLE_ROW)
    rows["seconds"] = (candles.time - start_ms) // 1000
    for name in ("open", "close", "low", "high"):
        rows[name] = getattr(candles, name)
    rows["volume"] = candles.millions
    return compress(rows.tobytes())


def decode_ticks(data: bytes, hour_ms: int, price_scale: int, what: str) -> Ticks:
    """The ticks of a recorded hour file, volumes in whole units. `what` names the file in an error.

    Raises:
        BadPayloadError: when it is not such a file.
    """
    rows = np.frombuffer(_content(data, TICK_ROW.itemsize, what), TICK_ROW)
    volumes = [_whole_units(rows[name].astype(np.float32)) for name in ("bid_volume", "ask_volume")]
    return Ticks(
        hour_ms + rows["ms"].astype(np.int64),
        rows["bid"].astype(np.int64),
        rows["ask"].astype(np.int64),
        volumes[0],
        volumes[1],
        price_scale,
        0,
    )


def decode_candles(data: bytes, start_ms: int, what: str) -> CandleRows:
    """The candles of a recorded candle file, flat rows included. `what` names the file in an error.

    Volumes are the shortest decimals that the file's 32-bit numbers stand for.

    Raises:
        BadPayloadError: when it is not such a file.
    """
    rows = np.frombuffer(_content(data, CANDLE_ROW.itemsize, what), CANDLE_ROW)
    opens, highs, lows, closes = (rows[name].astype(np.int64) for name in ("open", "high", "low", "close"))
    millions = np.array([float(str(volume)) for volume in rows["volume"].astype(np.float32)], np.float64)
    return CandleRows(start_ms + rows["seconds"].astype(np.int64) * 1000, opens, highs, lows, closes, millions)


def _whole_units(millions: npt.NDArray[np.float32]) -> Ints:
    """Millions as units, by the shortest decimal that each 32-bit number stands for.

    17.28 million is stored as 17280000.69, so multiplying what is stored would be a unit off.
    """
    distinct, which = np.unique(millions, return_inverse=True)
    units: Ints = np.array([round(Decimal(str(value)) * 1_000_000) for value in distinct], np.int64)
    return units[which]


def _content(data: bytes, row_size: int, what: str) -> bytes:
    if not data:
        return b""
    try:
        content = lzma.decompress(data)
    except lzma.LZMAError as error:
        raise BadPayloadError(f"recording {what} is no bi5 file ({error}); record it again or take it away") from error
    if len(content) % row_size:
        raise BadPayloadError(f"recording {what} holds {len(content)} bytes, no whole number of {row_size}-byte rows")
    return content
