"""Which file of the archive a path asks for, and when it is published. Belongs here: names. Does not: content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from market_platform.domain.clock import days_between
from market_platform.replay.live.markets import Venue

Kind = Literal["klines", "aggTrades", "fundingRate", "metrics"]

FIRST_DAY = date(2020, 9, 1)
"""The archive begins here: with open interest, which it has no longer than that."""
INTERVALS_MS = {
    name: minutes * 60_000
    for name, minutes in (
        ("1m", 1),
        ("3m", 3),
        ("5m", 5),
        ("15m", 15),
        ("30m", 30),
        ("1h", 60),
        ("2h", 120),
        ("4h", 240),
        ("6h", 360),
        ("8h", 480),
        ("12h", 720),
        ("1d", 1440),
    )
}
_PATH = re.compile(
    r"data/(?P<market>spot|futures/um)/(?P<period>daily|monthly)/(?P<kind>klines|aggTrades|fundingRate|metrics)"
    r"/(?P<symbol>[A-Z0-9]+)(?:/(?P<interval>[0-9a-z]+))?/(?P<name>[A-Za-z0-9-]+)\.zip"
)
_PERIODS: dict[Kind, tuple[str, ...]] = {
    "klines": ("daily", "monthly"),
    "aggTrades": ("daily", "monthly"),
    "fundingRate": ("monthly",),
    "metrics": ("daily",),
}


@dataclass(frozen=True, slots=True)
class Address:
    """One file: what it holds, of which days, and what the CSV within is called (without its end)."""

    venue: Venue
    kind: Kind
    symbol: str
    interval: str
    days: tuple[date, ...]
    name: str
    published: date


def address_of(path: str) -> Address | None:
    """The file at a path below the archive's root; None when the archive has no such files."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    kind: Kind = match["kind"]  # type: ignore[assignment]
    venue: Venue = "binance-spot" if match["market"] == "spot" else "binance-usdm"
    interval, symbol, monthly = match["interval"] or "", match["symbol"], match["period"] == "monthly"
    known = interval in INTERVALS_MS if kind == "klines" else not interval
    about_contracts = kind in ("fundingRate", "metrics")
    if not known or match["period"] not in _PERIODS[kind] or (about_contracts and venue == "binance-spot"):
        return None
    prefix = f"{symbol}-{interval or kind}-"
    first = _date(match["name"].removeprefix(prefix) + ("-01" if monthly else ""))
    if first is None or not match["name"].startswith(prefix) or first < FIRST_DAY:
        return None
    after = (first + timedelta(days=32)).replace(day=1) if monthly else first + timedelta(days=1)
    published = after + timedelta(days=-after.weekday() % 7 if monthly else 0)
    days = tuple(days_between(first, after - timedelta(days=1)))
    return Address(venue, kind, symbol, interval, days, match["name"], published)


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.isoformat() == text else None
