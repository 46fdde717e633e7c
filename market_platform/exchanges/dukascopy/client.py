"""The Dukascopy client: instruments, days of ticks and minute candles, over JSON or bi5, as domain types.

What an hour without ticks means is decided here by the instrument's own calendar; what a failure is, by the transport.
"""

from __future__ import annotations

import asyncio
from datetime import date
from functools import partial
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import stamina

from market_platform.domain.candles import CandleUnits
from market_platform.domain.clock import Clock, day_start_ms, from_ms, to_ms, utc_now
from market_platform.domain.days import HOUR_MS, FetchedDay, HourReport, HourState, Instrument, hour_state
from market_platform.domain.errors import ExchangeUnavailableError, UnknownSymbolError, is_retryable
from market_platform.domain.pairs import normalise_symbol
from market_platform.domain.ticks import Ticks, concat_ticks
from market_platform.exchanges.dukascopy import bi5, jetta
from market_platform.exchanges.dukascopy.asking import Asker, Part, Request
from market_platform.exchanges.dukascopy.config import DukascopyConfig
from market_platform.exchanges.dukascopy.instrument import (
    bi5_name,
    find_code,
    likely_code,
    parse_codes,
    parse_instrument,
    similar_codes,
)

Side = Literal["bid", "ask"]


class DukascopyClient:
    """A `TickSource`; use it as an async context manager, in one event loop.

    The limit on requests in flight holds over everything asked through one client.
    """

    def __init__(self, config: DukascopyConfig, *, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self._open: Asker | None = None
        self._codes: list[str] | None = None

    async def __aenter__(self) -> Self:
        """Open the transports; nothing is asked yet.

        Raises:
            ConfigError: when a base URL is of no known kind or names a folder that is not there.
        """
        self._open = Asker(self._config, self._clock)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the transports."""
        asker, self._open = self._asker, None
        await asker.aclose()

    async def fetch_instrument(self, symbol: str) -> Instrument:
        """The exchange's own description of a symbol, always from the JSON API.

        Raises:
            UnknownSymbolError: the exchange does not know it; says how to list what it knows.
            BadPayloadError: the description is complete and wrong.
            ExchangeUnavailableError: no usable answer after finite retries.
        """
        symbol = normalise_symbol(symbol)
        what = f"dukascopy/{symbol} instrument"
        try:
            async with asyncio.timeout(self._config.day_budget_s):
                return await self._find_instrument(symbol, what)
        except TimeoutError:
            raise ExchangeUnavailableError(f"{what}: no answer within {self._config.day_budget_s:g} s") from None

    async def fetch_day(self, instrument: Instrument, day: date) -> FetchedDay:
        """A UTC day of ticks: hours concurrently, each checked; sorted, exact duplicates dropped.

        Raises:
            BadPayloadError: an answer is complete and wrong, naming the pair, day, hour and field.
            ExchangeUnavailableError: an hour could not be had in time; nothing of the day is returned.
        """
        name = f"dukascopy/{instrument.symbol} {day}"
        starts = [day_start_ms(day) + hour * HOUR_MS for hour in range(24)]
        deadline = self._deadline()
        hours: dict[int, tuple[Ticks, HourReport]] = {}

        async def fetch(start_ms: int) -> None:
            hours[start_ms] = await self._fetch_hour(instrument, start_ms, name, deadline)

        try:
            async with asyncio.timeout_at(deadline), asyncio.TaskGroup() as group:
                for start_ms in starts:
                    group.create_task(fetch(start_ms), name=f"{name} {start_ms // HOUR_MS % 24:02}h")
        except TimeoutError:
            left = ", ".join(f"{start_ms // HOUR_MS % 24:02}h" for start_ms in starts if start_ms not in hours)
            raise ExchangeUnavailableError(
                f"{name}: stopped after {self._config.day_budget_s:g} s with {len(hours)} of 24 hours fetched "
                f"(not: {left}); ask for the day again later, or raise DUKASCOPY_DAY_BUDGET_S"
            ) from None
        except BaseExceptionGroup as group_error:
            raise _worst(group_error) from None
        ticks, duplicates = concat_ticks([hours[start_ms][0] for start_ms in starts]).sorted_unique()
        return FetchedDay(day, instrument, ticks, tuple(hours[start_ms][1] for start_ms in starts), duplicates)

    async def fetch_minute_candles(self, instrument: Instrument, day: date, side: Side) -> CandleUnits:
        """The exchange's own 1m candles of a UTC day, flats (volume 0) left out; volume in units, `num_trades` 0.

        Raises:
            BadPayloadError: the answer is complete and wrong.
            ExchangeUnavailableError: no usable answer after finite retries.
        """
        what = f"dukascopy/{instrument.symbol} {day} {side} candles"
        start_ms, scale = day_start_ms(day), instrument.price_scale
        request = Request(
            what=what,
            json_path=f"candles/minute/{quote(instrument.code)}/{side.upper()}/{day.year}/{day.month}/{day.day}",
            bi5_path=f"{_bi5_folder(instrument, day)}/{side.upper()}_candles_min_1.bi5",
            decode_json=lambda body, what: jetta.decode_candles(body, start_ms, scale, what),
            decode_bi5=lambda body, what: bi5.decode_candles(body, start_ms, scale, what),
            nothing=bi5.decode_candles(b"", start_ms, scale, what),
        )
        deadline = self._deadline()
        try:
            async with asyncio.timeout_at(deadline):
                return (await self._asker.ask(request, deadline)).value
        except TimeoutError:
            raise ExchangeUnavailableError(f"{what}: no answer within {self._config.day_budget_s:g} s") from None

    async def _fetch_hour(
        self, instrument: Instrument, start_ms: int, name: str, deadline: float
    ) -> tuple[Ticks, HourReport]:
        """An hour and its state. One that is not over is not asked for: its first half would pass for all of it."""
        hour = start_ms // HOUR_MS % 24
        request = _hour_request(instrument, start_ms, f"{name} {hour:02}h")
        part: Part[Ticks] = Part(request.nothing)
        if to_ms(self._clock()) >= start_ms + HOUR_MS:
            part = await self._asker.ask(request, deadline)
        state = self._state(len(part.value), instrument, start_ms)
        for _ in range(self._config.empty_retries if part.source else 0):
            if state in (HourState.FULL, HourState.CLOSED, HourState.BEFORE_HISTORY):
                break
            await asyncio.sleep(0 if stamina.is_testing() else self._config.empty_delay_s)
            part = await self._asker.ask(request, deadline)
            state = self._state(len(part.value), instrument, start_ms)
        return part.value, HourReport(start_ms, state, len(part.value), part.sha256, part.size, part.source)

    def _state(self, rows: int, instrument: Instrument, start_ms: int) -> HourState:
        delay = self._config.publish_delay_ms
        return hour_state(rows, start_ms, instrument.calendar, self._clock(), delay, instrument.first_tick_ms)

    @property
    def _asker(self) -> Asker:
        if self._open is None:
            raise RuntimeError("a DukascopyClient is used as `async with DukascopyClient(…) as client:`")
        return self._open

    async def _find_instrument(self, symbol: str, what: str) -> Instrument:
        code = likely_code(symbol)
        if code is not None and (found := await self._instrument(code, symbol, what)):
            return found
        codes = await self._list_codes(what)
        code = find_code(symbol, codes)
        if code is not None and (found := await self._instrument(code, symbol, what)):
            return found
        near = similar_codes(symbol, codes)
        meant = f" Similar: {', '.join(near)}." if near else ""
        raise UnknownSymbolError(
            f"Dukascopy does not know the symbol {symbol}.{meant} "
            f"All it knows: curl {self._asker.json_base}/instruments"
        )

    async def _instrument(self, code: str, symbol: str, what: str) -> Instrument | None:
        parse = partial(parse_instrument, symbol=symbol, code=code, what=what)
        return await self._asker.get_json(f"instruments/{quote(code)}", what, parse, self._deadline())

    async def _list_codes(self, what: str) -> list[str]:
        """Every code the exchange lists, asked for once; none where there is no list."""
        if self._codes is None:
            parse = partial(parse_codes, what=what)
            self._codes = await self._asker.get_json("instruments", what, parse, self._deadline()) or []
        return self._codes

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._config.day_budget_s


def _hour_request(instrument: Instrument, start_ms: int, what: str) -> Request[Ticks]:
    day, hour, scale = from_ms(start_ms).date(), start_ms // HOUR_MS % 24, instrument.price_scale
    return Request(
        what=what,
        json_path=f"ticks/{quote(instrument.code)}/{day.year}/{day.month}/{day.day}/{hour}",
        bi5_path=f"{_bi5_folder(instrument, day)}/{hour:02}h_ticks.bi5",
        decode_json=lambda body, what: jetta.decode_ticks(body, start_ms, scale, what),
        decode_bi5=lambda body, what: bi5.decode_ticks(body, start_ms, scale, what),
        nothing=Ticks.empty(scale),
    )


def _bi5_folder(instrument: Instrument, day: date) -> str:
    """A day's folder; bi5 counts months from zero."""
    return f"{bi5_name(instrument.code)}/{day.year}/{day.month - 1:02}/{day.day:02}"


def _worst(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of the hours' failures the one to tell: an interruption, else one that a retry can't help, else the first."""
    errors = [each for each in group.exceptions if not isinstance(each, BaseExceptionGroup)]
    interruptions = [each for each in errors if not isinstance(each, Exception)]
    return next((each for each in (*interruptions, *errors) if not is_retryable(each)), errors[0])
