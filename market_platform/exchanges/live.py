"""What the streamer and the repair of gaps ask of an exchange. Belongs here: the interface. Does not: any exchange."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from market_platform.domain.events import Candle, Event, Funding, OpenInterest, Trade
from market_platform.domain.intervals import Interval
from market_platform.domain.live import ConnectionPlan, LivePair, StreamLimits, Subscription

TradeHistory = Literal["by_id", "none"]


class StreamDialect(Protocol):
    """How to speak with an exchange's stream. Pure: no I/O, no clock."""

    @property
    def exchange(self) -> str:
        """Its code in the configuration."""
        ...

    @property
    def limits(self) -> StreamLimits:
        """What it allows."""
        ...

    def wire_symbol(self, coin: str, quote: str, market_type: str) -> str:
        """How the exchange spells the pair.

        Raises:
            ConfigError: it has no such market.
        """
        ...

    def subscriptions(self, pair: LivePair) -> list[Subscription]:
        """Everything to ask for about a pair."""
        ...

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """As few connections as the limits allow.

        Stable: the same subscriptions give the same plan, and one more pair leaves those of the others as they were wherever
        there is room.
        """
        ...

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Frames that ask for them on an open connection; none when the URL says it all."""
        ...

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """Frames that end them; none when only another connection can."""
        ...

    @property
    def resubscribes(self) -> bool:
        """Whether subscriptions of an open connection can be changed; otherwise it is replaced, with an overlap."""
        ...

    def ping(self) -> str | None:
        """The frame to send every `limits.ping_s`; None when there is none."""
        ...

    def parse(self, raw: bytes | str, connection: str) -> Sequence[Event]:
        """The events of one message; none for what is known and of no interest. `connection` is the plan's name.

        Raises:
            BadPayloadError: it is not what the exchange's documentation says; the message goes to the dead letters.
        """
        ...

    def subscription_of(self, event: Event, connection: str) -> str | None:
        """The name of the subscription that an event belongs to; None for a Control."""
        ...


class LiveRest(Protocol):
    """What an exchange answers over HTTP about the recent past, within its own limits.

    Every method may raise ExchangeUnavailableError, RateLimitedError, UnknownSymbolError and BadPayloadError.
    """

    async def candles(self, pair: LivePair, interval: Interval, start_ms: int, end_ms: int) -> list[Candle]:
        """The closed candles that open in [start, end), sorted, each once, all pages.

        Raises:
            HistoryGoneError: the exchange does not serve so old candles any more; `earliest_ms` says from when it does.
        """
        ...

    async def trades(self, pair: LivePair, first_id: int, last_id: int) -> list[Trade]:
        """The trades with those ids (both included), sorted, each once, in the numbering of the stream.

        Raises:
            HistoryGoneError: the exchange has no history of trades, or not so old.
        """
        ...

    async def last_trade_id(self, pair: LivePair) -> int | None:
        """The id of the newest trade; None where the exchange has no history of trades."""
        ...

    async def context(self, pair: LivePair) -> list[Funding | OpenInterest]:
        """What the stream does not send and must be asked for every minute (Binance's open interest); mostly nothing."""
        ...

    async def known_symbols(self, market_type: str) -> frozenset[str]:
        """Every spelling the exchange would accept in a subscription; empty when it can't be asked."""
        ...


class LiveExchange(Protocol):
    """An exchange that can be streamed: its dialect, and its REST side, open for as long as the context lasts."""

    @property
    def dialect(self) -> StreamDialect:
        """How to speak with its stream."""
        ...

    @property
    def trade_history(self) -> TradeHistory:
        """Whether trades that were missed can be asked for, and trade ids are without holes."""
        ...

    @property
    def polls_candles(self) -> bool:
        """Whether candles must be asked for by REST after each closes, because the stream has none (OANDA)."""
        ...

    @property
    def confirms_candles(self) -> bool:
        """Whether candles of the stream have no closed flag and are confirmed by REST (Hyperliquid)."""
        ...

    def rest(self) -> AbstractAsyncContextManager[LiveRest]:
        """Its REST side."""
        ...


def all_events(dialect: StreamDialect, lines: Iterable[bytes], connection: str) -> list[Event]:
    """The events of many messages, in order; for tests and tools.

    Raises:
        BadPayloadError: as `StreamDialect.parse`.
    """
    return [event for line in lines for event in dialect.parse(line, connection)]
