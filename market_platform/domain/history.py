"""What an exchange's past brings, day by day: rows, what is missing of them, and the raw answers they were made of.

Belongs here: the nouns shared by exchanges, pipeline and defs. Does not: any exchange's way of asking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from market_platform.domain.conditions import Condition
from market_platform.domain.errors import MarketPlatformError

Rows_co = TypeVar("Rows_co", covariant=True)


class SeriesKind(StrEnum):
    """What can be fetched of a pair's past."""

    CANDLES = "candles"
    FUNDING = "funding_rates"
    OPEN_INTEREST = "open_interest"
    TRADES = "trades"
    ACTIONS = "corporate_actions"
    """Dividends and splits of a stock."""


@dataclass(frozen=True, slots=True)
class HistoryPair:
    """A trading pair as a history is asked for it; `symbol` is ours (`BTCUSDT.P`), each source spells it its own way."""

    exchange: str
    symbol: str
    coin: str
    quote: str
    market_type: str

    @property
    def name(self) -> str:
        """How commands and messages name it: `binance/BTCUSDT.P`."""
        return f"{self.exchange}/{self.symbol}"


@dataclass(frozen=True, slots=True)
class RawInput:
    """One raw answer: what it is called (a file's name, or a request without its host), its SHA-256, size, and rows used."""

    name: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A dividend (in the stock's currency, per share) or a split (new shares for an old one, exact: 2 for 2:1).

    `time_ms` is the open of the exchange day from which it counts.
    """

    kind: Literal["dividend", "split"]
    time_ms: int
    value: Decimal


@dataclass(frozen=True, slots=True, eq=False)
class HistoryDay(Generic[Rows_co]):
    """One UTC day of one series, as an exchange answered.

    Candles are a polars frame of `CANDLE_SCHEMA`, sorted; funding, open interest and actions a tuple of events, sorted by
    time; trades `Trades`, sorted by id. `missing` are the open times (ms) at which the market was open and nothing came.
    `reason` says in words why the day is not `available`. Nothing is ever filled in.
    """

    day: date
    rows: Rows_co
    count: int
    condition: Condition
    missing: tuple[int, ...] = ()
    reason: str = ""
    inputs: tuple[RawInput, ...] = ()
    flags: tuple[str, ...] = ()
    """What a person should look at although the rows are stored: `close 2019-07-01 is 100 times its neighbours`."""

    @property
    def input_version(self) -> str:
        """Changes when a raw answer does: the hash of the inputs' hashes; empty without inputs."""
        return version_of_inputs(self.inputs)


@dataclass(frozen=True, slots=True, eq=False)
class HistoryDays(Generic[Rows_co]):
    """The days that came, in order, and those that failed, each with its error."""

    days: tuple[HistoryDay[Rows_co], ...]
    failures: Mapping[date, MarketPlatformError] = field(default_factory=dict)


def version_of_inputs(inputs: Iterable[RawInput]) -> str:
    """The hash of the inputs' hashes, whatever their order; empty when there are none."""
    hashes = sorted({each.sha256 for each in inputs})
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest() if hashes else ""
