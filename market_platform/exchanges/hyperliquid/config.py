"""Where and how Hyperliquid is asked: plain values, no environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from market_platform.exchanges.json_rest import honest_user_agent


@dataclass(frozen=True, slots=True)
class HyperliquidConfig:
    """Where and how to ask.

    `call_budget_s` bounds one call altogether, its waiting for the exchange's limit included; `request_timeout_s` one
    request, `attempts` the requests for one page. `settle_ms` is how long after its end a candle counts as closed that no
    later one follows.
    """

    stream_url: str = "wss://api.hyperliquid.xyz/ws"
    rest_url: str = "https://api.hyperliquid.xyz"
    call_budget_s: float = 300.0
    request_timeout_s: float = 20.0
    attempts: int = 5
    user_agent: str = field(default_factory=honest_user_agent)
    settle_ms: int = 2_000
