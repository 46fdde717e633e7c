"""Where each exchange is asked: its real address, and its path on the replay exchange, which speaks for all of them.

Belongs here: the two addresses of everything that is asked. Does not: which of them it is (settings.py).
"""

from __future__ import annotations

from typing import Literal

LiveUrl = Literal[
    "binance_spot_stream",
    "binance_spot_rest",
    "binance_usdm_stream",
    "binance_usdm_rest",
    "hyperliquid_stream",
    "hyperliquid_rest",
    "oanda_stream",
    "oanda_rest",
    "binance_dumps",
    "yahoo",
]
"""A stream or REST side of an exchange; the setting of the same name, with `_url`, moves it."""
DukascopyUrl = Literal["dukascopy_json", "dukascopy_bi5"]
"""The two forms in which Dukascopy gives its history."""

_ADDRESSES: dict[LiveUrl | DukascopyUrl, tuple[str, str]] = {
    "binance_spot_stream": ("wss://data-stream.binance.vision", "/binance/spot"),
    "binance_spot_rest": ("https://data-api.binance.vision", "/binance/spot"),
    "binance_usdm_stream": ("wss://fstream.binance.com/market", "/binance/usdm/market"),
    "binance_usdm_rest": ("https://fapi.binance.com", "/binance/usdm"),
    "hyperliquid_stream": ("wss://api.hyperliquid.xyz/ws", "/hyperliquid/ws"),
    "hyperliquid_rest": ("https://api.hyperliquid.xyz", "/hyperliquid"),
    "oanda_stream": ("https://stream-fxtrade.oanda.com", "/oanda"),
    "oanda_rest": ("https://api-fxtrade.oanda.com", "/oanda"),
    "binance_dumps": ("https://data.binance.vision", "/binance/dumps"),
    "yahoo": ("https://query2.finance.yahoo.com", "/yahoo"),
    "dukascopy_json": ("https://jetta.dukascopy.com/v1", "/dukascopy/v1"),
    "dukascopy_bi5": ("https://datafeed.dukascopy.com/datafeed", "/dukascopy/datafeed"),
}


def address_of(name: LiveUrl | DukascopyUrl, *, replayed_at: str | None) -> str:
    """The exchange's own address, or the one on the replay exchange at `replayed_at` (`host:port`)."""
    real, path = _ADDRESSES[name]
    if replayed_at is None:
        return real
    scheme = "ws" if real.startswith("ws") else "http"
    return f"{scheme}://{replayed_at}{path}"
