"""Trading pairs as a live stream sees them, and what may be asked of one.

Belongs here: the nouns shared by exchanges, streamer and repair. Does not: any exchange's spelling or limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from market_platform.domain.intervals import Interval, parse_interval

CandlesFrom = Literal["exchange", "trades"]


class Channel(StrEnum):
    """What a subscription brings."""

    TRADES = "trades"
    QUOTES = "quotes"
    CANDLES = "candles"
    CONTEXT = "context"
    """Funding rate, open interest, mark and other prices: whatever of these the exchange sends."""


@dataclass(frozen=True, slots=True)
class LivePair:
    """A trading pair to stream. `starlistings` are its active ones, interval name → id; `wire` is the exchange's spelling.

    `candles_from` is `trades` where candles are built here instead of taken from the exchange.
    """

    id: int
    exchange: str
    symbol: str
    coin: str
    quote: str
    market_type: str
    wire: str
    starlistings: Mapping[str, int] = field(default_factory=dict)
    candles_from: CandlesFrom = "exchange"

    @property
    def name(self) -> str:
        """How commands and messages name it: `binance/BTCUSDT`."""
        return f"{self.exchange}/{self.symbol}"

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Its intervals, shortest first."""
        return tuple(sorted(parse_interval(name) for name in self.starlistings))


@dataclass(frozen=True, slots=True)
class Subscription:
    """One thing to ask of a stream. `name` is what the exchange calls it (`btcusdt@kline_1m`), unique on its connection.

    `silence_s` is the longest that a live one normally says nothing; None when it may be silent for ever. Longer, and the
    subscription is stale though its connection lives.
    """

    pair: LivePair
    channel: Channel
    name: str
    interval: str | None = None
    silence_s: float | None = None


@dataclass(frozen=True, slots=True)
class ConnectionPlan:
    """One connection to open and what to ask of it. `name` tells it from the exchange's others: `spot-1`."""

    name: str
    url: str
    subscriptions: tuple[Subscription, ...]
    transport: Literal["websocket", "http"] = "websocket"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Shown nowhere: a token may be among them."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What an exchange allows and what keeps a connection alive. Times in seconds.

    `connects` a `connects_per_s` seconds; `messages_per_s` that we may send on one connection; `ping_s` how often we send
    `ping()` (None: the exchange pings us, the WebSocket library answers); `silence_s` without any message means dead;
    `age_s` is when to replace a connection that works, with an overlap, before the exchange cuts it.
    """

    connections: int
    connects: int
    connects_per_s: float
    subscriptions_per_connection: int
    messages_per_s: float
    silence_s: float
    ping_s: float | None = None
    age_s: float | None = None
    open_timeout_s: float = 10.0
