"""Exchange → lake: a range of days of ticks, each committed by its manifest row or not at all.

Two runs may work on the same day at once. A day is committed on the ground of what was committed when its fetch began; if
that changed meanwhile, it is not known which of the two answers of the exchange is the newer one, and the day is fetched again.

Belongs here: in which order days are fetched, how many at once, and again. Does not: what a commit is (tick_commits.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice

from market_platform.domain.clock import day_start_ms, utc_now
from market_platform.domain.days import HOUR_MS, FetchedDay, HourReport, Instrument, TickSource, hour_state
from market_platform.domain.errors import (
    DayFailedError,
    ExchangeUnavailableError,
    MarketPlatformError,
    WarehouseUnavailableError,
)
from market_platform.domain.pairs import TradingPair
from market_platform.domain.ticks import Ticks
from market_platform.pipeline.platform import Platform, Provenance, failure_summary
from market_platform.pipeline.reports import TickDayReport
from market_platform.pipeline.tick_commits import commit_tick_day
from market_platform.warehouse.lake_days import LakeDay, load_lake_days
from market_platform.warehouse.reference import PairRow, load_instrument, load_pair, store_instrument

DAYS_IN_FLIGHT = 3
"""Days fetched at once; the exchange's own limit on requests is the client's and holds across them."""
DAYS_IN_MEMORY = 6
"""Days fetched or being fetched and not committed yet, however slow the first of them is: some megabytes each."""
FETCHES_OF_A_DAY = 3
"""How often a day is fetched because other runs commit it meanwhile."""

_Fetched = tuple[FetchedDay, LakeDay | None]
"""A day, and its manifest as it was before the fetch began."""


async def ingest_tick_days(
    platform: Platform,
    pair: TradingPair,
    days: Sequence[date],
    provenance: Provenance,
    on_day: Callable[[TickDayReport], None],
) -> list[TickDayReport]:
    """Fetch, verify, store and commit each day; `on_day` hears of every good day, in order, as soon as it is committed.

    Doing it again changes nothing unless the exchange sends something else. A complete day is never replaced by an
    incomplete one, nor an incomplete one by one with fewer ticks, nor exact volumes by the same ticks with rounded ones:
    what was committed stays and its report says why in `kept`.

    Raises:
        DayFailedError: after all days were tried, naming those that failed; the good ones are committed.
        ExchangeError: when not even the instrument's description can be had.
    """
    with platform.warehouse.connect() as connection:
        row = load_pair(connection, pair.exchange, pair.symbol)
    reports: list[TickDayReport] = []
    failures: dict[date, Exception] = {}
    left = iter(days)
    waiting: deque[tuple[date, asyncio.Task[_Fetched]]] = deque()
    async with platform.open_source(pair.exchange) as source:
        instrument = await _instrument(platform, source, row, pair)
        work = _Ingest(platform, pair, row, source, instrument, provenance)
        try:
            while True:
                for day in islice(left, DAYS_IN_MEMORY - len(waiting)):
                    waiting.append((day, asyncio.create_task(work.fetch(day), name=f"{pair.name} {day}")))
                if not waiting:
                    break
                day, task = waiting.popleft()
                try:
                    report = await work.store(await task)
                except MarketPlatformError as error:
                    failures[day] = error
                    continue
                finally:
                    del task  # and with it the day's ticks
                reports.append(report)
                on_day(report)
        finally:
            await _cancel([task for _, task in waiting])
    if failures:
        message = failure_summary(f"{pair.name} ticks", failures, len(days))
        raise DayFailedError(message, failures={day.isoformat(): error for day, error in failures.items()})
    return reports


@dataclass(frozen=True, slots=True)
class _Ingest:
    """What every day of one call needs."""

    platform: Platform
    pair: TradingPair
    row: PairRow
    source: TickSource
    instrument: Instrument
    provenance: Provenance
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DAYS_IN_FLIGHT))

    async def fetch(self, day: date) -> _Fetched:
        """Look at the day's manifest, then ask the exchange; a day before the configured first one is not asked for."""
        async with self.gate:
            before = await asyncio.to_thread(_manifest, self.platform, self.row, day)
            if self.pair.first_day and day.isoformat() < self.pair.first_day:
                return _before_the_first(self.instrument, day), before
            return await self.source.fetch_day(self.instrument, day), before

    async def store(self, fetched: _Fetched) -> TickDayReport:
        """Commit the day; fetch it again first when another run committed it meanwhile."""
        day = fetched[0].day
        for attempt in range(FETCHES_OF_A_DAY):
            if attempt:
                fetched = await self.fetch(day)
            report = await asyncio.to_thread(
                commit_tick_day, self.platform, self.pair, self.row, *fetched, self.provenance
            )
            if report is not None:
                return report
        raise WarehouseUnavailableError(
            f"{self.pair.name} {day}: other runs committed other ticks of the day each of the {FETCHES_OF_A_DAY} times it "
            "was fetched; try again when they are done"
        )


def _before_the_first(instrument: Instrument, day: date) -> FetchedDay:
    """A day on which, the config says, there is nothing worth asking for: as days before the exchange's own history are."""
    after = day_start_ms(day) + 24 * HOUR_MS
    hours = tuple(
        HourReport(start, hour_state(0, start, instrument.calendar, utc_now(), 0, after), 0, "", 0, "")
        for start in range(day_start_ms(day), after, HOUR_MS)
    )
    return FetchedDay(day, instrument, Ticks.empty(instrument.price_scale), hours)


async def _cancel(tasks: Sequence[asyncio.Task[_Fetched]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _instrument(platform: Platform, source: TickSource, row: PairRow, pair: TradingPair) -> Instrument:
    """The exchange's description of the pair, stored for schedules and sensors; the stored one when it is away."""
    try:
        instrument = await source.fetch_instrument(pair.symbol)
    except ExchangeUnavailableError:
        with platform.warehouse.connect() as connection:
            stored = load_instrument(connection, row.id)
        if stored is None:
            raise
        return stored
    with platform.warehouse.begin() as connection:
        store_instrument(connection, row.id, instrument)
    return instrument


def _manifest(platform: Platform, row: PairRow, day: date) -> LakeDay | None:
    with platform.warehouse.connect() as connection:
        return load_lake_days(connection, row.id, day, day).get(day)
