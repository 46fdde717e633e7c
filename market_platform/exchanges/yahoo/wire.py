"""What Yahoo's chart API answers, with every number as its own text says.

Belongs here: the shape of an answer, and its errors. Does not: HTTP, sessions, which price a number means (prices.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from market_platform.domain.errors import (
    BadPayloadError,
    ExchangeError,
    ExchangeUnavailableError,
    HistoryGoneError,
    MarketPlatformError,
    UnknownSymbolError,
)
from market_platform.exchanges.wire_checks import IdNumber, decode_wire

_Seconds = Annotated[int, msgspec.Meta(ge=-(10**10), lt=4_102_444_800)]
_Name = Annotated[str, msgspec.Meta(max_length=64)]
_MOST = Decimal(10) ** 18
_LEAST_EXPONENT = -40
_MOST_SPLIT = Decimal(10) ** 6

_SAME = {"60m": "1h"}

Numbers = list[Decimal | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """One row as sent; None is Yahoo's null, and a row of nulls says that it has no bar there."""

    time_ms: int
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: int | None
    adj_close: Decimal | None = None

    @property
    def is_null(self) -> bool:
        """Whether a price or the volume is not there."""
        return None in (self.open, self.high, self.low, self.close, self.volume)

    @property
    def text(self) -> str:
        """Everything about it but the adjusted close, which changes with every later dividend."""
        return f"{self.time_ms},{self.open},{self.high},{self.low},{self.close},{self.volume}"


@dataclass(frozen=True, slots=True)
class Dividend:
    """Per share; `time_ms` is when the exchange opens on its day. `is_gain`: a fund paid out a capital gain.

    `currency` is another one than that of the prices, or None.
    """

    time_ms: int
    amount: Decimal
    is_gain: bool = False
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """`new` shares for `old` ones; `time_ms` is when the exchange opens on its day."""

    time_ms: int
    new: Decimal
    old: Decimal


@dataclass(frozen=True, slots=True)
class Chart:
    """An answer. `exchange` is Yahoo's code (`NMS`), `quoted_ms` the time of the last price that Yahoo knew."""

    symbol: str
    exchange: str
    timezone: str
    currency: str
    price_hint: int
    first_trade_ms: int | None
    quoted_ms: int | None
    bars: tuple[Bar, ...]
    dividends: tuple[Dividend, ...]
    splits: tuple[Split, ...]


class _Meta(msgspec.Struct, rename="camel", gc=False):
    symbol: _Name
    exchange_name: _Name
    exchange_timezone_name: _Name
    data_granularity: _Name
    currency: _Name | None = None
    price_hint: Annotated[int, msgspec.Meta(ge=0, le=8)] = 2
    first_trade_date: _Seconds | None = None
    regular_market_time: _Seconds | None = None


class _Quote(msgspec.Struct, gc=False):
    open: Numbers = []
    high: Numbers = []
    low: Numbers = []
    close: Numbers = []
    volume: list[IdNumber | None] = []


class _AdjClose(msgspec.Struct, gc=False):
    adjclose: Numbers = []


class _Indicators(msgspec.Struct, gc=False):
    quote: list[_Quote]
    adjclose: list[_AdjClose] = []


class _Paid(msgspec.Struct, gc=False):
    date: _Seconds
    amount: Decimal
    currency: _Name | None = None


class _Divided(msgspec.Struct, gc=False):
    date: _Seconds
    numerator: Decimal
    denominator: Decimal


class _Events(msgspec.Struct, rename="camel", gc=False):
    dividends: dict[str, _Paid] = {}
    splits: dict[str, _Divided] = {}
    capital_gains: dict[str, _Paid] = {}


class _Result(msgspec.Struct, gc=False):
    meta: _Meta
    indicators: _Indicators
    timestamp: list[_Seconds] | None = None
    events: _Events | None = None


class _Error(msgspec.Struct, gc=False):
    code: str = ""
    description: str = ""


class _Body(msgspec.Struct, gc=False):
    result: list[_Result] | None = None
    error: _Error | None = None


class _Answer(msgspec.Struct, gc=False):
    chart: _Body


_answers = msgspec.json.Decoder(_Answer)


def parse_chart(body: bytes, symbol: str, granularity: str, what: str) -> Chart:
    """The answer for that symbol and granularity; bars in order of time, each once.

    Raises:
        BadPayloadError: it is of another symbol or granularity, its columns differ in length, or its times are out of order.
        ExchangeUnavailableError: a web page came instead.
        UnknownSymbolError, HistoryGoneError, ExchangeError: `chart.error`.
    """
    if not body.lstrip().startswith(b"{"):
        raise ExchangeUnavailableError(f"{what}: Yahoo answers with something that is no JSON: {body[:60]!r}")
    answer = decode_wire(_answers, body, what).chart
    if answer.error is not None:
        raise _told(answer.error, what)
    if not answer.result:
        raise BadPayloadError(f"{what}: neither a result nor an error")
    result = answer.result[0]
    meta, times, events = result.meta, result.timestamp or [], result.events or _Events()
    if meta.symbol != symbol or _SAME.get(meta.data_granularity, meta.data_granularity) != granularity:
        raise BadPayloadError(
            f"{what}: the answer is of {meta.symbol} in {meta.data_granularity}, not {symbol} in {granularity}"
        )
    dividends = [
        Dividend(each.date * 1000, each.amount, is_gain, None if each.currency == meta.currency else each.currency)
        for paid, is_gain in ((events.dividends, False), (events.capital_gains, True))
        for each in paid.values()
    ]
    splits = [Split(each.date * 1000, each.numerator, each.denominator) for each in events.splits.values()]
    _check_events(dividends, splits, what)
    return Chart(
        symbol=symbol,
        exchange=meta.exchange_name,
        timezone=_zone(meta.exchange_timezone_name, what),
        currency=meta.currency or "",
        price_hint=meta.price_hint,
        first_trade_ms=None if meta.first_trade_date is None else meta.first_trade_date * 1000,
        quoted_ms=None if meta.regular_market_time is None else meta.regular_market_time * 1000,
        bars=_bars(result.indicators, times, what),
        dividends=tuple(sorted(dividends, key=lambda each: each.time_ms)),
        splits=tuple(sorted(splits, key=lambda each: each.time_ms)),
    )


def refusal(status: int, body: bytes, what: str) -> MarketPlatformError | None:
    """What a 4xx means, in Yahoo's own words where it has some; None: it is an outage."""
    try:
        error = _answers.decode(body).chart.error
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        error = None
    if status in (401, 403) or error is None:
        return None
    return _told(error, f"{what} (HTTP {status})")


def _told(error: _Error, what: str) -> MarketPlatformError:
    """`chart.error` as one of ours."""
    told = f"{error.code}: {error.description}"[:200]
    words = told.lower()
    if "not available" in words or "data doesn't exist" in words or "must be within" in words:
        return HistoryGoneError(f"{what}: Yahoo says {told}")
    if error.code == "Not Found":
        return UnknownSymbolError(f"{what}: Yahoo does not know it ({told}); check the symbol")
    if error.code in ("Internal Server Error", "Service Unavailable"):
        return ExchangeUnavailableError(f"{what}: Yahoo says {told}")
    return ExchangeError(f"{what}: Yahoo refuses it ({told})")


def _without_last(indicators: _Indicators) -> _Indicators:
    quote = indicators.quote[0]
    shorter = _Quote(quote.open[:-1], quote.high[:-1], quote.low[:-1], quote.close[:-1], quote.volume[:-1])
    return _Indicators([shorter], [_AdjClose(each.adjclose[:-1]) for each in indicators.adjclose])


def _zone(name: str, what: str) -> str:
    """The name of a time zone that there is."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadPayloadError(f"{what}: no time zone is called {name[:40]!r}") from None
    return name


def _bars(indicators: _Indicators, times: list[int], what: str) -> tuple[Bar, ...]:
    quote = indicators.quote[0] if indicators.quote else _Quote()
    adjusted = indicators.adjclose[0].adjclose if indicators.adjclose else []
    prices = {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.close}
    lengths = {name: len(column) for name, column in prices.items()} | {"volume": len(quote.volume)}
    if adjusted:
        lengths["adjclose"] = len(adjusted)
    for name, length in lengths.items():
        if length != len(times):
            raise BadPayloadError(f"{what}: {len(times)} times and {length} values of {name}")
    if len(times) > 1 and times[-1] == times[-2]:  # the price of the moment beside the bar that it belongs to
        return _bars(_without_last(indicators), times[:-1], what)
    for before, after in pairwise(times):
        if after <= before:
            how = "comes twice" if after == before else f"comes after {before}"
            raise BadPayloadError(f"{what}: times are out of order: {after} {how}")
    for name, column in {**prices, "adjclose": adjusted}.items():
        for value in column:
            _check_number(value, name, what)
    rows = zip(times, *prices.values(), quote.volume, adjusted or [None] * len(times), strict=True)
    return tuple(Bar(time * 1000, *values) for time, *values in rows)


def _check_number(value: Decimal | None, field: str, what: str) -> None:
    """Whether it can be calculated with; that it is above zero is asked later, bar by bar."""
    if value is None:
        return
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _LEAST_EXPONENT or not -_MOST < value < _MOST:
        raise BadPayloadError(f"{what}: {field} is {str(value)[:40]}")


def _check_events(dividends: list[Dividend], splits: list[Split], what: str) -> None:
    for paid in dividends:
        _check_number(paid.amount, "dividend", what)
        if paid.amount <= 0:
            raise BadPayloadError(f"{what}: a dividend of {paid.amount}")
    for split in splits:
        _check_number(split.new, "split", what)
        _check_number(split.old, "split", what)
        if split.new <= 0 or split.old <= 0 or not 1 / _MOST_SPLIT <= split.new / split.old <= _MOST_SPLIT:
            raise BadPayloadError(f"{what}: a split of {split.new}:{split.old}")
