"""Ranges of days out of the archive: which files to ask for, and what to do without one.

Belongs here: choosing files and putting their days together. Does not: HTTP (transport), text (klines and its neighbours).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from types import TracebackType
from typing import IO, Self, TypeVar

import polars as pl

from market_platform.domain.clock import Clock, days_between, utc_now
from market_platform.domain.errors import BadPayloadError, BadRequestError, MarketPlatformError, NotPublishedError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.history import HistoryDay, HistoryDays, HistoryPair
from market_platform.domain.intervals import Interval
from market_platform.domain.trades import Trades
from market_platform.exchanges.binance.dumps.archive import read_blocks, read_whole
from market_platform.exchanges.binance.dumps.config import DumpsConfig
from market_platform.exchanges.binance.dumps.days import (
    Source,
    candle_days,
    funding_days,
    joined,
    reading_day,
    trade_day,
)
from market_platform.exchanges.binance.dumps.files import (
    DumpFile,
    daily_file,
    is_dump_name,
    monthly_file,
    next_month,
    whole_months,
)
from market_platform.exchanges.binance.dumps.funding import read_funding
from market_platform.exchanges.binance.dumps.klines import Candles, read_klines
from market_platform.exchanges.binance.dumps.metrics import Readings, read_metrics
from market_platform.exchanges.binance.dumps.trades import FileTrades, read_agg_trades
from market_platform.exchanges.binance.dumps.transport import DumpsTransport
from market_platform.exchanges.history import NoHistory

Item = TypeVar("Item", bound=Hashable)
Value = TypeVar("Value")
Rows = TypeVar("Rows")
Found = dict[date, HistoryDay[Rows] | MarketPlatformError]

_ONE_DAY = timedelta(days=1)


class BinanceDumps(NoHistory):
    """See `HistorySource`; use as an async context manager.

    A day that has no file is among the failures with a `NotPublishedError`, so that somebody else can be asked for it. A day
    that a file has, but not all of, says what is missing.
    """

    def __init__(self, config: DumpsConfig, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._transport: DumpsTransport | None = None
        self._gate = asyncio.Semaphore(config.files_at_once)
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._transport = DumpsTransport(self._config)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            await self._transport.aclose()
        self._transport = None

    async def candles(self, pair: HistoryPair, interval: Interval, days: Sequence[date]) -> HistoryDays[pl.DataFrame]:
        """See `HistorySource.candles`. Whole past months come in one file each, all other days in a file of their own.

        A month whose file is not there, or wrong, is put together of its days' files; after a wrong one the days say so.

        Raises:
            BadRequestError: the interval is longer than a day, or the archive has no such market.
        """
        if not interval.is_intraday:
            raise BadRequestError(f"{pair.name}: candles of {interval} are made of shorter ones, not asked for")

        async def of_day(day: date) -> HistoryDay[pl.DataFrame]:
            return (await self._candles(daily_file(pair, "klines", day, interval), interval, [day]))[0]

        async def of_month(first: date) -> Found[pl.DataFrame]:
            try:
                made = await self._candles(monthly_file(pair, "klines", first, interval), interval, months[first])
                return {day.day: day for day in made}
            except NotPublishedError:
                return await _each(months[first], of_day)
            except BadPayloadError as error:
                found = await _each(months[first], of_day)
                return {day: _flagged(made, f"the month's file was not used: {error}") for day, made in found.items()}

        months = {first: _days_of(first) for first in whole_months(days, self._clock().date())}
        in_months = {day for each in months.values() for day in each}
        by_month, by_day = await asyncio.gather(
            _each(months, of_month), _each([day for day in days if day not in in_months], of_day)
        )
        for first, found in by_month.items():
            by_day |= dict.fromkeys(months[first], found) if isinstance(found, MarketPlatformError) else found
        return _sorted(by_day)

    async def funding(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[Funding, ...]]:
        """See `HistorySource.funding`. The archive has whole months only: the days of one that is not over are failures.

        Raises:
            BadRequestError: the archive has no such market.
        """
        _perps_only(pair, "funding rates")

        async def of_month(first: date) -> Found[tuple[Funding, ...]]:
            file = monthly_file(pair, "fundingRate", first)
            month, source = await self._read(file, lambda packed: read_funding(self._whole(packed, file), file))
            return {day.day: day for day in funding_days(month, source, months[first])}

        months: dict[date, list[date]] = {}
        for day in days:
            months.setdefault(day.replace(day=1), []).append(day)
        by_day: Found[tuple[Funding, ...]] = {}
        for first, found in (await _each(months, of_month)).items():
            by_day |= dict.fromkeys(months[first], found) if isinstance(found, MarketPlatformError) else found
        return _sorted(by_day)

    async def open_interest(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[tuple[OpenInterest, ...]]:
        """See `HistorySource.open_interest`. The file of the day before is asked for too: the first midnight is in it.

        Raises:
            BadRequestError: the archive has no such market.
        """
        _perps_only(pair, "open interest")

        async def of_day(day: date) -> tuple[Readings, Source]:
            file = daily_file(pair, "metrics", day)
            return await self._read(file, lambda packed: read_metrics(self._whole(packed, file), file))

        found = await _each(sorted({*days, *(day - _ONE_DAY for day in days)}), of_day)
        by_day: Found[tuple[OpenInterest, ...]] = {}
        for day in days:
            own = found[day]
            by_day[day] = own if isinstance(own, MarketPlatformError) else reading_day(day, own, found[day - _ONE_DAY])
        return _sorted(by_day)

    async def trades(self, pair: HistoryPair, days: Sequence[date]) -> HistoryDays[Trades]:
        """See `HistorySource.trades`; ids are those of `aggTrade`. A day at a time is read, and all days asked for are kept.

        Raises:
            BadRequestError: the archive has no such market.
        """

        async def of_day(day: date) -> HistoryDay[Trades]:
            file, most = daily_file(pair, "aggTrades", day), self._config.csv_bytes

            def parse(packed: IO[bytes]) -> FileTrades:
                return read_agg_trades(read_blocks(packed, file, most), file)

            found, source = await self._read(file, parse, self._reading)
            return trade_day(found, source)

        made = _sorted(await _each(days, of_day))
        return HistoryDays(tuple(joined(made.days)), made.failures)

    async def checksums(self, names: Collection[str]) -> dict[str, str | None]:
        """The SHA-256 that the archive says each file has now, by name; None for one that is not there (any more).

        Only `.CHECKSUM` files are asked for. Names are those of `RawInput`.

        Raises:
            BadRequestError: a name is not that of a file of the archive.
            ExchangeUnavailableError, RateLimitedError, BadPayloadError: no usable answer for one of them.
        """
        if wrong := [name for name in names if not is_dump_name(name)]:
            raise BadRequestError(f"{wrong[0]!r} is not a file of Binance's archive")

        async def ask(name: str) -> str:
            async with self._gate:
                return await self._open.checksum(name)

        told: dict[str, str | None] = {}
        for name, found in (await _each(set(names), ask)).items():
            if isinstance(found, MarketPlatformError) and not isinstance(found, NotPublishedError):
                raise found
            told[name] = found if isinstance(found, str) else None
        return told

    async def _candles(
        self, file: DumpFile, interval: Interval, days: Sequence[date]
    ) -> list[HistoryDay[pl.DataFrame]]:
        def parse(packed: IO[bytes]) -> Candles:
            return read_klines(self._whole(packed, file), file, interval)

        candles, source = await self._read(file, parse)
        return candle_days(candles, source, interval, days)

    def _whole(self, packed: IO[bytes], file: DumpFile) -> bytes:
        return read_whole(packed, file, self._config.table_bytes)

    async def _read(
        self, file: DumpFile, parse: Callable[[IO[bytes]], Value], alone: asyncio.Lock | None = None
    ) -> tuple[Value, Source]:
        """What `parse` makes, in a thread, of a file whose checksum held; `alone` is held meanwhile."""
        async with self._gate:
            download = await self._open.download(file.path)

            def work() -> Value:
                with download.content:
                    return parse(download.content)

            async with alone or nullcontext():
                value = await asyncio.to_thread(work)
        return value, Source(file, download.sha256, download.bytes)

    @property
    def _open(self) -> DumpsTransport:
        if self._transport is None:
            raise RuntimeError("BinanceDumps is used as `async with`")
        return self._transport


async def _each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Value]]
) -> dict[Item, Value | MarketPlatformError]:
    """What `work` returns for each item, or the error of ours that it raises; all at once, in the order of the items."""

    async def one(item: Item) -> Value | MarketPlatformError:
        try:
            return await work(item)
        except MarketPlatformError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = {item: group.create_task(one(item)) for item in items}
    return {item: task.result() for item, task in tasks.items()}


def _sorted(found: Mapping[date, HistoryDay[Rows] | MarketPlatformError]) -> HistoryDays[Rows]:
    ordered = sorted(found.items(), key=lambda each: each[0])
    return HistoryDays(
        tuple(made for _, made in ordered if isinstance(made, HistoryDay)),
        {day: error for day, error in ordered if isinstance(error, MarketPlatformError)},
    )


def _flagged(made: HistoryDay[Rows] | MarketPlatformError, flag: str) -> HistoryDay[Rows] | MarketPlatformError:
    return replace(made, flags=(*made.flags, flag)) if isinstance(made, HistoryDay) else made


def _days_of(first: date) -> list[date]:
    return days_between(first, next_month(first) - _ONE_DAY)


def _perps_only(pair: HistoryPair, what: str) -> None:
    if pair.market_type != "perps":
        raise BadRequestError(f"{pair.name}: only perpetuals have {what}", code="no_history")
