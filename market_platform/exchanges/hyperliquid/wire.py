"""Hyperliquid's messages and REST bodies to events. Pure: no I/O, no clock.

A message is `{"channel": …, "data": …}`. A candle has no closed flag. Funding rate and open interest come in one message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Control, Event, Funding, OpenInterest, Trade
from market_platform.domain.intervals import INTERVALS, MINUTE_MS
from market_platform.exchanges.hyperliquid import messages
from market_platform.exchanges.wire_checks import candle_end, check_range, decode_wire, price


def subscription_name(kind: str, coin: str | None = None, interval: str | None = None) -> str:
    """How a subscription is called here: `candle:BTC:1m`, `trades:BTC`."""
    return ":".join(part for part in (kind, coin, interval) if part)


def parse_message(raw: bytes | str) -> Sequence[Event]:
    """The events of one message of the stream; none for what is known and of no interest.

    Raises:
        BadPayloadError: it is not what the documentation says; names channel and field.
    """
    if raw in messages.GREETINGS:
        return ()
    message = decode_wire(messages.MESSAGES, raw, "hyperliquid")
    parse = _CHANNELS.get(message.channel)
    if parse is not None:
        return parse(message.data)
    if message.channel in messages.OTHER_CHANNELS:
        return ()
    raise BadPayloadError(f"hyperliquid: unknown channel {message.channel[:60]!r}")


def parse_snapshot(body: bytes, coin: str, interval: str) -> list[Candle]:
    """The candles of a candleSnapshot, in the answer's order.

    Raises:
        BadPayloadError: one is wrong, or is of another coin or interval.
    """
    what = f"hyperliquid candleSnapshot {coin} {interval}"
    candles: list[Candle] = []
    for wire in decode_wire(messages.SNAPSHOTS, body, what):
        if (wire.s, wire.i) != (coin, interval):
            raise BadPayloadError(f"{what}: s and i are {wire.s} {wire.i[:20]!r}: a candle of another series")
        candles.append(_candle(wire, what))
    return candles


def parse_fundings(body: bytes, coin: str) -> list[Funding]:
    """The rates of a fundingHistory, in the answer's order, each with the minute it was paid in as its time.

    Raises:
        BadPayloadError: one is wrong, or is of another coin.
    """
    what = f"hyperliquid fundingHistory {coin}"
    fundings: list[Funding] = []
    for wire in decode_wire(messages.FUNDINGS, body, what):
        if wire.coin != coin:
            raise BadPayloadError(f"{what}: coin is {wire.coin}: a rate of another coin")
        time_ms = wire.time - wire.time % MINUTE_MS
        fundings.append(Funding(coin, Decimal(wire.funding_rate), _number(wire.premium), time_ms=time_ms))
    return fundings


def parse_meta(body: bytes) -> dict[str, bool]:
    """Every perpetual's name, in the spelling of subscriptions, and whether it is traded (not delisted).

    Raises:
        BadPayloadError: the body is wrong.
    """
    return {
        market.name: not market.is_delisted for market in decode_wire(messages.METAS, body, "hyperliquid meta").universe
    }


def parse_book_time(body: bytes) -> int:
    """When the exchange's clock had an order book, in ms: its present time.

    Raises:
        BadPayloadError: the body is wrong.
    """
    return decode_wire(messages.BOOKS, body, "hyperliquid l2Book").time


def _parse_candle(data: msgspec.Raw) -> Sequence[Event]:
    wire = decode_wire(messages.CANDLES, data, "hyperliquid candle")
    if wire.i in messages.OTHER_INTERVALS:
        return ()
    return (_candle(wire, f"hyperliquid candle {wire.s}"),)


def _candle(wire: messages.CandleData, what: str) -> Candle:
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
    return [_trade(wire) for wire in decode_wire(messages.TRADES, data, "hyperliquid trades")]


def _trade(wire: messages.TradeData) -> Trade:
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
    wire = decode_wire(messages.CONTEXTS, data, "hyperliquid activeAssetCtx")
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
    wire = decode_wire(messages.RESPONSES, data, "hyperliquid subscriptionResponse")
    asked = wire.subscription
    name = subscription_name(asked.type, asked.coin, asked.interval)
    return (Control("subscribed" if wire.method == "subscribe" else "unsubscribed", name),)


def _parse_error(data: msgspec.Raw) -> Sequence[Event]:
    return (Control("error", decode_wire(messages.TEXTS, data, "hyperliquid error")),)


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
