"""Whether an event makes sense at all. Belongs here: limits of sense. Does not: wire formats (the parsers look at those)."""

from __future__ import annotations

from market_platform.domain.errors import BadRequestError
from market_platform.domain.events import Candle, Event, Funding, OpenInterest, Quote, Trade
from market_platform.domain.intervals import bucket_end, bucket_start, parse_interval

FUTURE_MS = 60_000
IN_THE_FUTURE = "a time in the future"
EARLIEST_MS = 1_230_768_000_000
"""2009-01-01: before it, no exchange here existed."""


def absurdity(event: Event, latest_ms: int | None) -> str | None:
    """Why an event can't be true, None when it can. `latest_ms` is the latest time that is no nonsense (None: any is)."""
    if isinstance(event, Trade):
        if event.price <= 0 or event.quantity < 0:
            return "a price that is not positive, or a negative volume"
        return _time(event.time_ms, latest_ms)
    if isinstance(event, Quote):
        if event.bid > event.ask:
            return "crossed quote: the bid is above the ask"
        return None if event.time_ms is None else _time(event.time_ms, latest_ms)
    if isinstance(event, Candle):
        return _candle(event) or _time(event.open_ms, latest_ms)
    if isinstance(event, Funding | OpenInterest) and event.time_ms is not None:
        return _time(event.time_ms, latest_ms)
    return None


def _time(ms: int, latest_ms: int | None) -> str | None:
    if ms < EARLIEST_MS:
        return "a time before 2009"
    return IN_THE_FUTURE if latest_ms is not None and ms > latest_ms else None


def _candle(candle: Candle) -> str | None:
    try:
        interval = parse_interval(candle.interval)
    except BadRequestError:
        return "a candle of an unknown interval"
    start = bucket_start(candle.open_ms, interval) if candle.open_ms >= EARLIEST_MS else candle.open_ms
    if candle.open_ms != start or candle.end_ms != bucket_end(start, interval):
        return "a candle that is not on its interval's grid"
    if not (candle.low <= candle.open <= candle.high and candle.low <= candle.close <= candle.high and candle.low > 0):
        return "a candle whose prices contradict each other"
    return "a negative volume" if candle.volume < 0 else None
