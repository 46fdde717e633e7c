"""What parsers of exchanges' JSON share: numbers as exact text, and whether a candle or quote makes sense.

Belongs here: checks that hold on any exchange. Does not: any exchange's fields, and anything that needs a clock.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Annotated, TypeVar

import msgspec

from market_platform.domain.errors import BadPayloadError
from market_platform.domain.intervals import Interval, bucket_end, bucket_start, parse_interval

Wire = TypeVar("Wire")

NumberText = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,24}(\.[0-9]{1,24})?\Z")]
"""A number as the exchange writes it, in a string: no sign, exponent, spaces, NaN or infinity."""
SignedText = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,24}(\.[0-9]{1,24})?\Z")]
"""The same, which may be negative."""
SymbolText = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.@:/-]{1,32}\Z")]
IdNumber = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""An id that a signed column of 64 bits holds."""
MsNumber = Annotated[int, msgspec.Meta(ge=1_230_768_000_000, lt=4_102_444_800_000)]
"""Milliseconds since the epoch, from 2009 to 2099: what lies outside is no time of a live market."""


def decode_wire(decoder: msgspec.json.Decoder[Wire], raw: bytes | str | msgspec.Raw, what: str) -> Wire:
    """The JSON as the decoder's type; fields that are new are let pass.

    Raises:
        BadPayloadError: it is not JSON or not of that type; names the field.
    """
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadPayloadError(f"{what}: {error}") from None


def price(text: str, field: str, what: str) -> Decimal:
    """The price of a `NumberText`, digit for digit.

    Raises:
        BadPayloadError: it is zero.
    """
    value = Decimal(text)
    if not value:
        raise BadPayloadError(f"{what}: {field} is {text}, which is no price")
    return value


def check_range(candle: tuple[Decimal, Decimal, Decimal, Decimal], what: str) -> None:
    """Whether open, high, low and close fit together.

    Raises:
        BadPayloadError: high is not the highest or low not the lowest of them.
    """
    open_, high, low, close = candle
    if high < low:
        raise BadPayloadError(f"{what}: high {high} is below low {low}")
    for field, value in (("open", open_), ("close", close)):
        if not low <= value <= high:
            raise BadPayloadError(f"{what}: {field} {value} is not between low {low} and high {high}")


def check_not_crossed(bid: Decimal, ask: Decimal, what: str) -> None:
    """Whether somebody would sell below what another pays.

    Raises:
        BadPayloadError: the bid is above the ask.
    """
    if bid > ask:
        raise BadPayloadError(f"{what}: crossed, bid {bid} is above ask {ask}")


def candle_end(open_ms: int, interval: str, what: str) -> int:
    """When the candle that opens then ends, in ms.

    Raises:
        BadPayloadError: no candle of that interval opens then.
    """
    end = _end_on_grid(open_ms, parse_interval(interval))
    if end is None:
        raise BadPayloadError(
            f"{what}: time {open_ms} is not where a candle of {interval} opens (UTC, weeks on Monday)"
        )
    return end


def first_open(ms: int, interval: Interval) -> int:
    """The first moment from `ms` on at which a candle of the interval opens."""
    start = bucket_start(ms, interval)
    return start if start == ms else bucket_end(start, interval)


@lru_cache(maxsize=4096)
def _end_on_grid(open_ms: int, interval: Interval) -> int | None:
    return bucket_end(open_ms, interval) if bucket_start(open_ms, interval) == open_ms else None
