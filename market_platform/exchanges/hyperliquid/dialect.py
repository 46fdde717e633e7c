"""How to speak with Hyperliquid's stream: what to ask, in which frames, on how many connections."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from market_platform.domain.errors import ConfigError
from market_platform.domain.events import Candle, Event, Funding, OpenInterest, Trade
from market_platform.domain.live import Channel, ConnectionPlan, LivePair, StreamLimits, Subscription
from market_platform.exchanges.hyperliquid.messages import REST_ONLY_INTERVALS
from market_platform.exchanges.hyperliquid.wire import parse_message, subscription_name

MAX_SUBSCRIPTIONS = 1000
"""Of one address, on all its connections."""
PER_CONNECTION = 250
CONTEXT_SILENCE_S = 20.0
"""The context of an asset comes about every second, whether it trades or not."""
_KINDS = {Channel.TRADES: "trades", Channel.CANDLES: "candle", Channel.CONTEXT: "activeAssetCtx"}
_THOUSANDS = {coin.upper(): coin for coin in ("kBONK", "kDOGS", "kFLOKI", "kLUNC", "kNEIRO", "kPEPE", "kSHIB")}
"""Coins sold by the thousand; a configured coin is upper-case, the exchange's spelling is not."""


class HyperliquidDialect:
    """A `StreamDialect`.

    A connection takes a quarter of what the address may ask for: a bad name costs its whole socket, and no more than that.
    """

    exchange = "hyperliquid"
    resubscribes = True
    limits = StreamLimits(
        connections=10,
        connects=30,
        connects_per_s=60.0,
        subscriptions_per_connection=PER_CONNECTION,
        messages_per_s=8.0,  # four connections, each doubled while it is replaced, stay near 2,000 a minute
        silence_s=60.0,
        ping_s=20.0,
    )

    def __init__(self, stream_url: str) -> None:
        self._url = stream_url

    def wire_symbol(self, coin: str, quote: str, market_type: str) -> str:
        """The coin's own name: only perpetuals against USD are traded under it.

        Raises:
            ConfigError: for another quote or market type, and for builders' and spot names (`dex:COIN`, `@107`).
        """
        if market_type != "perps" or quote != "USD":
            raise ConfigError(
                f"hyperliquid: no {market_type} market {coin}/{quote}; it has perpetuals (market_type: perps) against USD"
            )
        if not coin.isalnum() or not coin.isascii():
            raise ConfigError(f"hyperliquid: {coin!r} is not a perpetual's name; letters and digits such as BTC")
        return _THOUSANDS.get(coin, coin)

    def subscriptions(self, pair: LivePair) -> list[Subscription]:
        """Trades, the asset's context, and a candle channel for each interval; weeks are asked for by REST."""
        wanted = [self._subscription(pair, Channel.TRADES), self._subscription(pair, Channel.CONTEXT)]
        if pair.candles_from == "exchange":
            wanted += [
                self._subscription(pair, Channel.CANDLES, interval.name)
                for interval in pair.intervals
                if interval.name not in REST_ONLY_INTERVALS
            ]
        return wanted

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """Pairs in the order of their ids, each whole on one connection, as many as fit.

        Raises:
            ConfigError: more subscriptions than the exchange allows an address.
        """
        if len(subscriptions) > MAX_SUBSCRIPTIONS:
            raise ConfigError(
                f"hyperliquid: {len(subscriptions)} subscriptions, but it allows {MAX_SUBSCRIPTIONS} an address; "
                "deactivate pairs or intervals"
            )
        return [
            ConnectionPlan(f"perps-{number}", self._url, part)
            for number, part in enumerate(_filled(subscriptions), start=1)
        ]

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """One frame each."""
        return [_frame("subscribe", each) for each in subscriptions]

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """One frame each."""
        return [_frame("unsubscribe", each) for each in subscriptions]

    def ping(self) -> str | None:
        """Answered by `{"channel":"pong"}`."""
        return '{"method":"ping"}'

    def parse(self, raw: bytes | str, connection: str) -> Sequence[Event]:  # noqa: ARG002
        """See `StreamDialect.parse`; every connection speaks alike.

        Raises:
            BadPayloadError: it is not what the documentation says.
        """
        return parse_message(raw)

    def subscription_of(self, event: Event, connection: str) -> str | None:  # noqa: ARG002
        """The name of the subscription that an event belongs to; None for a Control."""
        if isinstance(event, Candle):
            return subscription_name("candle", event.symbol, event.interval)
        if isinstance(event, Trade):
            return subscription_name("trades", event.symbol)
        if isinstance(event, Funding | OpenInterest):
            return subscription_name("activeAssetCtx", event.symbol)
        return None

    @staticmethod
    def _subscription(pair: LivePair, channel: Channel, interval: str | None = None) -> Subscription:
        return Subscription(
            pair,
            channel,
            subscription_name(_KINDS[channel], pair.wire, interval),
            interval,
            silence_s=CONTEXT_SILENCE_S if channel is Channel.CONTEXT else None,
        )


def _filled(subscriptions: Sequence[Subscription]) -> Iterator[tuple[Subscription, ...]]:
    room: list[Subscription] = []
    ordered = sorted(subscriptions, key=lambda each: (each.pair.id, each.name))
    for _, group in groupby(ordered, key=lambda each: each.pair.id):
        of_pair = list(group)
        if room and len(room) + len(of_pair) > PER_CONNECTION:
            yield tuple(room)
            room = []
        room += of_pair
    if room:
        yield tuple(room)


def _frame(method: str, subscription: Subscription) -> str:
    asked = {"type": _KINDS[subscription.channel], "coin": subscription.pair.wire}
    if subscription.interval is not None:
        asked["interval"] = subscription.interval
    return json.dumps({"method": method, "subscription": asked}, separators=(",", ":"))
