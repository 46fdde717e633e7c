"""Binance's messages, their shape already checked, to events: whether their numbers make sense together.

Belongs here: exact amounts, times, and the sanity of one message. Does not: which message it is (parse), shapes (messages),
what a series of them must be like (rest, and the streamer).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from market_platform.domain.errors import BadPayloadError, BadRequestError
from market_platform.domain.events import Candle, Funding, OpenInterest, Quote, Trade
from market_platform.domain.intervals import bucket_end, bucket_start, parse_interval
from market_platform.exchanges.binance.messages import (
    FIRST_MS,
    LAST_MS,
    AggTradeData,
    BookTickerData,
    KlineData,
    MarkPriceData,
    OpenInterestData,
    TradeData,
)

_PLAIN = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40})?").fullmatch
_HIGHEST_RATE = Decimal(1)
_LEAST, _MOST = Decimal("1e-20"), Decimal("1e20")
"""No price or quantity is beyond these; they keep out infinity and exponents that no column holds."""
_DIGITS = 40


def trade_event(data: TradeData) -> Trade:
    """A single trade.

    Raises:
        BadPayloadError: its price or quantity makes no sense.
    """
    price, quantity = data.p, data.q
    try:
        sound = _LEAST <= price <= _MOST and _LEAST <= quantity <= _MOST
    except InvalidOperation:  # NaN
        sound = False
    if not sound:
        _refuse("trade", data.s, f"p (price) {price} or q (quantity) {quantity} is not above 0, or no number")
    time, event = data.T, data.E
    if time > LAST_MS:
        time = milliseconds(time)
    if event is not None and event > LAST_MS:
        event = milliseconds(event)
    return Trade(data.s, data.t, price, quantity, "sell" if data.m else "buy", time, None, None, event)


def agg_trade_event(data: AggTradeData) -> Trade:
    """The trades of one order at one price.

    Raises:
        BadPayloadError: its price, quantity or ids make no sense.
    """
    price, quantity = data.p, data.q
    try:
        sound = _LEAST <= price <= _MOST and _LEAST <= quantity <= _MOST
    except InvalidOperation:  # NaN
        sound = False
    if not sound:
        _refuse("aggTrade", data.s, f"p (price) {price} or q (quantity) {quantity} is not above 0, or no number")
    if data.l < data.f:
        _refuse("aggTrade", data.s, f"l (last trade) {data.l} is before f (first trade) {data.f}")
    time, event = data.T, data.E
    if time > LAST_MS:
        time = milliseconds(time)
    if event is not None and event > LAST_MS:
        event = milliseconds(event)
    return Trade(data.s, data.a, price, quantity, "sell" if data.m else "buy", time, data.f, data.l, event)


def quote_event(data: BookTickerData) -> Quote:
    """The best bid and ask.

    Raises:
        BadPayloadError: a price is 0, or they cross.
    """
    bid, ask, bid_volume, ask_volume = data.b, data.a, data.B, data.A
    try:
        sound = _LEAST <= bid <= ask <= _MOST and _LEAST <= bid_volume <= _MOST and _LEAST <= ask_volume <= _MOST
    except InvalidOperation:  # NaN
        sound = False
    if not sound:
        _check_quote(data)
    time = data.T
    if time is not None and time > LAST_MS:
        time = milliseconds(time)
    return Quote(data.s, bid, ask, bid_volume, ask_volume, time, data.u)


def candle_event(data: KlineData) -> Candle:
    """A candle, closed or forming.

    Raises:
        BadPayloadError: its times are not those of its interval, its prices contradict each other, or its trades do.
    """
    k = data.k
    prices = kline_amounts(data.s, (k.o, k.h, k.l, k.c, k.v))
    start, end = kline_times(data.s, k.i, k.t, k.T)
    first: int | None = k.f
    last: int | None = k.L
    if k.n == 0:
        first = last = None
        if prices[4]:
            _refuse("kline", data.s, f"v (volume) is {k.v} and n (trades) 0")
    elif k.f < 0 or k.n > k.L - k.f + 1:
        _refuse("kline", data.s, f"n (trades) {k.n} is more than from f {k.f} to L {k.L}")
    event = None if data.E is None else milliseconds(data.E)
    return Candle(data.s, k.i, start, end, *prices, k.n, k.x, first, last, event)


def funding_event(data: MarkPriceData) -> Funding | None:
    """A perpetual's funding rate and prices; None for contracts without funding. An index price of 0 is none.

    Raises:
        BadPayloadError: the rate is no rate, or a price no price.
    """
    if not data.r:
        return None
    rate = data.r.removeprefix("-")
    for name, text in (("p (mark price)", data.p), ("i (index price)", data.i or "0"), ("r (funding rate)", rate)):
        if _PLAIN(text) is None:
            _refuse("markPriceUpdate", data.s, f"{name} {text[:60]!r} is not a plain decimal number")
    mark, index = Decimal(data.p), Decimal(data.i or 0)
    if Decimal(rate) > _HIGHEST_RATE:
        _refuse("markPriceUpdate", data.s, f"r (funding rate) {data.r} is beyond 100 %")
    if not mark:
        _refuse("markPriceUpdate", data.s, f"p (mark price) {mark} is 0")
    return Funding(
        symbol=data.s,
        funding_rate=Decimal(data.r),
        mark_price=mark,
        index_price=index or None,
        next_funding_ms=milliseconds(data.T) if data.T else None,
        time_ms=milliseconds(data.E),
    )


def open_interest_event(data: OpenInterestData) -> OpenInterest:
    """A perpetual's open interest, in coins.

    Raises:
        BadPayloadError: it is no amount.
    """
    if _PLAIN(data.open_interest) is None:
        _refuse("openInterest", data.symbol, f"{data.open_interest[:60]!r} is not a plain decimal number")
    return OpenInterest(data.symbol, Decimal(data.open_interest), time_ms=milliseconds(data.time))


def kline_amounts(
    symbol: str, texts: tuple[str, str, str, str, str]
) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
    """Open, high, low, close and volume of a candle, from their texts.

    Raises:
        BadPayloadError: one is no amount, or the prices contradict each other.
    """
    for name, text in zip("ohlcv", texts, strict=True):
        if _PLAIN(text) is None:
            _refuse("kline", symbol, f"{name} {text[:60]!r} is not a plain decimal number of at least 0")
    opening, high, low, close, volume = map(Decimal, texts)
    if not low:
        _refuse("kline", symbol, "l (low) is 0")
    if not (low <= opening <= high and low <= close <= high):
        _refuse("kline", symbol, f"o {opening}, h {high}, l {low}, c {close} contradict each other")
    return opening, high, low, close, volume


def kline_times(symbol: str, interval_name: str, opening: int, closing: int) -> tuple[int, int]:
    """Open time of a candle and of the next one, in ms, from its own first and last moment.

    Raises:
        BadPayloadError: the interval is unknown, or its buckets do not begin and end there.
    """
    try:
        interval = parse_interval(interval_name)
    except BadRequestError as error:
        raise BadPayloadError(f"kline {symbol}: i (interval): {error}") from None
    unit = 1000 if opening > LAST_MS else 1
    start = milliseconds(opening)
    if opening % unit or bucket_start(start, interval) != start:
        _refuse("kline", symbol, f"t (open) {opening} is not on the grid of {interval_name}")
    end = bucket_end(start, interval)
    if closing != end * unit - 1:
        _refuse("kline", symbol, f"T (end) {closing} is not the end of the {interval_name} that opens at t {opening}")
    return start, end


def milliseconds(time: int) -> int:
    """A time in ms, from ms or µs: which of them shows in its size.

    Raises:
        BadPayloadError: it is before 2009 in either.
    """
    if time > LAST_MS:
        time //= 1000
    if time < FIRST_MS:
        raise BadPayloadError(f"time {time} is neither milliseconds nor microseconds since 1970")
    return time


def _check_quote(data: BookTickerData) -> None:
    """Say what is wrong with a quote, if it is more than that nobody bids or asks: volumes may be 0.

    Raises:
        BadPayloadError: naming the field.
    """
    for name, value in (("b (bid)", data.b), ("a (ask)", data.a)):
        if not value.is_finite() or not _LEAST <= value <= _MOST:
            _refuse("bookTicker", data.s, f"{name} {value} is no price")
    if data.b > data.a:
        _refuse("bookTicker", data.s, f"b (bid) {data.b} and a (ask) {data.a} are crossed")
    for name, value in (("B (bid volume)", data.B), ("A (ask volume)", data.A)):
        exponent = value.as_tuple().exponent
        if not isinstance(exponent, int) or (value and not _LEAST <= value <= _MOST) or abs(exponent) > _DIGITS:
            _refuse("bookTicker", data.s, f"{name} {value} is no volume")


def _refuse(message: str, symbol: str, reason: str) -> NoReturn:
    raise BadPayloadError(f"{message} {symbol}: {reason}")
