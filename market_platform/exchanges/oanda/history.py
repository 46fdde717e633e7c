"""OANDA's past, day by day: complete candles of mid prices, in UTC.

Belongs here: pages, and when a day without some candles is whole all the same. Does not: the live side (rest.py), bytes
(wire.py). OANDA has no history of ticks, and no funding or open interest. Its data is private: not to be passed on.

OANDA has no candle for a minute in which no price came, and says nothing about it. So a day is

- `closed` when the market was closed all of it: Saturdays in UTC
- `pending` when it is not over by OANDA's own word: a candle of it is not complete yet, or nothing after it is there and
  our clock says that it ended less than a minute ago
- `missing` when the market was open and there is no candle at all: a holiday, or before OANDA's history of the instrument
- `degraded` when an hour or more of open market, or a whole candle of an hour or longer, has none: `missing` lists those
- `available` otherwise

An answer that ends before the days do although the market has traded for an hour since is a failure, not a quiet time.

The market is open from Sunday 17:05 to Friday 16:59 in New York, with a break each day from 16:59 to 17:05 (metals: 18:05).
Which hours other CFDs have is not known here; a day of one with any candle is taken as whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import Self

import polars as pl

from market_platform.domain.clock import Clock, to_ms, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    BadPayloadError,
    ConfigError,
    ExchangeError,
    ExchangeUnavailableError,
    MarketPlatformError,
    UnknownSymbolError,
)
from market_platform.domain.events import Candle
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import DAY_MS, MINUTE_MS, Interval
from market_platform.domain.market_hours import FOREX_HOURS, quoted_hours
from market_platform.domain.sessions import SessionCalendar
from market_platform.exchanges.day_rows import (
    HOUR_MS,
    PagesRead,
    blocks_of,
    buckets_of,
    candle_day,
    empty_candle_day,
    page_within,
    span_of,
    told,
)
from market_platform.exchanges.history import NoHistory
from market_platform.exchanges.oanda.config import OandaConfig
from market_platform.exchanges.oanda.dialect import OandaDialect
from market_platform.exchanges.oanda.exchange import json_rest
from market_platform.exchanges.oanda.rest import PAGE_CANDLES, NotYetError, candles_parser, candles_request
from market_platform.exchanges.raw_inputs import hashed_rows, request_name


@dataclass(slots=True)
class _Read(PagesRead[Candle]):
    """Complete candles, open times of others, and how far OANDA's answers reached."""

    forming: list[int] = field(default_factory=list)
    newest_ms: int = 0


class OandaHistory(NoHistory):
    """A `HistorySource`; use as an async context manager."""

    def __init__(self, config: OandaConfig, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._dialect = OandaDialect(config)

    async def __aenter__(self) -> Self:
        self._json = json_rest(self._config)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._json.aclose()

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource.candles`. `num_trades` and `volume` are the number of prices.

        Raises:
            ConfigError: the pair is no instrument's name, or OANDA refuses key or account.
            UnknownSymbolError: OANDA has no such instrument.
        """
        instrument = self._dialect.wire_symbol(pair.coin, pair.quote, pair.market_type)
        hours = hours_of(pair)
        now = to_ms(self._clock())
        made: list[HistoryDay[pl.DataFrame]] = []
        failures: dict[date, MarketPlatformError] = {}
        trading = [day for day in days if hours is None or hours.is_open_on(day)]
        made += [
            empty_candle_day(day, Condition.CLOSED, "the market is closed all day (UTC)")
            for day in days
            if day not in trading
        ]
        for block in blocks_of(trading, max(1, (PAGE_CANDLES - 1) * interval.ms // DAY_MS)):
            read = await self._read(instrument, interval, *span_of(block))
            self._doubt(read, span_of(block)[1], hours or FOREX_HOURS, f"{pair.name} {interval} {block[0]}")
            for day in block:
                if span_of([day])[1] > read.until_ms and read.error is not None:
                    failures[day] = read.error
                    continue
                try:
                    made.append(_day_of(day, interval, hours, read, now))
                except BadPayloadError as error:
                    failures[day] = error
        return HistoryDays(tuple(sorted(made, key=lambda each: each.day)), failures)

    async def _read(self, instrument: str, interval: Interval, start_ms: int, end_ms: int) -> _Read:
        """Page after page until one reaches the end, has nothing new, or is not over."""
        what = f"oanda {instrument} {interval} candles"
        parse = candles_parser(instrument, interval)
        read = _Read(until_ms=start_ms)
        while read.until_ms < end_ms:
            cursor = read.until_ms
            request = candles_request(instrument, interval, cursor, end_ms)

            def page(body: bytes, cursor: int = cursor) -> tuple[list[Candle], list[int]]:
                complete, forming = parse(body)
                opens = [each.open_ms for each in complete] + forming
                page_within(opens, cursor, max(end_ms, *opens, cursor) + 1, what)
                return complete, forming

            try:
                complete, forming = await self._json.ask(request, page, self._json.deadline())
            except NotYetError:
                read.until_ms = end_ms
                break
            except (UnknownSymbolError, ConfigError):
                raise
            except ExchangeError as error:
                read.error = error
                break
            fresh = [each for each in complete if each.open_ms >= cursor]
            inside = [each for each in fresh if each.open_ms < end_ms]
            read.rows += inside
            read.forming += forming
            read.newest_ms = max([read.newest_ms, *forming, *(each.open_ms for each in complete)])
            read.until_ms = end_ms if forming or not fresh else fresh[-1].end_ms
            if inside or not read.answers:  # that nothing came yet after the last row says nothing of the days
                read.answers.append((cursor, read.until_ms, hashed_rows(request_name(request), inside)))
        return read

    def _doubt(self, read: _Read, end_ms: int, hours: SessionCalendar, what: str) -> None:
        """Fail what lies after the newest candle when the market has traded since: the answers ended too early."""
        if read.error is None and not read.forming and read.newest_ms < end_ms:
            now = to_ms(self._clock())
            if hours.open_ms(end_ms, max(now, end_ms)) >= HOUR_MS:
                newest = told(read.newest_ms) if read.newest_ms else "nothing"
                read.until_ms = read.newest_ms
                read.error = ExchangeUnavailableError(
                    f"{what}: OANDA's answer ends with {newest} though the market traded after it; ask again later"
                )


def hours_of(pair: HistoryPair) -> SessionCalendar | None:
    """When the market of a pair is open; None where that is not known."""
    return quoted_hours(pair.coin, pair.quote)


def holes(opens: set[int], day: date, interval: Interval, hours: SessionCalendar) -> tuple[int, ...]:
    """The candles that should be there: runs without one in which the market was open for an hour or more together."""
    found: list[int] = []
    run: list[int] = []
    open_ms = 0
    spans = hours.open_spans_of_day(day)
    for bucket in (*buckets_of(day, interval), None):
        if bucket is not None and bucket not in opens:
            open_of_it = sum(max(0, min(end, bucket + interval.ms) - max(start, bucket)) for start, end in spans)
            if open_of_it:
                run.append(bucket)
                open_ms += open_of_it
            continue
        if open_ms >= HOUR_MS or (run and interval.ms == HOUR_MS and open_ms >= HOUR_MS // 2):
            found += run
        run, open_ms = [], 0
    return tuple(found)


def _day_of(
    day: date, interval: Interval, hours: SessionCalendar | None, read: _Read, now_ms: int
) -> HistoryDay[pl.DataFrame]:
    start, end = span_of([day])
    rows = [each for each in read.rows if start <= each.open_ms < end]
    if any(start <= each < end for each in read.forming) or (read.newest_ms < end and now_ms < end + MINUTE_MS):
        return empty_candle_day(day, Condition.PENDING, f"not over yet by OANDA's clock; asked at {told(now_ms)}")
    there = {each.open_ms for each in rows}
    if hours is None:
        expected: Sequence[int] = () if rows else buckets_of(day, interval)
    else:
        expected = holes(there, day, interval, hours)
    reason = (
        "OANDA has no candle for an hour or more in which the market is normally open"
        if rows
        else "OANDA has no candle of the day: a holiday, or before its history of the instrument"
    )
    return candle_day(day, rows, expected, read.inputs(start, end), reason=reason)
