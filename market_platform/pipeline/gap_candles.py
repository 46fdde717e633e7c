"""Candles that a stream missed: every interval's that closed within the gap, as the exchange serves them.

Belongs here: which candles those are, and whether the answer is all of them. Does not: gaps of other kinds, the ledger.

A candle that the exchange does not have although later ones are there never existed (OANDA's weekends, a market without a
trade); one at the end of the gap may only be late, and is asked for again, unless the market has been closed for a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.errors import HistoryGoneError
from market_platform.domain.events import Candle
from market_platform.domain.intervals import MINUTE_MS, Interval, bucket_end, bucket_start, parse_interval
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.exchanges.codes import QUOTE_STREAMS
from market_platform.exchanges.live import LiveRest
from market_platform.pipeline.gap_outcomes import Delivery, Outcome, end_ms
from market_platform.warehouse.gap_repairs import LostPart
from market_platform.warehouse.gaps import Gap

_CLOSED_MS = 15 * MINUTE_MS
PATIENCE = 5
"""Attempts that may find the newest candles of a gap not there yet; then the exchange is taken at its word."""


@dataclass(frozen=True, slots=True)
class _Absent:
    """Candles of an interval that are not there: open times of the first and last, and how many."""

    interval: str
    first: int
    last: int
    count: int


@dataclass(slots=True)
class _Found:
    """Candles of a gap so far."""

    rows: int = 0
    lost: list[LostPart] = field(default_factory=list)
    absent: list[_Absent] = field(default_factory=list)
    late: list[_Absent] = field(default_factory=list)
    whole: int = 0


async def repair_candles(
    gaps: Sequence[Gap], pair: LivePair, rest: LiveRest, delivery: Delivery, attempts: int
) -> Outcome:
    """Ask for the candles that overlapping gaps of a pair and interval (or all of them) miss, and hand them on.

    Raises:
        ExchangeError: there is no answer, or a wrong one; what was handed on before is committed or comes again.
    """
    start, end = min(to_ms(gap.start) for gap in gaps), max(end_ms(gap) for gap in gaps)
    only = gaps[0].interval
    intervals = [parse_interval(only)] if only else list(pair.intervals)
    found = _Found()
    for interval in intervals:
        if interval.name in pair.starlistings:
            await _repair_interval(found, interval, start, end, pair, rest, delivery)
    await delivery.committed()
    if found.late and attempts < PATIENCE and not (attempts > 1 and await _is_closed(end, pair, rest)):
        return Outcome(error=f"{pair.name}: not served yet: {_told(found.late)}", rows=found.rows)
    absent = [*found.absent, *found.late]
    note = f"the exchange has no candle for {_told(absent)}" if absent else ""
    if found.lost and not found.rows and not found.whole and not absent:
        return Outcome(unrepairable="; ".join(f"{part.interval}: {part.why}" for part in found.lost))
    return Outcome(found.rows, tuple(found.lost), note)


async def _repair_interval(
    found: _Found, interval: Interval, start: int, end: int, pair: LivePair, rest: LiveRest, delivery: Delivery
) -> None:
    """The candles of one interval that closed within the gap; one that closes as the gap begins may be missing as well."""
    first = bucket_start(start - 1, interval)
    expected = _buckets(first, end, interval)
    if not expected:
        return
    asked, end = first, bucket_end(expected[-1], interval)
    candles: list[Candle] | None = None
    while candles is None:
        try:
            candles = await rest.candles(pair, interval, asked, end)
        except HistoryGoneError as error:
            served = end if error.earliest_ms is None else _first_bucket(error.earliest_ms, interval)
            if served <= asked:
                raise
            asked = min(served, end)
            lost = [each for each in expected if each < asked]
            found.lost = [part for part in found.lost if part.interval != interval.name]
            if lost:
                until = bucket_end(lost[-1], interval)
                found.lost.append(LostPart(from_ms(lost[0]), from_ms(until), str(error), interval.name))
            expected = [each for each in expected if each >= asked]
            if not expected:
                return
    if candles:
        delivery.candles(pair, candles, CandleRank.EXCHANGE)
    found.rows += len(candles)
    found.whole += 1
    there = {candle.open_ms for candle in candles}
    newest = max(there, default=0)
    for missing, told in (
        ([each for each in expected if each not in there and each < newest], found.absent),
        ([each for each in expected if each not in there and each > newest], found.late),
    ):
        if missing:
            told.append(_Absent(interval.name, missing[0], missing[-1], len(missing)))


async def _is_closed(end: int, pair: LivePair, rest: LiveRest) -> bool:
    """Whether a market with hours of trading had none of its shortest candles for a while before that moment."""
    interval = pair.intervals[0]
    if pair.exchange not in QUOTE_STREAMS or interval.ms > _CLOSED_MS // 2:
        return False
    return not await rest.candles(pair, interval, bucket_start(end - _CLOSED_MS, interval), bucket_start(end, interval))


def _told(absent: Sequence[_Absent]) -> str:
    """In a few words, for the ledger."""
    first, last = min(each.first for each in absent), max(each.last for each in absent)
    names = ", ".join(dict.fromkeys(each.interval for each in absent))
    count = sum(each.count for each in absent)
    more = f" to {from_ms(last):%Y-%m-%d %H:%M} ({count})" if count > 1 else ""
    return f"{names} {from_ms(first):%Y-%m-%d %H:%M}{more}"


def _buckets(first: int, end: int, interval: Interval) -> list[int]:
    """Open times of the buckets from `first` on that end by `end`."""
    found = []
    cursor = first
    while (after := bucket_end(cursor, interval)) <= end:
        found.append(cursor)
        cursor = after
    return found


def _first_bucket(ms: int, interval: Interval) -> int:
    """The first bucket that opens at that moment or later."""
    start = bucket_start(ms, interval)
    return start if start == ms else bucket_end(start, interval)
