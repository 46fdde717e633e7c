"""Which of CCXT's exchanges is asked, and how: plain values, no environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from market_platform.exchanges.json_rest import honest_user_agent


@dataclass(frozen=True, slots=True)
class CcxtConfig:
    """Whom and how to ask.

    `ccxt_id` is CCXT's name of the exchange. `url` replaces scheme and host of all its API addresses and keeps their paths
    (`CCXT_URL`); None leaves them. `call_budget_s` bounds one request altogether, its waiting for the limit and its
    repetitions included; `request_timeout_s` one attempt of `attempts`.
    """

    ccxt_id: str
    url: str | None = None
    call_budget_s: float = 120.0
    request_timeout_s: float = 20.0
    attempts: int = 5
    user_agent: str = field(default_factory=honest_user_agent)
