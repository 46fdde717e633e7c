"""The bodies of Binance's REST answers to events. Pure: bytes in, rows out.

Belongs here: shapes of answers, and the sanity of their rows. Does not: which pages to ask for and how they fit (rest).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

import msgspec

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, OpenInterest, Trade
from market_platform.domain.intervals import Interval
from market_platform.exchanges.binance.convert import (
    agg_trade_event,
    kline_amounts,
    kline_times,
    milliseconds,
    open_interest_event,
)
from market_platform.exchanges.binance.messages import (
    AggTradeData,
    Id,
    OpenInterestData,
    Symbol,
    Time,
)

Shape = TypeVar("Shape")


class KlineRow(msgspec.Struct, array_like=True, gc=False):
    """A candle of `/klines`; what follows the number of trades is of no use to us."""

    opens: Time
    open: str
    high: str
    low: str
    close: str
    volume: str
    ends: Time
    quote_volume: str
    trades: Id


class AggTradeRow(msgspec.Struct, gc=False):
    """A trade of `/aggTrades`: like the stream's, without the symbol."""

    a: Id
    p: Decimal
    q: Decimal
    f: Id
    l: Id  # noqa: E741  Binance's name
    T: Time
    m: bool


class _ServerTime(msgspec.Struct):
    server_time: Time = msgspec.field(name="serverTime")


class _SymbolInfo(msgspec.Struct):
    symbol: Symbol


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_SymbolInfo]


_klines = msgspec.json.Decoder(list[KlineRow])
_agg_trades = msgspec.json.Decoder(list[AggTradeRow])
_time = msgspec.json.Decoder(_ServerTime)
_info = msgspec.json.Decoder(_ExchangeInfo)
_open_interest = msgspec.json.Decoder(OpenInterestData)


def candles_of(symbol: str, interval: Interval, body: bytes) -> list[Candle]:
    """The candles of a page, in its order, all marked closed; the caller knows which of them may not be yet.

    Raises:
        BadPayloadError: it is no such page, or a candle makes no sense.
    """
    return [_candle(symbol, interval, row) for row in decoded(_klines, body)]


def amounts_of(symbol: str, row: KlineRow) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
    """Open, high, low, close and volume of a candle.

    Raises:
        BadPayloadError: they make no sense.
    """
    return kline_amounts(symbol, (row.open, row.high, row.low, row.close, row.volume))


def agg_trades_of(symbol: str, body: bytes) -> list[Trade]:
    """The trades of a page, in its order.

    Raises:
        BadPayloadError: it is no such page, or a trade makes no sense.
    """
    return [
        agg_trade_event(AggTradeData(symbol, row.a, row.p, row.q, row.f, row.l, row.T, row.m))
        for row in decoded(_agg_trades, body)
    ]


def open_interest_of(body: bytes) -> OpenInterest:
    """The open interest of a contract.

    Raises:
        BadPayloadError: it is none.
    """
    return open_interest_event(decoded(_open_interest, body))


def server_time_of(body: bytes) -> int:
    """What Binance's clock says, in ms.

    Raises:
        BadPayloadError: it is no time.
    """
    return milliseconds(decoded(_time, body).server_time)


def symbols_of(body: bytes) -> frozenset[str]:
    """Every symbol of `/exchangeInfo`, trading or not.

    Raises:
        BadPayloadError: it lists none.
    """
    return frozenset(each.symbol for each in decoded(_info, body).symbols)


def _candle(symbol: str, interval: Interval, row: KlineRow) -> Candle:
    start, end = kline_times(symbol, interval.name, row.opens, row.ends)
    return Candle(symbol, interval.name, start, end, *amounts_of(symbol, row), row.trades, closed=True)


def decoded(decoder: msgspec.json.Decoder[Shape], body: bytes) -> Shape:
    """The body in that shape.

    Raises:
        BadPayloadError: it is of another.
    """
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadPayloadError(str(error)) from None
