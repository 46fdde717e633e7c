"""The bodies of Binance's answers about the past to rows that are checked as a page. Pure: bytes in, rows out.

Belongs here: one page: its shape, its order, the window it was asked for. Does not: which pages to ask for, and how they fit
(history_candles, history_context).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn, TypeVar

import msgspec

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Funding, OpenInterest
from market_platform.domain.intervals import MINUTE_MS, Interval, bucket_end, bucket_start
from market_platform.exchanges.binance.convert import milliseconds
from market_platform.exchanges.binance.messages import Symbol, Time
from market_platform.exchanges.binance.pages import KlineRow, amounts_of, decoded
from market_platform.exchanges.wire_checks import NumberText, SignedText

Shape = TypeVar("Shape")

INTEREST_MS = 5 * MINUTE_MS
"""How often there is a reading of open interest."""
_HIGHEST_RATE = Decimal(1)
_MOST = Decimal("1e20")
_DIGITS = 18
"""What a column of the platform holds, before and after the point; beyond it polars would round without a word."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a page was asked for: rows of [start, end), in ms, no more than `limit`."""

    start_ms: int
    end_ms: int
    limit: int


@dataclass(frozen=True, slots=True)
class CandlePage:
    """Candles in order; `odd_ends` are the open times of those whose own end is not that of their bucket."""

    candles: Sequence[Candle]
    odd_ends: tuple[int, ...]


class _FundingRow(msgspec.Struct, gc=False):
    """`markPrice` is empty, or missing, in years of which Binance does not have it."""

    symbol: Symbol
    rate: SignedText = msgspec.field(name="fundingRate")
    time: Time = msgspec.field(name="fundingTime")
    mark_price: str = msgspec.field(name="markPrice", default="")


class _InterestRow(msgspec.Struct, gc=False):
    symbol: Symbol
    coins: NumberText = msgspec.field(name="sumOpenInterest")
    value: NumberText = msgspec.field(name="sumOpenInterestValue")
    time: Time = msgspec.field(name="timestamp")


class _Mark(msgspec.Struct):
    price: NumberText


_klines = msgspec.json.Decoder(list[KlineRow])
_fundings = msgspec.json.Decoder(list[_FundingRow])
_interests = msgspec.json.Decoder(list[_InterestRow], strict=False)
"""Not strict, because Binance writes `timestamp` as a number, and as text in its documentation."""


def candle_page(symbol: str, interval: Interval, window: Window, body: bytes) -> CandlePage:
    """The candles of a page of `/klines`, all marked closed.

    A candle's own end is believed where it says that the bucket is cut short, as of days on which trading was halted.

    Raises:
        BadPayloadError: it is no such page, a candle makes no sense, or one is outside the window, repeated or out of order.
    """
    found: list[Candle] = []
    odd: list[int] = []
    for row in _rows(_klines, body, window):
        start, ends = milliseconds(row.opens), milliseconds(row.ends)
        if bucket_start(start, interval) != start:
            _refuse(f"a candle opens at {row.opens}, which is not on the grid of {interval}")
        end = bucket_end(start, interval)
        if not start <= ends < end:
            _refuse(f"the candle that opens at {row.opens} says that it ends at {row.ends}")
        if ends != end - 1:
            odd.append(start)
        amounts = amounts_of(symbol, row)
        for amount in amounts:
            exponent = amount.as_tuple().exponent
            if amount >= _MOST or (isinstance(exponent, int) and exponent < -_DIGITS):
                _refuse(f"{amount}, of the candle that opens at {row.opens}, has too many digits")
        candle = Candle(symbol, interval.name, start, end, *amounts, row.trades, closed=True)
        if candle.volume and not row.trades:
            _refuse(f"the candle that opens at {row.opens} has a volume of {candle.volume} and no trades")
        found.append(candle)
    _check_times([each.open_ms for each in found], window, "candle")
    return CandlePage(found, tuple(odd))


def funding_page(symbol: str, window: Window, body: bytes) -> list[Funding]:
    """The rates of a page of `/fundingRate`; times as sent but truncated to the minute, for Binance's jitter by milliseconds.

    Raises:
        BadPayloadError: it is no such page, of another symbol, a rate is beyond 100 %, or one is outside the window, in the
            same minute as another, or out of order.
    """
    found: list[Funding] = []
    for row in _rows(_fundings, body, window):
        _check_symbol(symbol, row.symbol)
        if abs(rate := Decimal(row.rate)) > _HIGHEST_RATE:
            _refuse(f"a funding rate of {rate} is beyond 100 %")
        mark = _mark_price(row.mark_price)
        minute = milliseconds(row.time) // MINUTE_MS * MINUTE_MS
        found.append(Funding(symbol, Decimal(row.rate), mark_price=mark, time_ms=minute))
    _check_times([each.time_ms or 0 for each in found], window, "funding rate")
    return found


def open_interest_page(symbol: str, window: Window, body: bytes) -> list[OpenInterest]:
    """The readings of a page of `/openInterestHist`: coins, and their value in the quote currency.

    Raises:
        BadPayloadError: it is no such page, of another symbol, or a reading is outside the window, repeated or out of order.
    """
    found: list[OpenInterest] = []
    for row in _rows(_interests, body, window):
        _check_symbol(symbol, row.symbol)
        time = milliseconds(row.time)
        if time % INTEREST_MS:
            _refuse(f"a reading of {time} is not on the grid of five minutes")
        found.append(OpenInterest(symbol, Decimal(row.coins), Decimal(row.value), time_ms=time))
    _check_times([each.time_ms or 0 for each in found], window, "reading")
    return found


def first_open_of(body: bytes) -> int | None:
    """When the only candle of a page opens; None for a market without any.

    Raises:
        BadPayloadError: it is no such page.
    """
    rows = _rows(_klines, body, Window(0, 0, 1))
    return milliseconds(rows[0].opens) if rows else None


def _rows(decoder: msgspec.json.Decoder[list[Shape]], body: bytes, window: Window) -> list[Shape]:
    rows = decoded(decoder, body)
    if len(rows) > window.limit:
        _refuse(f"{len(rows)} rows where {window.limit} were asked for")
    return rows


def _check_times(times: Sequence[int], window: Window, what: str) -> None:
    """Times rise, and are within what was asked."""
    before = window.start_ms - 1
    for time in times:
        if time <= before:
            _refuse(f"a {what} of {time} is before the window, repeated or out of order")
        if time >= window.end_ms:
            _refuse(f"a {what} of {time} is after the window, which ends at {window.end_ms}")
        before = time


def _check_symbol(wanted: str, found: str) -> None:
    if found != wanted:
        _refuse(f"it is of {found[:40]}")


def _mark_price(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        price = Decimal(msgspec.convert({"price": text}, _Mark).price)
    except msgspec.ValidationError:
        _refuse(f"markPrice {text[:60]!r} is not a plain decimal number")
    return price or None


def _refuse(reason: str) -> NoReturn:
    raise BadPayloadError(reason)
