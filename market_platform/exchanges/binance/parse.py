"""Which of Binance's stream messages it is, read once, into events. Pure: no I/O, no clock, no state.

Belongs here: telling messages apart. Does not: their shapes (messages), whether their numbers make sense (convert), what
to subscribe to (dialect). What a message of a combined connection is shows in the name of its stream, in its first bytes,
so it is read by one decoder, once; only messages that are something else are looked at twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Control, Event
from market_platform.exchanges.binance.convert import (
    agg_trade_event,
    candle_event,
    funding_event,
    quote_event,
    trade_event,
)
from market_platform.exchanges.binance.messages import (
    UNSUBSCRIBE_ID,
    AggTradeData,
    BookTickerData,
    Combined,
    CombinedAggTrade,
    CombinedBookTicker,
    CombinedKline,
    CombinedMarkPrice,
    CombinedTrade,
    KlineData,
    MarkPriceData,
    Probe,
    TradeData,
)

NOTHING: tuple[Event, ...] = ()
LONGEST = 4096
"""Bytes of a message that has events, generously; bounds the digits of an amount, too."""
_IGNORED = frozenset({"depthUpdate", "24hrTicker", "24hrMiniTicker", "avgPrice", "forceOrder"})

_Decode = Callable[[bytes | msgspec.Raw], Any]
_Make = Callable[[Any], Event | None]

_BY_STREAM: dict[int, tuple[_Decode, _Make]] = {
    ord("a"): (msgspec.json.Decoder(CombinedAggTrade).decode, agg_trade_event),
    ord("b"): (msgspec.json.Decoder(CombinedBookTicker).decode, quote_event),
    ord("k"): (msgspec.json.Decoder(CombinedKline).decode, candle_event),
    ord("m"): (msgspec.json.Decoder(CombinedMarkPrice).decode, funding_event),
    ord("t"): (msgspec.json.Decoder(CombinedTrade).decode, trade_event),
}
"""How to read a message of a combined connection, by the first letter of what its stream is of."""


def parse(raw: bytes) -> Sequence[Event]:
    """The events of one message; none for messages that are known and of no interest.

    Order books are of no interest and are not even read.

    Raises:
        BadPayloadError: naming the message and the field that is wrong.
    """
    try:
        at = raw.find(b"@") + 1  # the first byte of all, where there is no @
        known = _BY_STREAM.get(raw[at])
        if known is None or len(raw) > LONGEST:
            return NOTHING if raw.startswith(b"depth", at) else _parse_other(raw)
        decode, make = known
        event = make(decode(raw).data)
        return NOTHING if event is None else (event,)
    except msgspec.ValidationError:
        return _parse_other(raw)  # a stream of another kind with that letter; or it names the field
    except (ValueError, IndexError, RecursionError) as error:
        raise BadPayloadError(f"not a message of Binance: {type(error).__name__} {error}") from None


_combined = msgspec.json.Decoder(Combined).decode
_probe = msgspec.json.Decoder(Probe).decode

_BY_TYPE: dict[str, tuple[_Decode, _Make]] = {
    "aggTrade": (msgspec.json.Decoder(AggTradeData).decode, agg_trade_event),
    "bookTicker": (msgspec.json.Decoder(BookTickerData).decode, quote_event),
    "kline": (msgspec.json.Decoder(KlineData).decode, candle_event),
    "markPriceUpdate": (msgspec.json.Decoder(MarkPriceData).decode, funding_event),
    "trade": (msgspec.json.Decoder(TradeData).decode, trade_event),
    "serverShutdown": (_probe, lambda _data: Control("shutdown", "Binance is about to cut this connection")),
}


def _parse_other(raw: bytes) -> Sequence[Event]:
    """Messages of a raw connection, answers to our requests, and everything about the connection itself.

    Raises:
        BadPayloadError: as `parse`.
    """
    what, data = "message", msgspec.Raw(raw)
    try:
        probe = _probe(raw)
        if probe.stream is not UNSET:
            combined = _combined(raw)
            what, data = combined.stream[:60], combined.data
            probe = _probe(data)
        kind = probe.e
        if kind is UNSET and probe.u is not UNSET:
            kind = "bookTicker"
        return _control(probe, raw) if kind is UNSET else _of_type(kind, data)
    except (ValueError, RecursionError) as error:
        raise BadPayloadError(f"{what}: {error}") from None


def _of_type(kind: str, data: msgspec.Raw) -> Sequence[Event]:
    if kind in _IGNORED:
        return NOTHING
    known = _BY_TYPE.get(kind)
    if known is None:
        raise BadPayloadError(f"e (type) {kind[:60]!r} is not what we ask for")
    if len(bytes(data)) > LONGEST:
        raise BadPayloadError(f"a {kind} of more than {LONGEST} bytes")
    decode, make = known
    event = make(decode(data))
    return NOTHING if event is None else (event,)


def _control(probe: Probe, raw: bytes) -> Sequence[Event]:
    """Answers to requests, and the REST depth snapshot that recordings hold.

    Raises:
        BadPayloadError: it is neither.
    """
    if probe.last_update_id is not UNSET:
        return NOTHING
    if probe.error is not UNSET or probe.code is not UNSET:
        told = probe.error if probe.error is not UNSET else {"code": probe.code, "msg": probe.msg or ""}
        return (Control("error", f"request {probe.id or '?'}: {msgspec.json.encode(told).decode()[:500]}"),)
    if probe.result is None and isinstance(probe.id, int):
        return (Control("unsubscribed" if probe.id >= UNSUBSCRIBE_ID else "subscribed", str(probe.id)),)
    if probe.result is not UNSET:
        return NOTHING
    raise BadPayloadError(f"a message of no known kind: {raw[:80].decode(errors='replace')}")
