"""Where and how Yahoo is asked: plain values, no environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from market_platform.exchanges.json_rest import honest_user_agent


@dataclass(frozen=True, slots=True)
class YahooConfig:
    """Where and how to ask.

    `call_budget_s` bounds one question altogether, its waiting included; `request_timeout_s` one request, `attempts` the
    requests for one answer. Yahoo publishes no limit: `requests_per_minute` is our own caution. After
    `refusals_before_pause` refusals in a row nothing is asked for `pause_s` seconds, then twice as long, up to
    `longest_pause_s`.
    """

    rest_url: str = "https://query2.finance.yahoo.com"
    call_budget_s: float = 120.0
    request_timeout_s: float = 20.0
    attempts: int = 4
    requests_per_minute: float = 60.0
    refusals_before_pause: int = 5
    pause_s: float = 300.0
    longest_pause_s: float = 3_600.0
    user_agent: str = field(default_factory=honest_user_agent)
