"""Where and how the archive is asked: plain values, no environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from market_platform.exchanges.json_rest import honest_user_agent

MIB = 2**20


@dataclass(frozen=True, slots=True)
class DumpsConfig:
    """Where and how to ask.

    `base_url` is the root below which `/data` is. At most `files_at_once` files are on their way or being read; of trades,
    which are large, one is read at a time. `attempts` bounds the requests for one file, `request_timeout_s` a silence within
    one, `file_budget_s` all of it. `zip_bytes` and `csv_bytes` are the most a file may have, packed and unpacked; files that
    are read whole (all but trades) may have `table_bytes`.
    """

    base_url: str = "https://data.binance.vision"
    files_at_once: int = 4
    requests_a_minute: float = 6000.0
    attempts: int = 4
    request_timeout_s: float = 30.0
    file_budget_s: float = 900.0
    zip_bytes: int = 1024 * MIB
    csv_bytes: int = 8192 * MIB
    table_bytes: int = 128 * MIB
    user_agent: str = field(default_factory=honest_user_agent)
