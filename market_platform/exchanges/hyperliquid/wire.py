"""Hyperliquid's messages and REST bodies to events. Pure: no I/O, no clock.

A message is `{"channel": …, "data": …}`. Prices and sizes are strings; what an illiquid coin does not have (premium, mid
price) is null. A candle has no closed flag. The first line of a connection is a greeting that is no JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Control, Event, Funding, OpenInterest, Trade
from market_platform.domain.intervals import INTERVALS
from market_platform.exchanges.wire_checks import (
    IdNumber,
    MsNumber,
    NumberText,
    SignedText,
    SymbolText,
    candle_end,
    check_range,
    decode_wire,
    price,
)

_GREETINGS = ("Websocket connection established.", b"Websocket connection established.")
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


class _Message(msgspec.Struct, gc=False):
    channel: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Candle(msgspec.Struct, gc=False):
    t: MsNumber
    T: MsNumber
    s: SymbolText
    i: str
    o: NumberText
    h: NumberText
    l: NumberText  # noqa: E741
    c: NumberText
    v: NumberText
    n: IdNumber


class _Trade(msgspec.Struct, gc=False):
    coin: SymbolText
    side: Literal["A", "B"]
    px: NumberText
    sz: NumberText
    time: MsNumber
    tid: IdNumber


class _Context(msgspec.Struct, rename="camel", gc=False):
    funding: SignedText | None
    open_interest: NumberText | None
    premium: SignedText | None = None
    mark_px: NumberText | None = None
    mid_px: NumberText | None = None
    oracle_px: NumberText | None = None
    day_base_vlm: NumberText | None = None
    day_ntl_vlm: NumberText | None = None


class _CoinContext(msgspec.Struct, gc=False):
    coin: SymbolText
    ctx: _Context


class _Asked(msgspec.Struct, gc=False):
    type: str
    coin: str | None = None
    interval: str | None = None


class _Response(msgspec.Struct, gc=False):
    method: Literal["subscribe", "unsubscribe"]
    subscription: _Asked


class _Market(msgspec.Struct, rename="camel", gc=False):
    name: SymbolText
    is_delisted: bool = False


class _Meta(msgspec.Struct, gc=False):
    universe: list[_Market]


_messages = msgspec.json.Decoder(_Message)
_candles = msgspec.json.Decoder(_Candle)
_snapshots = msgspec.json.Decoder(list[_Candle])
_trades = msgspec.json.Decoder(list[_Trade])
_contexts = msgspec.json.Decoder(_CoinContext)
_responses = msgspec.json.Decoder(_Response)
_texts = msgspec.json.Decoder(str)
_metas = msgspec.json.Decoder(_Meta)


def subscription_name(kind: str, coin: str | None = None, interval: str | None = None) -> str:
    """How a subscription is called here: `candle:BTC:1m`, `trades:BTC`."""
    return ":".join(part for part in (kind, coin, interval) if part)


def parse_message(raw: bytes | str) -> Sequence[Event]:
    """The events of one message of the stream; none for what is known and of no interest.

    Raises:
        BadPayloadError: it is not what the documentation says; names channel and field.
    """
    if raw in _GREETINGS:
        return ()
    message = decode_wire(_messages, raw, "hyperliquid")
    parse = _CHANNELS.get(message.channel)
    if parse is not None:
        return parse(message.data)
    if message.channel in OTHER_CHANNELS:
        return ()
    raise BadPayloadError(f"hyperliquid: unknown channel {message.channel[:60]!r}")


def parse_snapshot(body: bytes, coin: str, interval: str) -> list[Candle]:
    """The candles of a candleSnapshot, in the answer's order.

    Raises:
        BadPayloadError: one is wrong, or is of another coin or interval.
    """
    what = f"hyperliquid candleSnapshot {coin} {interval}"
    candles: list[Candle] = []
    for wire in decode_wire(_snapshots, body, what):
        if (wire.s, wire.i) != (coin, interval):
            raise BadPayloadError(f"{what}: s and i are {wire.s} {wire.i[:20]!r}: a candle of another series")
        candles.append(_candle(wire, what))
    return candles


def parse_meta(body: bytes) -> dict[str, bool]:
    """Every perpetual's name, in the spelling of subscriptions, and whether it is traded (not delisted).

    Raises:
        BadPayloadError: the body is wrong.
    """
    return {market.name: not market.is_delisted for market in decode_wire(_metas, body, "hyperliquid meta").universe}


def _parse_candle(data: msgspec.Raw) -> Sequence[Event]:
    wire = decode_wire(_candles, data, "hyperliquid candle")
    if wire.i in OTHER_INTERVALS:
        return ()
    return (_candle(wire, f"hyperliquid candle {wire.s}"),)


def _candle(wire: _Candle, what: str) -> Candle:
    if wire.i not in _INTERVALS:
        raise BadPayloadError(f"{what}: i is {wire.i[:20]!r}, which is no interval")
    end = candle_end(wire.t, wire.i, what)
    if end != wire.T + 1:
        raise BadPayloadError(f"{what}: T is {wire.T}, but a candle of {wire.i} from {wire.t} ends at {end - 1}")
    prices = (price(wire.o, "o", what), price(wire.h, "h", what), price(wire.l, "l", what), price(wire.c, "c", what))
    check_range(prices, what)
    return Candle(
        symbol=wire.s,
        interval=wire.i,
        open_ms=wire.t,
        end_ms=end,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=Decimal(wire.v),
        num_trades=wire.n,
        closed=None,
    )


def _parse_trades(data: msgspec.Raw) -> Sequence[Event]:
    return [_trade(wire) for wire in decode_wire(_trades, data, "hyperliquid trades")]


def _trade(wire: _Trade) -> Trade:
    what = f"hyperliquid trades {wire.coin} {wire.tid}"
    quantity = Decimal(wire.sz)
    if not quantity:
        raise BadPayloadError(f"{what}: sz is {wire.sz}: a trade of nothing")
    return Trade(
        symbol=wire.coin,
        trade_id=wire.tid,
        price=price(wire.px, "px", what),
        quantity=quantity,
        side="buy" if wire.side == "B" else "sell",
        time_ms=wire.time,
    )


def _parse_context(data: msgspec.Raw) -> Sequence[Event]:
    """Funding rate and open interest; either is left out when it is null."""
    wire = decode_wire(_contexts, data, "hyperliquid activeAssetCtx")
    what, ctx = f"hyperliquid activeAssetCtx {wire.coin}", wire.ctx
    events: list[Event] = []
    if ctx.funding is not None:
        events.append(
            Funding(
                symbol=wire.coin,
                funding_rate=Decimal(ctx.funding),
                premium=_number(ctx.premium),
                mark_price=None if ctx.mark_px is None else price(ctx.mark_px, "markPx", what),
                oracle_price=None if ctx.oracle_px is None else price(ctx.oracle_px, "oraclePx", what),
                mid_price=None if ctx.mid_px is None else price(ctx.mid_px, "midPx", what),
            )
        )
    if ctx.open_interest is not None:
        events.append(
            OpenInterest(
                symbol=wire.coin,
                open_interest=Decimal(ctx.open_interest),
                day_base_volume=_number(ctx.day_base_vlm),
                day_notional_volume=_number(ctx.day_ntl_vlm),
            )
        )
    return events


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _parse_response(data: msgspec.Raw) -> Sequence[Event]:
    wire = decode_wire(_responses, data, "hyperliquid subscriptionResponse")
    asked = wire.subscription
    name = subscription_name(asked.type, asked.coin, asked.interval)
    return (Control("subscribed" if wire.method == "subscribe" else "unsubscribed", name),)


def _parse_error(data: msgspec.Raw) -> Sequence[Event]:
    return (Control("error", decode_wire(_texts, data, "hyperliquid error")),)


def _parse_pong(_data: msgspec.Raw) -> Sequence[Event]:
    return (Control("heartbeat"),)


_INTERVALS = frozenset(interval.name for interval in INTERVALS)
_CHANNELS: dict[str, Callable[[msgspec.Raw], Sequence[Event]]] = {
    "candle": _parse_candle,
    "trades": _parse_trades,
    "activeAssetCtx": _parse_context,
    "subscriptionResponse": _parse_response,
    "error": _parse_error,
    "pong": _parse_pong,
}
