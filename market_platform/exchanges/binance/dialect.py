"""How to speak with Binance's streams: names, connections, requests and limits. Pure: no I/O, no clock.

Belongs here: what Binance calls things and how much of them one connection takes. Does not: what messages mean (parse).

Connections are named by market, `spot-1`, `usdm-2`, `usdm-public-1`: the best bid and ask of USD-M live on a host path of
their own. All are combined connections (`/stream`), so that every message names its stream, and what they carry is asked
for by SUBSCRIBE, so that a pair can come and go without another connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from market_platform.domain.errors import ConfigError
from market_platform.domain.events import Candle, Control, Event, Funding, OpenInterest, Quote, Trade
from market_platform.domain.live import Channel, ConnectionPlan, LivePair, StreamLimits, Subscription
from market_platform.exchanges.binance.config import MARKETS, BinanceConfig
from market_platform.exchanges.binance.messages import UNSUBSCRIBE_ID
from market_platform.exchanges.binance.parse import parse

STREAMS_A_CONNECTION = {"spot": 512, "usdm": 200, "usdm-public": 200}
"""Binance allows 1024 on spot, where half leaves room for more pairs without another connection; on USD-M, 200 is what the
well-known clients stay within."""
_PARAMS_A_REQUEST = 50
_MARK_PRICE_SILENCE_S = 30.0  # it is pushed every second, whether anybody trades or not

_LIMITS = StreamLimits(
    connections=50,
    connects=200,  # of 300
    connects_per_s=300.0,
    subscriptions_per_connection=max(STREAMS_A_CONNECTION.values()),
    messages_per_s=4.0,  # of 5, which count our pongs, too
    silence_s=60.0,
    ping_s=None,  # Binance pings, the WebSocket library answers
    age_s=23 * 3600.0,  # of 24 h, when Binance cuts it
)


class BinanceDialect:
    """See `StreamDialect`.

    How long a subscription may be silent: the mark price comes every second. Candles and quotes change with the market,
    so `silence_s` of the configuration, two minutes, is generous for a pair anybody trades; one that is quieter costs a
    needless question to REST. Trades may be silent for ever where candles come too: those name the last trade within
    them, so that a stream of trades that stopped is found by its missing ids.
    """

    exchange = "binance"
    resubscribes = True

    def __init__(self, config: BinanceConfig) -> None:
        self._config = config

    @property
    def limits(self) -> StreamLimits:
        """What Binance allows, a little less; `plan` knows how many subscriptions each market's connections take."""
        return _LIMITS

    def wire_symbol(self, coin: str, quote: str, market_type: str) -> str:
        """`BTCUSDT`, on either market.

        Raises:
            ConfigError: it is not a spot pair or a perpetual.
        """
        if market_type not in MARKETS:
            raise ConfigError(
                f"binance {coin}/{quote}: no market of type {market_type!r} is streamed; use one of {', '.join(MARKETS)}"
            )
        return f"{coin}{quote}".upper()

    def subscriptions(self, pair: LivePair) -> list[Subscription]:
        """Trades, best bid and ask, candles of each interval where they are the exchange's, mark price of a perpetual."""
        silence = self._config.silence_s
        has_candles = pair.candles_from == "exchange" and bool(pair.starlistings)
        symbol = pair.wire.lower()
        found = [
            Subscription(pair, Channel.TRADES, f"{symbol}@aggTrade", silence_s=None if has_candles else silence),
            Subscription(pair, Channel.QUOTES, f"{symbol}@bookTicker", silence_s=silence),
        ]
        if has_candles:
            found += [
                Subscription(pair, Channel.CANDLES, f"{symbol}@kline_{interval}", interval.name, silence)
                for interval in pair.intervals
            ]
        if MARKETS[pair.market_type] == "usdm":
            name = f"{symbol}@markPrice@1s"
            found.append(Subscription(pair, Channel.CONTEXT, name, silence_s=_MARK_PRICE_SILENCE_S))
        return found

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """Pairs in the order of their ids, each whole on the first connection of its kind that has room for it.

        So a pair that comes later moves none of the others, and one that goes moves others only where a connection was
        full. A pair's trades and candles share a connection, so that one disconnect is one gap.
        """
        planned: list[ConnectionPlan] = []
        for kind, room in STREAMS_A_CONNECTION.items():
            connections: list[list[Subscription]] = []
            for of_pair in _by_pair([each for each in subscriptions if _kind(each) == kind]):
                for start in range(0, len(of_pair), room):
                    part = of_pair[start : start + room]
                    target = next((each for each in connections if len(each) + len(part) <= room), None)
                    if target is None:
                        connections.append(target := [])
                    target += part
            planned += [
                ConnectionPlan(f"{kind}-{number}", self._url(kind), tuple(each))
                for number, each in enumerate(connections, 1)
            ]
        return planned

    def subscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """SUBSCRIBE requests, numbered from 1."""
        return list(_requests("SUBSCRIBE", subscriptions, 1))

    def unsubscribe(self, subscriptions: Sequence[Subscription]) -> list[str]:
        """UNSUBSCRIBE requests, numbered so that their answers can be told from those of the others."""
        return list(_requests("UNSUBSCRIBE", subscriptions, UNSUBSCRIBE_ID))

    def ping(self) -> str | None:
        """None: Binance pings."""
        return None

    def parse(self, raw: bytes | str, connection: str) -> Sequence[Event]:  # noqa: ARG002  each message says enough
        """The events of one message.

        Raises:
            BadPayloadError: it is not what Binance's documentation says.
        """
        if isinstance(raw, str):
            raw = raw.encode(errors="replace")
        return parse(raw)

    def subscription_of(self, event: Event, connection: str) -> str | None:  # noqa: ARG002
        """The stream an event came by; None for a Control."""
        match event:
            case Trade():
                return f"{event.symbol.lower()}@{'trade' if event.first_id is None else 'aggTrade'}"
            case Quote():
                return f"{event.symbol.lower()}@bookTicker"
            case Candle():
                return f"{event.symbol.lower()}@kline_{event.interval}"
            case Funding() | OpenInterest():
                return f"{event.symbol.lower()}@markPrice@1s"
            case Control():
                return None

    def _url(self, kind: str) -> str:
        roots = {
            "spot": self._config.spot_stream,
            "usdm": self._config.usdm_stream,
            "usdm-public": self._config.usdm_public_stream,
        }
        return f"{roots[kind]}/stream"


def _kind(subscription: Subscription) -> str:
    market = MARKETS[subscription.pair.market_type]
    return "usdm-public" if market == "usdm" and subscription.channel is Channel.QUOTES else market


def _by_pair(subscriptions: Sequence[Subscription]) -> list[list[Subscription]]:
    pairs: dict[int, list[Subscription]] = {}
    for each in subscriptions:
        pairs.setdefault(each.pair.id, []).append(each)
    return [pairs[pair_id] for pair_id in sorted(pairs)]


def _requests(method: str, subscriptions: Sequence[Subscription], first_id: int) -> Iterator[str]:
    names = [each.name for each in subscriptions]
    for number, start in enumerate(range(0, len(names), _PARAMS_A_REQUEST), first_id):
        params = names[start : start + _PARAMS_A_REQUEST]
        yield json.dumps({"method": method, "params": params, "id": number}, separators=(",", ":"))
