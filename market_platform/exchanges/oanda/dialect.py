"""How to speak with OANDA's price stream: its address says everything, nothing is ever sent."""

from __future__ import annotations

from collections.abc import Sequence
from re import ASCII, fullmatch

from market_platform.domain.errors import ConfigError
from market_platform.domain.events import Event, Quote
from market_platform.domain.live import Channel, ConnectionPlan, LivePair, StreamLimits, Subscription
from market_platform.exchanges.oanda.config import OandaConfig
from market_platform.exchanges.oanda.wire import parse_line

PER_CONNECTION = 200
"""More than OANDA has instruments; it keeps an address below 3,000 characters."""


class OandaDialect:
    """A `StreamDialect`. One more pair is another address, so the connection is replaced, with an overlap."""

    exchange = "oanda"
    resubscribes = False
    limits = StreamLimits(
        connections=20,
        connects=2,
        connects_per_s=1.0,
        subscriptions_per_connection=PER_CONNECTION,
        messages_per_s=1.0,  # nothing is ever sent
        silence_s=12.0,  # a heartbeat comes every five seconds
    )

    def __init__(self, config: OandaConfig) -> None:
        self._config = config

    def wire_symbol(self, coin: str, quote: str, market_type: str) -> str:
        """`EUR_USD`.

        Raises:
            ConfigError: for perpetuals, and names that no instrument has.
        """
        if market_type == "perps":
            raise ConfigError(f"oanda: no perpetual {coin}/{quote}; it has spot prices and CFDs")
        name = f"{coin}_{quote}"
        if not fullmatch(r"[A-Z0-9]{2,12}_[A-Z]{3}", name, ASCII):
            raise ConfigError(f"oanda: {name!r} is not an instrument's name; it looks like EUR_USD or SPX500_USD")
        return name

    def subscriptions(self, pair: LivePair) -> list[Subscription]:
        """Its quotes. They may be silent for a weekend, so only the connection's heartbeat is watched."""
        return [Subscription(pair, Channel.QUOTES, pair.wire)]

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """All instruments on one connection, in the order of the pairs' ids."""
        ordered = sorted(subscriptions, key=lambda each: each.pair.id)
        return [
            ConnectionPlan(
                f"prices-{number}", self._url(part), part, transport="http", headers=dict(self._config.headers)
            )
            for number, part in enumerate(_parts(ordered), start=1)
        ]

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:  # noqa: ARG002
        """None: the URL says it all."""
        return []

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:  # noqa: ARG002
        """None: only another connection can."""
        return []

    def ping(self) -> str | None:
        """None: nothing can be sent."""
        return None

    def parse(self, raw: bytes | str, connection: str) -> Sequence[Event]:  # noqa: ARG002
        """See `StreamDialect.parse`; every connection speaks alike.

        Raises:
            BadPayloadError: it is not what the documentation says.
        """
        return parse_line(raw)

    def subscription_of(self, event: Event, connection: str) -> str | None:  # noqa: ARG002
        """The instrument of a quote; None for a Control."""
        return event.symbol if isinstance(event, Quote) else None

    def _url(self, part: Sequence[Subscription]) -> str:
        instruments = ",".join(each.name for each in part)
        account = f"{self._config.stream_url}/v3/accounts/{self._config.account}"
        return f"{account}/pricing/stream?instruments={instruments}&snapshot=true"


def _parts(ordered: Sequence[Subscription]) -> list[tuple[Subscription, ...]]:
    return [tuple(ordered[first : first + PER_CONNECTION]) for first in range(0, len(ordered), PER_CONNECTION)]
