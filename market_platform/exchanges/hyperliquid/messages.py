"""The shapes of Hyperliquid's messages and answers, and which of its channels and intervals there are.

Belongs here: one struct a message and the decoders. Does not: what the numbers mean together (wire). Amounts stay text
here; `wire` makes exact decimals of them. Fields that we have no use for are left out, and fields that are new are ignored.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from market_platform.exchanges.wire_checks import IdNumber, MsNumber, NumberText, SignedText, SymbolText

GREETINGS = ("Websocket connection established.", b"Websocket connection established.")
"""The first line of a connection, which is no JSON."""
REST_ONLY_INTERVALS = frozenset({"1w"})
"""Hyperliquid's weeks begin on Thursday, ours on Monday: they are never subscribed to, REST makes them of days."""
OTHER_INTERVALS = frozenset({"3m", "2h", "8h", "3d"})
"""Intervals that Hyperliquid has and the platform has not."""
OTHER_CHANNELS = frozenset(
    {
        "activeAssetData",
        "activeSpotAssetCtx",
        "allMids",
        "bbo",
        "clearinghouseState",
        "l2Book",
        "notification",
        "openOrders",
        "orderUpdates",
        "post",
        "twapStates",
        "user",
        "userEvents",
        "userFills",
        "userFundings",
        "userNonFundingLedgerUpdates",
        "userTwapHistory",
        "userTwapSliceFills",
        "webData2",
        "webData3",
    }
)
"""Known, documented, and never asked for."""


class Message(msgspec.Struct, gc=False):
    """Any message; what `data` is, the channel says."""

    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class CandleData(msgspec.Struct, gc=False):
    """`candle`, and a row of candleSnapshot: from `t` to `T` (included), `n` trades."""

    t: MsNumber
    T: MsNumber
    s: SymbolText
    i: str
    o: NumberText
    h: NumberText
    l: NumberText  # noqa: E741  Hyperliquid's name
    c: NumberText
    v: NumberText
    n: IdNumber


class TradeData(msgspec.Struct, gc=False):
    """One of `trades`. `side` is that of the order that took: B bought, A sold (asked)."""

    coin: SymbolText
    side: Literal["A", "B"]
    px: NumberText
    sz: NumberText
    time: MsNumber
    tid: IdNumber


class Context(msgspec.Struct, rename="camel", gc=False):
    """An asset's context; what an illiquid coin does not have is null."""

    funding: SignedText | None
    open_interest: NumberText | None
    premium: SignedText | None = None
    mark_px: NumberText | None = None
    mid_px: NumberText | None = None
    oracle_px: NumberText | None = None
    day_base_vlm: NumberText | None = None
    day_ntl_vlm: NumberText | None = None


class CoinContext(msgspec.Struct, gc=False):
    """`activeAssetCtx`."""

    coin: SymbolText
    ctx: Context


class Asked(msgspec.Struct, gc=False):
    """A subscription as it was asked for."""

    type: str
    coin: str | None = None
    interval: str | None = None


class Response(msgspec.Struct, gc=False):
    """`subscriptionResponse`."""

    method: Literal["subscribe", "unsubscribe"]
    subscription: Asked


class Market(msgspec.Struct, rename="camel", gc=False):
    """A perpetual of `meta`."""

    name: SymbolText
    is_delisted: bool = False


class FundingRow(msgspec.Struct, rename="camel", gc=False):
    """A row of fundingHistory: what an hour cost. `time` is some milliseconds after the hour."""

    coin: SymbolText
    funding_rate: SignedText
    premium: SignedText | None
    time: MsNumber


class Book(msgspec.Struct, gc=False):
    """An order book, of which only the exchange's own time is of interest, in ms."""

    coin: str
    time: int


class Meta(msgspec.Struct, gc=False):
    """The answer to `meta`."""

    universe: list[Market]


MESSAGES = msgspec.json.Decoder(Message)
CANDLES = msgspec.json.Decoder(CandleData)
SNAPSHOTS = msgspec.json.Decoder(list[CandleData])
TRADES = msgspec.json.Decoder(list[TradeData])
CONTEXTS = msgspec.json.Decoder(CoinContext)
RESPONSES = msgspec.json.Decoder(Response)
TEXTS = msgspec.json.Decoder(str)
METAS = msgspec.json.Decoder(Meta)
FUNDINGS = msgspec.json.Decoder(list[FundingRow])
BOOKS = msgspec.json.Decoder(Book)
