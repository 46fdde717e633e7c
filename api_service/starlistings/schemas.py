"""The shapes of section 2. Decimals are strings with 18 decimals."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

DecimalText = Annotated[str, Field(pattern=r"^-?\d+\.\d{18}$", examples=["113690.000000000000000000"])]


class Starlisting(BaseModel):
    """A trading pair and an interval."""

    id: int
    exchange: str = Field(examples=["hyperliquid"])
    exchange_display: str = Field(examples=["Hyperliquid"])
    coin: str = Field(examples=["BTC"])
    coin_name: str = Field(examples=["Bitcoin"])
    quote: str = Field(examples=["USD"])
    quote_name: str = Field(examples=["US Dollar"])
    trading_pair: str = Field(examples=["BTC/USD"])
    trading_pair_id: int
    market_type: str = Field(examples=["perps"])
    market_type_display: str = Field(examples=["Perpetuals"])
    interval: str = Field(examples=["15m"])
    interval_seconds: int = Field(examples=[900])
    active: bool
    symbol: str = Field(description="The short form that charts use.", examples=["BTCUSD"])


class StarlistingList(BaseModel):
    """The starlistings that fit."""

    starlistings: list[Starlisting]
    total_count: int


class StarlistingCandle(BaseModel):
    """A closed candle; `num_trades` is null where the exchange does not say."""

    time: AwareDatetime
    open: DecimalText
    high: DecimalText
    low: DecimalText
    close: DecimalText
    volume: DecimalText
    num_trades: int | None


class FundingRate(BaseModel):
    """A perpetual's funding at a minute; what the exchange does not say is null."""

    time: AwareDatetime
    funding_rate: DecimalText
    premium: DecimalText | None
    mark_price: DecimalText | None
    index_price: DecimalText | None
    oracle_price: DecimalText | None
    mid_price: DecimalText | None
    next_funding_time: AwareDatetime | None


class OpenInterestRow(BaseModel):
    """A perpetual's open interest at a minute, in coins, and the day's volumes."""

    time: AwareDatetime
    open_interest: DecimalText
    notional_value: DecimalText | None
    day_base_volume: DecimalText | None
    day_notional_volume: DecimalText | None


class PairMetadata(BaseModel):
    """What the rows are of; times are null where the request had none."""

    exchange: str
    coin: str
    quote: str
    trading_pair: str
    market_type: str
    count: int
    start_time: AwareDatetime | None
    end_time: AwareDatetime | None


class CandleMetadata(PairMetadata):
    """What the candles are of."""

    interval: str


class CandlesOfStarlisting(BaseModel):
    """Candles, oldest first."""

    data: list[StarlistingCandle]
    metadata: CandleMetadata


class FundingOfPair(BaseModel):
    """Funding rates, oldest first."""

    data: list[FundingRate]
    metadata: PairMetadata


class OpenInterestOfPair(BaseModel):
    """Open interest, oldest first."""

    data: list[OpenInterestRow]
    metadata: PairMetadata
