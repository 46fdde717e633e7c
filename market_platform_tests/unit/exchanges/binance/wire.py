"""Messages as Binance documents them, good unless a test changes a field."""

from __future__ import annotations

import json
from typing import Any

OPEN = 1_723_161_240_000
"""A minute, and a moment in it."""
NOW = OPEN + 16_303


def trade(**changed: Any) -> dict[str, Any]:
    """A `trade` of spot."""
    message = {"e": "trade", "E": NOW, "s": "BTCUSDT", "t": 12345, "p": "61837.63000000", "q": "0.02000000"}
    return message | {"T": NOW - 1, "m": True, "M": True} | changed


def agg_trade(**changed: Any) -> dict[str, Any]:
    """An `aggTrade` of three trades."""
    message = {"e": "aggTrade", "E": NOW, "s": "BTCUSDT", "a": 5, "p": "0.00000638", "q": "177.00000000"}
    return message | {"f": 100, "l": 102, "T": NOW - 1, "m": False, "M": True} | changed


def book_ticker(**changed: Any) -> dict[str, Any]:
    """A `bookTicker` of spot, which has neither type nor time."""
    return {
        "u": 400900217,
        "s": "BNBUSDT",
        "b": "25.35190000",
        "B": "31.21",
        "a": "25.36520000",
        "A": "40.66",
    } | changed


def kline(changed: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    """A closed minute; `body` changes fields of the candle."""
    candle = {
        "t": OPEN,
        "T": OPEN + 59_999,
        "s": "BTCUSDT",
        "i": "1m",
        "f": 100,
        "L": 200,
        "o": "0.0010",
        "c": "0.0020",
    }
    candle |= {"h": "0.0025", "l": "0.0005", "v": "1000", "n": 101, "x": True, "q": "1.5", "V": "5", "Q": "1", "B": "0"}
    return {"e": "kline", "E": OPEN + 60_002, "s": "BTCUSDT", "k": candle | body} | (changed or {})


def mark_price(**changed: Any) -> dict[str, Any]:
    """A `markPriceUpdate`."""
    message = {"e": "markPriceUpdate", "E": NOW, "s": "BTCUSDT", "p": "11794.15000000", "i": "11784.62659091"}
    return message | {"P": "11784.25641265", "r": "-0.00038167", "T": 1_723_161_600_000} | changed


def raw(message: object) -> bytes:
    """As a raw connection sends it."""
    return json.dumps(message, separators=(",", ":")).encode()


def combined(stream: str, message: object) -> bytes:
    """As a combined connection sends it."""
    return raw({"stream": stream, "data": message})


GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "trade": ("btcusdt@trade", trade()),
    "aggTrade": ("btcusdt@aggTrade", agg_trade()),
    "bookTicker": ("bnbusdt@bookTicker", book_ticker()),
    "bookTicker of USD-M": ("bnbusdt@bookTicker", {"e": "bookTicker", **book_ticker(T=NOW - 2, E=NOW)}),
    "kline": ("btcusdt@kline_1m", kline()),
    "markPriceUpdate": ("btcusdt@markPrice@1s", mark_price()),
}
"""Every message that has an event, with its stream."""
