"""What each generated stock is like. Belongs here: numbers about stocks. Does not: how they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

FIRST_DAY = date(2015, 1, 2)
"""The first day of every stock."""


@dataclass(frozen=True, slots=True)
class Stock:
    """One stock. `exchange` and `timezone` are Yahoo's names, `calendar` is of exchange_calendars.

    `price` is the level that it moves around, in `currency`, after its split; `volatility` how far, as a fraction; `lot` the
    usual volume of a minute. It pays `dividend` on the first session on or after the tenth of every third month, and
    splits on `split_day` into `split` new shares for an old one. With `mixes_units` every twentieth day or so is 100 times
    too small, as if in pounds instead of pence.
    """

    symbol: str
    exchange: str
    timezone: str
    calendar: str
    currency: str
    kind: str
    price: float
    volatility: float
    lot: int
    dividend: Decimal
    split_day: date | None = None
    split: int = 1
    mixes_units: bool = False


_NEW_YORK = ("America/New_York", "XNYS", "USD")
STOCKS: Mapping[str, Stock] = {
    each.symbol: each
    for each in (
        Stock("AAPL", "NMS", *_NEW_YORK, "EQUITY", 190.0, 0.03, 90_000, Decimal("0.26"), date(2025, 6, 9), 4),
        Stock("MSFT", "NMS", *_NEW_YORK, "EQUITY", 420.0, 0.025, 40_000, Decimal("0.75")),
        Stock("SPY", "PCX", *_NEW_YORK, "ETF", 540.0, 0.015, 120_000, Decimal("1.74")),
        Stock(
            "MIXD.L", "LSE", "Europe/London", "XLON", "GBp", "EQUITY", 1450.0, 0.02, 900, Decimal(9), mixes_units=True
        ),
    )
}
"""By Yahoo's symbol."""
