"""Where and how Binance is asked: plain values, no environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from market_platform.domain.errors import ConfigError
from market_platform.exchanges.json_rest import honest_user_agent

Market = Literal["spot", "usdm"]
MARKETS: dict[str, Market] = {"spot": "spot", "perps": "usdm"}
"""Our market types, and what Binance calls the API of each. Names of connections begin with the latter."""

_USDM_PATH = "/market"


@dataclass(frozen=True, slots=True)
class BinanceConfig:
    """Where and how to ask.

    `*_stream` are roots below which `/stream` is; that of USD-M ends in `/market`, and the best bid and ask are below
    `/public` beside it. `*_rest` are roots below which `/api/v3` or `/fapi/v1` is. `silence_s`: how long a subscription to
    candles or quotes may say nothing before it counts as stale. `call_budget_s` bounds one call of the REST side
    altogether, `request_timeout_s` one request, `attempts` the requests for one page; a pause that would take a page beyond
    `longest_wait_s` is left to the caller.
    """

    spot_stream: str = "wss://data-stream.binance.vision"
    spot_rest: str = "https://data-api.binance.vision"
    usdm_stream: str = "wss://fstream.binance.com/market"
    usdm_rest: str = "https://fapi.binance.com"
    silence_s: float = 120.0
    call_budget_s: float = 300.0
    request_timeout_s: float = 15.0
    attempts: int = 4
    longest_wait_s: float = 30.0
    user_agent: str = field(default_factory=honest_user_agent)

    def __post_init__(self) -> None:
        """Refuse a root of USD-M's streams that would connect and say nothing.

        Raises:
            ConfigError: saying what it must end in.
        """
        if not self.usdm_stream.endswith(_USDM_PATH):
            raise ConfigError(
                f"{self.usdm_stream!r} is not a root of Binance's USD-M streams: BINANCE_USDM_STREAM_URL must end in "
                f"{_USDM_PATH}; without it Binance accepts the connection and sends no candles"
            )

    @property
    def usdm_public_stream(self) -> str:
        """The root below which USD-M's best bids and asks are."""
        return self.usdm_stream.removesuffix(_USDM_PATH) + "/public"

    def rest(self, market: Market) -> str:
        """The root of a market's REST side."""
        return self.spot_rest if market == "spot" else self.usdm_rest
