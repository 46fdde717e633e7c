"""Where and how Dukascopy is asked: plain values, no environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from market_platform.domain.days import HOUR_MS

Format = Literal["json", "bi5"]


def honest_user_agent() -> str:
    """Who asks: this program and its version."""
    try:
        return f"market-platform/{version('market-platform')} (market data history)"
    except PackageNotFoundError:
        return "market-platform (market data history)"


@dataclass(frozen=True, slots=True)
class DukascopyConfig:
    """Where and how to ask.

    `day_budget_s` bounds one call altogether, `request_timeout_s` one request, `attempts` the requests for one hour.
    `publish_delay_ms`: how long after its end an hour may still be published. An hour that is empty although the market
    was open is asked again `empty_retries` times, `empty_delay_s` apart. With `fallback`, what JSON can't deliver is
    taken from bi5.
    """

    transport: Format = "json"
    json_url: str = "https://jetta.dukascopy.com/v1"
    bi5_url: str = "https://datafeed.dukascopy.com/datafeed"
    max_in_flight: int = 5
    day_budget_s: float = 300.0
    request_timeout_s: float = 20.0
    publish_delay_ms: int = 2 * HOUR_MS
    attempts: int = 5
    empty_retries: int = 2
    empty_delay_s: float = 1.0
    fallback: bool = True
    user_agent: str = field(default_factory=honest_user_agent)
