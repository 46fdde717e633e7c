"""Files of funding rates to events. Belongs here: fundingRate. Does not: zips, days."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from market_platform.domain.events import Funding
from market_platform.domain.intervals import MINUTE_MS
from market_platform.exchanges.binance.dumps.files import DumpFile
from market_platform.exchanges.binance.dumps.tables import Table, milliseconds

COLUMNS = ("calc_time", "funding_interval_hours", "last_funding_rate")
_HOUR_MS = 3_600_000
_LONGEST_HOURS = 24


@dataclass(frozen=True, slots=True, eq=False)
class FundingMonth:
    """A month's rates, sorted, and the times (ms) at which one was due and none is there."""

    rates: tuple[Funding, ...]
    missing: tuple[int, ...]


def read_funding(csv: bytes, file: DumpFile) -> FundingMonth:
    """The rates as charged; times are truncated to the minute, for Binance writes them a few milliseconds late.

    What is missing follows from the interval that each row states; where that changes, from the longer of the two. A month
    that begins late or ends early misses what was due there.

    Raises:
        BadPayloadError: naming the file: a value is no number, a time is outside the month, or two of one minute differ.
    """
    table = Table.read(csv, COLUMNS, file.path)
    times = milliseconds(table.times("calc_time")).to_list()
    hours = table.whole("funding_interval_hours")["funding_interval_hours"].to_list()
    rates = table.rates("last_funding_rate")["last_funding_rate"].to_list()
    found: dict[int, tuple[int, Funding]] = {}
    for time, interval, rate in sorted(zip(times, hours, rates, strict=True), key=lambda row: row[0]):
        minute = time - time % MINUTE_MS
        if not file.start_ms <= minute < file.end_ms:
            table.refuse(f"a rate at {time} is outside the month")
        if not 1 <= interval <= _LONGEST_HOURS or abs(rate) > 1:
            table.refuse(f"the rate at {time} is {rate} in {interval} hours, which is none")
        event = Funding(file.symbol, rate, time_ms=minute)
        if found.setdefault(minute, (interval, event)) != (interval, event):
            table.refuse(f"two rates at {time} differ")
    return FundingMonth(tuple(event for _, event in found.values()), _missing(found, file))


def _missing(found: dict[int, tuple[int, Funding]], file: DumpFile) -> tuple[int, ...]:
    if not found:
        return ()
    opens = list(found)
    intervals = [interval for interval, _ in found.values()]
    first_step = intervals[0] * _HOUR_MS
    edges = [
        (file.start_ms - first_step, intervals[0]),
        *zip(opens, intervals, strict=True),
        (file.end_ms, intervals[-1]),
    ]
    missing: list[int] = []
    for (before, one), (after, other) in itertools.pairwise(edges):
        step = max(one, other) * _HOUR_MS
        at = before + step
        while at < after:
            missing.append(at)
            at += step
    return tuple(missing)
