"""Decoders of Dukascopy's formats, written for these tests only.

They are made from the format's description and have nothing in common with the platform's own: plain loops, `struct`,
`lzma`, `json`, `Decimal`.
"""

from __future__ import annotations

import json
import lzma
import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ms(*moment: int) -> int:
    """Milliseconds since the epoch of a UTC moment given as year, month, day, hour and so on."""
    return (datetime(*moment, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)  # type: ignore[arg-type, misc]


def at(day: date, hour: int = 0) -> int:
    """Milliseconds since the epoch of an hour of a UTC day."""
    return ms(day.year, day.month, day.day, hour)


@dataclass(frozen=True)
class Tick:
    """One quote: time in ms, prices in units, volumes in units of the base currency."""

    time: int
    ask: int
    bid: int
    ask_volume: Decimal
    bid_volume: Decimal


@dataclass(frozen=True)
class Candle:
    """One candle: open time in ms, prices in units, volume in millions."""

    time: int
    open: int
    high: int
    low: int
    close: int
    volume: Decimal


def unpack(data: bytes) -> bytes:
    """The content of an LZMA "alone" file, whose header is checked."""
    assert data[:5].hex() == "5d00004000"
    return lzma.decompress(data, format=lzma.FORMAT_ALONE)


def whole_units(millions: float) -> Decimal:
    """Units of the shortest decimal that is this 32-bit float: 17.28 million, not the 17280000.69 it is stored as."""
    texts = (f"{millions:.{digits}g}" for digits in range(1, 10))
    shortest = next(text for text in texts if struct.pack(">f", float(text)) == struct.pack(">f", millions))
    return Decimal(shortest) * 1_000_000


def bi5_ticks(data: bytes, hour_ms: int) -> list[Tick]:
    """Ticks of an hour file; volumes in whole units."""
    if not data:
        return []
    return [
        Tick(hour_ms + offset, ask, bid, whole_units(ask_volume), whole_units(bid_volume))
        for offset, ask, bid, ask_volume, bid_volume in struct.iter_unpack(">IIIff", unpack(data))
    ]


def bi5_candles(data: bytes, start_ms: int) -> list[Candle]:
    """Rows of a candle file, flat ones included; volumes as the 32-bit floats they are."""
    if not data:
        return []
    return [
        Candle(start_ms + 1000 * seconds, opens, high, low, close, Decimal(volume))
        for seconds, opens, close, low, high, volume in struct.iter_unpack(">5if", unpack(data))
    ]


def parse(body: bytes) -> dict[str, Any]:
    """JSON with exact numbers."""
    decoded: dict[str, Any] = json.loads(body, parse_float=Decimal, parse_int=int)
    return decoded


def json_ticks(body: bytes) -> list[Tick]:
    """Ticks of a JSON body: sums of differences."""
    content = parse(body)
    assert list(content) == [
        "timestamp",
        "multiplier",
        "ask",
        "bid",
        "times",
        "asks",
        "bids",
        "askVolumes",
        "bidVolumes",
    ]
    time, ticks = content["timestamp"], []
    ask, bid = _units(content["ask"], content), _units(content["bid"], content)
    for row in zip(*(content[name] for name in ("times", "asks", "bids", "askVolumes", "bidVolumes")), strict=True):
        time, ask, bid = time + row[0], ask + row[1], bid + row[2]
        ticks.append(Tick(time, ask, bid, Decimal(row[3]), Decimal(row[4])))
    return ticks


def json_candles(body: bytes) -> list[Candle]:
    """Candles of a JSON body: sums of differences, times in steps of `shift`."""
    content = parse(body)
    names = ["open", "high", "low", "close"]
    assert list(content) == [
        "timestamp",
        "multiplier",
        *names,
        "shift",
        "times",
        *(f"{name}s" for name in names),
        "volumes",
    ]
    time, prices, candles = content["timestamp"], [_units(content[name], content) for name in names], []
    arrays = [content["times"], *(content[f"{name}s"] for name in names), content["volumes"]]
    for step, *steps, volume in zip(*arrays, strict=True):
        time += step * content["shift"]
        prices = [price + change for price, change in zip(prices, steps, strict=True)]
        candles.append(Candle(time, prices[0], prices[1], prices[2], prices[3], Decimal(volume)))
    return candles


def candles_of(ticks: list[Tick], side: str, step_ms: int) -> list[Candle]:
    """Candles of ticks by a plain loop; volume in millions, exact."""
    candles: list[Candle] = []
    for tick in ticks:
        price, volume = (tick.bid, tick.bid_volume) if side == "BID" else (tick.ask, tick.ask_volume)
        start, millions = tick.time // step_ms * step_ms, volume / 1_000_000
        if candles and candles[-1].time == start:
            before = candles[-1]
            high, low = max(before.high, price), min(before.low, price)
            candles[-1] = Candle(start, before.open, high, low, price, before.volume + millions)
        else:
            candles.append(Candle(start, price, price, price, price, millions))
    return candles


def float32(value: Decimal) -> float:
    """The nearest 32-bit float."""
    number: float = struct.unpack(">f", struct.pack(">f", float(value)))[0]
    return number


def _units(price: Decimal | None, content: dict[str, Any]) -> int:
    if price is None:
        return 0
    units = price / content["multiplier"]
    assert units == units.to_integral_value(), "a price in JSON is a whole number of units"
    return int(units)
