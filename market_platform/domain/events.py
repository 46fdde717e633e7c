"""What an exchange's live stream says, in our words: the events that parsers make of its messages.

Belongs here: the types. Does not: wire formats (exchanges/), what becomes of an event (streamer/).

Prices and volumes are `Decimal`, made from the exchange's own text, never through a float. Times are milliseconds since
the epoch, UTC, by the exchange's clock. `symbol` is the exchange's own spelling as the message had it (`BTCUSDT`, `BTC`,
`EUR_USD`); who knows the subscriptions knows which trading pair that is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

Side = Literal["buy", "sell"]
"""The side of the order that took: `buy` when the buyer was not the maker."""


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A trade, or trades of one order at one price that the exchange aggregates.

    `trade_id` is the id in the stream's own numbering (of aggregates, where those are sent); `first_id` and `last_id` are the
    single trades within (None where the exchange does not say).
    """

    symbol: str
    trade_id: int
    price: Decimal
    quantity: Decimal
    side: Side
    time_ms: int
    first_id: int | None = None
    last_id: int | None = None
    event_ms: int | None = None


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask, with the volumes there. `time_ms` is None where the exchange sends none (Binance spot)."""

    symbol: str
    bid: Decimal
    ask: Decimal
    bid_volume: Decimal
    ask_volume: Decimal
    time_ms: int | None = None
    update_id: int | None = None


class Candle(msgspec.Struct, frozen=True, gc=False):
    """A candle as the exchange sends it. `closed` is None where the exchange has no such flag (Hyperliquid).

    `open_ms` is its open time, `end_ms` the open time of the next one. `first_trade_id` and `last_trade_id` are None where
    the exchange does not say, and where the candle had no trade.
    """

    symbol: str
    interval: str
    open_ms: int
    end_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    num_trades: int | None
    closed: bool | None
    first_trade_id: int | None = None
    last_trade_id: int | None = None
    event_ms: int | None = None


class Funding(msgspec.Struct, frozen=True, gc=False):
    """A perpetual's funding rate and prices. What the exchange does not say is None; `time_ms` None means "now"."""

    symbol: str
    funding_rate: Decimal
    premium: Decimal | None = None
    mark_price: Decimal | None = None
    index_price: Decimal | None = None
    oracle_price: Decimal | None = None
    mid_price: Decimal | None = None
    next_funding_ms: int | None = None
    time_ms: int | None = None


class OpenInterest(msgspec.Struct, frozen=True, gc=False):
    """A perpetual's open interest, in coins, and the day's volumes. `time_ms` None means "now"."""

    symbol: str
    open_interest: Decimal
    notional_value: Decimal | None = None
    day_base_volume: Decimal | None = None
    day_notional_volume: Decimal | None = None
    time_ms: int | None = None


ControlKind = Literal["subscribed", "unsubscribed", "heartbeat", "error", "shutdown"]


class Control(msgspec.Struct, frozen=True, gc=False):
    """About the connection, not the market.

    `heartbeat`: the exchange is alive; `time_ms` is its time, where it says so. `error`: it refused something; `text` says what. `shutdown`: it will cut this
    connection soon, so connect another one now.
    """

    kind: ControlKind
    text: str = ""
    time_ms: int | None = None


Event = Trade | Quote | Candle | Funding | OpenInterest | Control
