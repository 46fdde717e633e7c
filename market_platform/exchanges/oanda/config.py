"""Where, how and as whom OANDA is asked: plain values, no environment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from market_platform.domain.errors import ConfigError
from market_platform.exchanges.json_rest import honest_user_agent

_PLACEHOLDER = "replay"


@dataclass(frozen=True, slots=True)
class OandaConfig:
    """Where, how and as whom to ask. With `replay`, key and account may be missing: the replay exchange wants none.

    `call_budget_s` bounds one call altogether, its waiting for the exchange's limit included; `request_timeout_s` one
    request, `attempts` the requests for one page.

    Raises:
        ConfigError: key or account is missing or can't be one; names the variable, never its value.
    """

    stream_url: str
    rest_url: str
    api_key: str | None = field(default=None, repr=False)
    account_id: str | None = None
    replay: bool = False
    call_budget_s: float = 120.0
    request_timeout_s: float = 20.0
    attempts: int = 5
    user_agent: str = field(default_factory=honest_user_agent)

    def __post_init__(self) -> None:
        """Refuse what no request could succeed with."""
        _check("OANDA_API_KEY", self.api_key, r"[!-~]+", "the token of OANDA's page Manage API Access", self.replay)
        _check(
            "OANDA_ACCOUNT_ID", self.account_id, r"[A-Za-z0-9-]+", "an account such as 001-001-1234567-001", self.replay
        )

    @property
    def account(self) -> str:
        """The account whose prices are streamed."""
        return self.account_id or _PLACEHOLDER

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.api_key or _PLACEHOLDER}", "Accept-Datetime-Format": "RFC3339"}


def _check(variable: str, value: str | None, pattern: str, meaning: str, replay: bool) -> None:  # noqa: FBT001
    if not value:
        if not replay:
            raise ConfigError(f"{variable} is not set, but MARKET=live and OANDA needs it: set it to {meaning}")
    elif not re.fullmatch(pattern, value):
        raise ConfigError(f"{variable} has characters that it can't have: set it to {meaning}")
