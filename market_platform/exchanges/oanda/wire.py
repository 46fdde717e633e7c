"""OANDA's stream lines and REST bodies to events. Pure: no I/O, no clock.

A line is a PRICE or a HEARTBEAT. Prices are strings, liquidity is a number; books are not always best-first. Times are
RFC 3339 with up to nine digits of a second, or UNIX seconds with a fraction; both are cut to milliseconds. A candle's
`volume` is the number of prices in it: OANDA knows no traded volume.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from market_platform.domain.clock import to_ms
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Control, Event, Quote
from market_platform.exchanges.wire_checks import (
    IdNumber,
    NumberText,
    SymbolText,
    candle_end,
    check_not_crossed,
    check_range,
    decode_wire,
    price,
)

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII)
_UNIX = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?", re.ASCII)
_MOST_LIQUIDITY = Decimal(10) ** 18
_LEAST_EXPONENT = -18


class _Level(msgspec.Struct, gc=False):
    price: NumberText
    liquidity: Decimal


class _Price(msgspec.Struct, tag_field="type", tag="PRICE", gc=False):
    time: str
    instrument: SymbolText
    bids: list[_Level]
    asks: list[_Level]
    status: str | None = None
    tradeable: bool | None = None


class _Heartbeat(msgspec.Struct, tag_field="type", tag="HEARTBEAT", gc=False):
    time: str


class _Refusal(msgspec.Struct, rename="camel", gc=False):
    error_message: str


class _Prices(msgspec.Struct, gc=False):
    o: NumberText
    h: NumberText
    l: NumberText  # noqa: E741
    c: NumberText


class _Candle(msgspec.Struct, gc=False):
    time: str
    volume: IdNumber
    complete: bool
    mid: _Prices


class _Candles(msgspec.Struct, gc=False):
    instrument: str
    granularity: str
    candles: list[_Candle]


class _Instrument(msgspec.Struct, gc=False):
    name: SymbolText


class _Instruments(msgspec.Struct, gc=False):
    instruments: list[_Instrument]


_lines: msgspec.json.Decoder[_Price | _Heartbeat] = msgspec.json.Decoder(_Price | _Heartbeat)
_refusals = msgspec.json.Decoder(_Refusal)
_candles = msgspec.json.Decoder(_Candles)
_instruments = msgspec.json.Decoder(_Instruments)


def parse_line(raw: bytes | str) -> Sequence[Event]:
    """The events of one line of the stream; none for a blank one, a closed market and a one-sided book.

    Raises:
        BadPayloadError: it is not what the documentation says; names the field.
    """
    if not raw.strip():
        return ()
    try:
        line = decode_wire(_lines, raw, "oanda stream")
    except BadPayloadError:
        told = refusal(raw)
        if told is None:
            raise
        return (Control("error", told),)
    if isinstance(line, _Heartbeat):
        return (Control("heartbeat", time_ms=time_ms(line.time, "oanda HEARTBEAT")),)
    quote = _quote(line)
    return () if quote is None else (quote,)


def refusal(raw: bytes | str) -> str | None:
    """What an `{"errorMessage": …}` says; None when it is something else."""
    try:
        return _refusals.decode(raw).error_message
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def parse_candles(body: bytes, instrument: str, granularity: str, interval: str) -> tuple[list[Candle], list[int]]:
    """The complete candles of an answer, in its order, and the open times of those not complete yet.

    `num_trades` is the number of prices; `volume` is the same number, because that is what OANDA's `volume` is.

    Raises:
        BadPayloadError: one is wrong, or the answer is of another instrument or granularity.
    """
    what = f"oanda candles {instrument} {granularity}"
    answer = decode_wire(_candles, body, what)
    if (answer.instrument, answer.granularity) != (instrument, granularity):
        raise BadPayloadError(
            f"{what}: instrument and granularity are {answer.instrument[:40]!r} {answer.granularity[:10]!r}"
        )
    complete: list[Candle] = []
    forming: list[int] = []
    for wire in answer.candles:
        if wire.complete:
            complete.append(_candle(wire, instrument, interval, what))
        else:
            forming.append(time_ms(wire.time, what))
    return complete, forming


def parse_instruments(body: bytes) -> frozenset[str]:
    """The names of an account's instruments.

    Raises:
        BadPayloadError: the body is wrong.
    """
    return frozenset(each.name for each in decode_wire(_instruments, body, "oanda instruments").instruments)


def time_ms(text: str, what: str) -> int:
    """Milliseconds since the epoch, cut, of either format.

    Raises:
        BadPayloadError: it is neither, or no such day or hour exists.
    """
    if match := _RFC3339.fullmatch(text):
        try:
            second = to_ms(datetime.fromisoformat(f"{match[1]}+00:00"))
        except ValueError as error:
            raise BadPayloadError(f"{what}: time {text!r}: {error}") from None
    elif match := _UNIX.fullmatch(text):
        second = int(match[1]) * 1000
    else:
        raise BadPayloadError(f"{what}: time {text[:60]!r} is neither RFC 3339 in UTC nor UNIX seconds")
    return second + int((match[2] or "0").ljust(3, "0")[:3])


def _quote(line: _Price) -> Quote | None:
    what = f"oanda PRICE {line.instrument}"
    moment = time_ms(line.time, what)
    bids, asks = _levels(line.bids, "bids", what), _levels(line.asks, "asks", what)
    if line.tradeable is False or line.status not in (None, "tradeable") or not bids or not asks:
        return None
    (bid, bid_volume), (ask, ask_volume) = max(bids), min(asks, key=lambda level: (level[0], -level[1]))
    check_not_crossed(bid, ask, what)
    return Quote(line.instrument, bid, ask, bid_volume, ask_volume, time_ms=moment)


def _levels(levels: list[_Level], side: str, what: str) -> list[tuple[Decimal, Decimal]]:
    """Price and liquidity of each level, checked."""
    for level in levels:
        amount = level.liquidity
        exponent = amount.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < _LEAST_EXPONENT or not 0 <= amount < _MOST_LIQUIDITY:
            raise BadPayloadError(f"{what}: liquidity of {side} is {str(amount)[:40]}")
    return [(price(level.price, f"price of {side}", what), level.liquidity) for level in levels]


def _candle(wire: _Candle, instrument: str, interval: str, what: str) -> Candle:
    open_ms, mid = time_ms(wire.time, what), wire.mid
    prices = (price(mid.o, "o", what), price(mid.h, "h", what), price(mid.l, "l", what), price(mid.c, "c", what))
    check_range(prices, what)
    return Candle(
        symbol=instrument,
        interval=interval,
        open_ms=open_ms,
        end_ms=candle_end(open_ms, interval, what),
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=Decimal(wire.volume),
        num_trades=wire.volume,
        closed=True,
    )
