"""The shapes of `/api/metadata`."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Symbol(BaseModel):
    """A symbol that has data."""

    symbol: str = Field(examples=["EURUSD"])
    earliest: int = Field(description="First moment of its data, Unix seconds.", examples=[1706745600])
    latest: int = Field(description="Last moment of its data, Unix seconds.", examples=[1737755998])
    tick_count: int = Field(description="Ticks or trades in the lake.", examples=[11600518])
    exchange: str = Field(examples=["dukascopy"])
    market_type: str = Field(examples=["spot"])


class SymbolWithTimeframes(Symbol):
    """A symbol that has data, with its own timeframes."""

    timeframes: list[str] = Field(examples=[["1m", "5m", "15m", "1h", "4h", "12h", "1d", "1w"]])


class Metadata(BaseModel):
    """Every symbol that has data, and every timeframe one of them has."""

    symbols: list[Symbol]
    timeframes: list[str] = Field(examples=[["1m", "5m", "15m", "1h", "4h", "12h", "1d", "1w"]])
