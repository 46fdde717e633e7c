"""CCXT's rows to our events: candles, funding rates, open interest. Pure.

A candle is `[ms, open, high, low, close, volume]`, without a trade count and without a closed flag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.events import Candle, Funding, OpenInterest
from market_platform.domain.intervals import MINUTE_MS, Interval
from market_platform.exchanges.ccxt.amounts import Amounts, smallest_step
from market_platform.exchanges.day_rows import told
from market_platform.exchanges.wire_checks import candle_end, check_range

_CANDLE_FIELDS = 6


@dataclass(frozen=True, slots=True)
class MarketNumbers:
    """A market's symbol, the steps of its prices and amounts, and what a person should know of its volumes."""

    symbol: str
    price_step: Decimal | None
    amount_step: Decimal | None
    flags: tuple[str, ...] = ()


def numbers_of(market: Mapping[str, Any], mode: int) -> MarketNumbers:
    """What CCXT knows of a market; `mode` is the exchange's `precisionMode`."""
    precision, size = market.get("precision") or {}, market.get("contractSize")
    in_contracts = market.get("swap") is True and (market.get("inverse") is True or size not in (None, 1, 1.0))
    flags = (
        (
            f"ccxt does not say whether volume and open interest of {market['symbol']} count coins or contracts of {size}",
        )
        if in_contracts
        else ()
    )
    return MarketNumbers(
        str(market["symbol"]),
        smallest_step(precision.get("price"), mode),
        smallest_step(precision.get("amount"), mode),
        flags,
    )


def candle_of(row: Any, numbers: MarketNumbers, interval: Interval, amounts: Amounts) -> Candle:
    """A candle.

    Raises:
        BadPayloadError: it is none, or not on the grid of the interval.
    """
    what = f"{numbers.symbol} {interval}"
    if not isinstance(row, Sequence) or isinstance(row, str) or len(row) < _CANDLE_FIELDS:
        raise BadPayloadError(f"{what}: {str(row)[:80]} is no candle")
    open_ms = _moment(row[0], what)
    what = f"{what} {told(open_ms)}"
    end_ms = candle_end(open_ms, interval.name, what)
    names = ("open", "high", "low", "close")
    prices = [
        amounts.exact(value, numbers.price_step, f"{what} {name}") for name, value in zip(names, row[1:5], strict=True)
    ]
    if min(prices) <= 0:
        raise BadPayloadError(f"{what}: a price is {min(prices)}")
    check_range((prices[0], prices[1], prices[2], prices[3]), what)
    volume = amounts.exact(row[5], numbers.amount_step, f"{what} volume")
    if volume < 0:
        raise BadPayloadError(f"{what}: volume is {volume}")
    return Candle(
        symbol=numbers.symbol,
        interval=interval.name,
        open_ms=open_ms,
        end_ms=end_ms,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=volume,
        num_trades=None,
        closed=True,
    )


def funding_of(row: Any, numbers: MarketNumbers, amounts: Amounts) -> Funding:
    """A funding rate, with the minute it was paid in as its time.

    Raises:
        BadPayloadError: it is none.
    """
    get, moment, what = _fields(row, numbers.symbol, "funding")
    return Funding(numbers.symbol, amounts.exact(get("fundingRate"), None, f"{what} rate"), time_ms=moment)


def open_interest_of(row: Any, numbers: MarketNumbers, amounts: Amounts) -> OpenInterest:
    """A reading of open interest.

    Raises:
        BadPayloadError: it is none, or does not say how many coins.
    """
    get, moment, what = _fields(row, numbers.symbol, "open interest")
    value = get("openInterestValue")
    return OpenInterest(
        numbers.symbol,
        amounts.exact(get("openInterestAmount"), numbers.amount_step, f"{what} amount"),
        notional_value=None if value is None else amounts.exact(value, None, f"{what} value"),
        time_ms=moment,
    )


def _fields(row: Any, symbol: str, kind: str) -> tuple[Callable[[str], Any], int, str]:
    if not isinstance(row, Mapping):
        raise BadPayloadError(f"{symbol} {kind}: {str(row)[:80]} is no row")
    time_ms = _moment(row.get("timestamp"), f"{symbol} {kind}")
    return row.get, time_ms - time_ms % MINUTE_MS, f"{symbol} {kind} {told(time_ms)}"


def _moment(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 4_102_444_800_000:
        raise BadPayloadError(f"{what}: {str(value)[:40]!r} is no time in milliseconds")
    return value
