"""Trading pairs, starlistings, and how a symbol may be spelled."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import Alignment, Interval

_SYMBOL = re.compile(r"(?=.{2,32}$)[A-Z0-9]+(\.[A-Z0-9]+)*")


def normalise_symbol(spelling: str) -> str:
    """`EUR/USD`, `EUR_USD`, `eur-usd` and `eurusd` are all `EURUSD`.

    Raises:
        BadRequestError: code `symbol_not_found` when it can't be a symbol at all.
    """
    symbol = re.sub(r"[/_\-\s]", "", spelling).upper()
    if not _SYMBOL.fullmatch(symbol):
        raise BadRequestError(f"{spelling!r} is not a symbol", code="symbol_not_found")
    return symbol


@dataclass(frozen=True, slots=True)
class TradingPair:
    """exchange + coin + quote + market type, with what the platform does with it.

    `symbol` is the short form charts use. `intervals` are its starlistings. `candle_price` is which side of a quote
    candles are built from: `mid`, `bid` or `ask`. `first_day` (ISO) is the earliest day worth asking for, if configured.
    `candles_from` says where a live stream's candles come from: the `exchange`, or its `trades`. `history` says through what
    its past is fetched: our own client of the exchange (`native`) or `ccxt`, which knows the exchange as `ccxt_id`. `licence` is
    the exchange's: `private` data is passed on to nobody. `database` is where its rows are kept: `realtime` or `training`.
    """

    exchange: str
    coin: str
    quote: str
    market_type: str
    symbol: str
    intervals: tuple[Interval, ...]
    candle_price: str = "mid"
    alignment: Alignment = Alignment.UTC
    first_day: str | None = None
    active: bool = True
    candles_from: str = "exchange"
    history: str = "native"
    ccxt_id: str | None = None
    licence: str = "private"
    database: str = "realtime"
    labels: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """How commands and messages name it: `dukascopy/EURUSD`."""
        return f"{self.exchange}/{self.symbol}"

    @property
    def trading_pair(self) -> str:
        """How the starlisting API names it: `EUR/USD`."""
        return f"{self.coin}/{self.quote}"
