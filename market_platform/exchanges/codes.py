"""Which exchanges can do what, by code. Belongs here: names alone, free of every client, so that asking costs no import."""

from __future__ import annotations

TICK_EXCHANGES = ("dukascopy",)
"""Exchanges whose tick history can be fetched."""
QUOTE_STREAMS = ("oanda",)
"""Exchanges whose live ticks are quotes; those of all others are trades."""
LIVE_EXCHANGES = ("binance", "hyperliquid", "oanda")
"""Exchanges that can be streamed."""
