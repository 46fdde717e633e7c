"""What the archive's files are called, what they hold, and when they are published. Pure: no I/O, no clock.

    data/{spot|futures/um}/{daily|monthly}/klines/{SYMBOL}/{interval}/{SYMBOL}-{interval}-{YYYY-MM[-DD]}.zip
    data/{spot|futures/um}/{daily|monthly}/{aggTrades|fundingRate|metrics}/{SYMBOL}/{SYMBOL}-{kind}-{YYYY-MM[-DD]}.zip

Funding rates are monthly only and metrics (open interest) daily only. A day is published on the next one, a month on the first
Monday of the next one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import BadRequestError
from market_platform.domain.history import HistoryPair
from market_platform.domain.intervals import DAY_MS, Interval

Kind = Literal["klines", "aggTrades", "fundingRate", "metrics"]

_MARKETS = {"spot": "spot", "perps": "futures/um"}
_NAME = re.compile(r"data(?:/[A-Za-z0-9]+){4,6}/[A-Za-z0-9-]+\.zip")


@dataclass(frozen=True, slots=True)
class DumpFile:
    """One file: its path below the archive's root, whose it is, and the first and last day it is about."""

    path: str
    symbol: str
    first: date
    last: date

    @property
    def stem(self) -> str:
        """`BTCUSDT-1m-2026-03-01`: the name without its end, which the CSV within has, too."""
        return self.path.rpartition("/")[2].removesuffix(".zip")

    @property
    def start_ms(self) -> int:
        """The beginning of its first day."""
        return day_start_ms(self.first)

    @property
    def end_ms(self) -> int:
        """The end of its last day."""
        return day_start_ms(self.last) + DAY_MS


def daily_file(pair: HistoryPair, kind: Kind, day: date, interval: Interval | None = None) -> DumpFile:
    """The file of a day; `interval` for candles only.

    Raises:
        BadRequestError: the archive has no such market.
    """
    return _file(pair, kind, interval, "daily", f"{day:%Y-%m-%d}", day, day)


def monthly_file(pair: HistoryPair, kind: Kind, day: date, interval: Interval | None = None) -> DumpFile:
    """The file of the month that a day is in; `interval` for candles only.

    Raises:
        BadRequestError: the archive has no such market.
    """
    first, last = day.replace(day=1), next_month(day) - timedelta(days=1)
    return _file(pair, kind, interval, "monthly", f"{day:%Y-%m}", first, last)


def whole_months(days: Sequence[date], today: date) -> list[date]:
    """The first days of those months that `days` has every day of and whose file should have been published by today."""
    wanted = set(days)
    firsts = sorted(day for day in wanted if day.day == 1)
    return [
        first
        for first in firsts
        if published_on(first) <= today
        and all(first + timedelta(days=offset) in wanted for offset in range((next_month(first) - first).days))
    ]


def published_on(month: date) -> date:
    """When the file of a month is published: the first Monday of the next one."""
    first = next_month(month)
    return first + timedelta(days=-first.weekday() % 7)


def next_month(day: date) -> date:
    """The first day of the month after that of a day."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def is_dump_name(name: str) -> bool:
    """Whether an input's name is that of a file of the archive."""
    return _NAME.fullmatch(name) is not None


def _file(
    pair: HistoryPair, kind: Kind, interval: Interval | None, period: str, stamp: str, first: date, last: date
) -> DumpFile:
    if pair.market_type not in _MARKETS:
        raise BadRequestError(
            f"{pair.name}: Binance's archive has no {pair.market_type}; use one of {', '.join(_MARKETS)}",
            code="no_history",
        )
    symbol = f"{pair.coin}{pair.quote}".upper()
    kept, named = (f"{symbol}/{interval.name}", interval.name) if interval else (symbol, kind)
    path = f"data/{_MARKETS[pair.market_type]}/{period}/{kind}/{kept}/{symbol}-{named}-{stamp}.zip"
    return DumpFile(path, symbol, first, last)
