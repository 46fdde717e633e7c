"""The shapes of Binance's stream messages, as it documents them, with the limits that any value of a field must keep.

Belongs here: one struct a message and the decoders. Does not: what the numbers mean together (parse). Fields that we have
no use for are left out, and fields that are new are ignored. Amounts of trades and quotes, which come by the thousands, are
decoded straight to exact decimals, from text or number; those of rarer messages stay text, for `convert` to look at.
Field names are Binance's own letters, explained where they are not obvious.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

FIRST_MS = 1_230_768_000_000
"""2009: no market of Binance, nor of any coin, is older."""
LAST_MS = 4_102_444_800_000
"""2100."""
UNSUBSCRIBE_ID = 1_000_000
"""Answers to SUBSCRIBE and UNSUBSCRIBE look the same; our requests of the second kind are numbered from here."""

Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
MaybeId = Annotated[int, Meta(ge=-1, le=2**63 - 1)]
"""-1 in a candle without trades."""
Time = Annotated[int, Meta(ge=FIRST_MS, le=LAST_MS * 1000)]
"""Milliseconds, or microseconds where the connection was asked for them (`timeUnit=MICROSECOND`)."""
Symbol = Annotated[str, Meta(min_length=1, max_length=40)]


class TradeData(msgspec.Struct, gc=False):
    """`trade`. `m`: the buyer was the maker."""

    s: Symbol
    t: Id
    p: Decimal
    q: Decimal
    T: Time
    m: bool
    E: Time | None = None


class AggTradeData(msgspec.Struct, gc=False):
    """`aggTrade`: `a` its own id, `f` and `l` the first and last trade within. `m`: the buyer was the maker."""

    s: Symbol
    a: Id
    p: Decimal
    q: Decimal
    f: Id
    l: Id  # noqa: E741  Binance's name
    T: Time
    m: bool
    E: Time | None = None


class BookTickerData(msgspec.Struct, gc=False):
    """`bookTicker`: best bid `b` and ask `a`, volumes `B` and `A`, update id `u`. Spot sends neither type nor time."""

    s: Symbol
    u: Id
    b: Decimal
    B: Decimal
    a: Decimal
    A: Decimal
    T: Time | None = None


class KlineBody(msgspec.Struct, gc=False):
    """The candle in `kline`: from `t` to `T`, trades `f` to `L`, `n` of them; `x`: it is closed."""

    t: Time
    T: Time
    i: str
    f: MaybeId
    L: MaybeId
    o: str
    c: str
    h: str
    l: str  # noqa: E741  Binance's name
    v: str
    n: Id
    x: bool


class KlineData(msgspec.Struct, gc=False):
    """`kline`."""

    s: Symbol
    k: KlineBody
    E: Time | None = None


class MarkPriceData(msgspec.Struct, gc=False):
    """`markPriceUpdate`: mark price `p`, index price `i`, funding rate `r`, next funding `T`.

    Contracts that are delivered have an empty `r` and 0 as `T`.
    """

    s: Symbol
    p: str
    i: str
    r: str
    T: Annotated[int, Meta(ge=0, le=LAST_MS * 1000)]
    E: Time


class OpenInterestData(msgspec.Struct, gc=False):
    """REST's answer about open interest, in coins."""

    symbol: Symbol
    open_interest: str = msgspec.field(name="openInterest")
    time: Time


class Combined(msgspec.Struct, gc=False):
    """A message of a combined connection, its data not read yet."""

    stream: str
    data: msgspec.Raw


class CombinedTrade(msgspec.Struct, gc=False):
    """A message of a combined connection."""

    data: TradeData


class CombinedAggTrade(msgspec.Struct, gc=False):
    """A message of a combined connection."""

    data: AggTradeData


class CombinedBookTicker(msgspec.Struct, gc=False):
    """A message of a combined connection."""

    data: BookTickerData


class CombinedKline(msgspec.Struct, gc=False):
    """A message of a combined connection."""

    data: KlineData


class CombinedMarkPrice(msgspec.Struct, gc=False):
    """A message of a combined connection."""

    data: MarkPriceData


class Probe(msgspec.Struct, gc=False):
    """Of any message, what tells which one it is."""

    stream: str | UnsetType = UNSET
    e: str | UnsetType = UNSET
    u: int | UnsetType = UNSET
    last_update_id: int | UnsetType = msgspec.field(default=UNSET, name="lastUpdateId")
    id: int | str | UnsetType | None = UNSET
    result: Any = UNSET
    error: Any = UNSET
    code: int | UnsetType = UNSET
    msg: str | UnsetType = UNSET
