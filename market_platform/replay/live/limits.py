"""What the live exchanges allow their clients. Belongs here: numbers. Does not: who counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """The exchanges' own limits; tests make them narrower or wider.

    Weights are of requests in a minute. `silent_s`: Hyperliquid closes a connection to which it sent nothing for so long.
    """

    spot_weight: int = 6_000
    spot_streams: int = 1_024
    spot_messages_per_s: int = 5
    usdm_weight: int = 2_400
    usdm_streams: int = 1_024
    usdm_messages_per_s: int = 10
    hyperliquid_weight: int = 1_200
    hyperliquid_connections: int = 10
    hyperliquid_connects_per_minute: int = 30
    hyperliquid_subscriptions: int = 1_000
    hyperliquid_messages_per_minute: int = 2_000
    silent_s: float = 60.0
