"""What a fetch of one day of ticks brought, hour by hour, and which condition that gives the day.

No empty hour is guessed: closed market, not yet published, and absent are three answers; a failure is an error, never
an hour without data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from market_platform.domain.candles import CandleUnits
from market_platform.domain.clock import to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.sessions import SessionCalendar
from market_platform.domain.ticks import Ticks

HOUR_MS = 3_600_000
EXPECTED_OPEN_MS = HOUR_MS // 2
"""An hour that was open for less than this may have no tick without anything being wrong."""


class HourState(StrEnum):
    """How an hour without failures came back."""

    FULL = "full"
    """The exchange sent ticks."""
    CLOSED = "closed"
    """Empty, and the market was closed (or open too shortly to expect a tick)."""
    BEFORE_HISTORY = "before_history"
    """Empty although the market was open, before the symbol's history begins, by the exchange or by the configuration."""
    UNPUBLISHED = "unpublished"
    """Empty, and so recent that the exchange may publish it yet."""
    ABSENT = "absent"
    """Empty although the market was open and the hour is old enough."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What an exchange says of a symbol itself.

    `code` is the exchange's spelling, `description` its raw answer (JSON), `first_tick_ms` the start of its history.
    """

    symbol: str
    code: str
    price_scale: int
    calendar: SessionCalendar
    first_tick_ms: int | None = None
    description: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class HourReport:
    """One hour: its start (ms), state, ticks, and the SHA-256 and size of the raw answer with where it came from."""

    start_ms: int
    state: HourState
    rows: int
    raw_sha256: str
    raw_bytes: int
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class FetchedDay:
    """A day as fetched: sorted, exact duplicates dropped, checked."""

    day: date
    instrument: Instrument
    ticks: Ticks
    hours: tuple[HourReport, ...]
    duplicates: int = 0

    @property
    def condition(self) -> Condition:
        """The day's condition; see `classify_day`."""
        return classify_day(self.hours)

    @property
    def incomplete_hours(self) -> list[int]:
        """Hours of the day (0–23) that are unpublished or absent."""
        return [
            hour.start_ms // HOUR_MS % 24
            for hour in self.hours
            if hour.state in (HourState.UNPUBLISHED, HourState.ABSENT)
        ]


class TickSource(Protocol):
    """An exchange's history of ticks. Implementations live in exchanges/, one an exchange."""

    async def fetch_instrument(self, symbol: str) -> Instrument:
        """The exchange's own description of a symbol.

        Raises:
            UnknownSymbolError: the exchange does not know it.
            ExchangeUnavailableError: no usable answer after finite retries.
        """
        ...

    async def fetch_day(self, instrument: Instrument, day: date) -> FetchedDay:
        """A UTC day of ticks, within the day's time budget.

        Raises:
            BadPayloadError: an answer is complete and wrong, naming the pair, day and hour.
            ExchangeUnavailableError: an hour could not be had; nothing of the day is returned.
        """
        ...

    async def fetch_minute_candles(self, instrument: Instrument, day: date, side: Literal["bid", "ask"]) -> CandleUnits:
        """The exchange's own minute candles of a UTC day at one side of the quote, minutes without ticks left out.

        `num_trades` is zero throughout: the exchange does not say.
        """
        ...


def hour_state(
    rows: int,
    start_ms: int,
    calendar: SessionCalendar,
    now: datetime,
    publish_delay_ms: int,
    first_tick_ms: int | None = None,
) -> HourState:
    """The state of an hour that answered with `rows` ticks.

    `publish_delay_ms` is how long after its end the exchange may still publish an hour; `first_tick_ms` is where the
    exchange says the symbol's history begins: an hour of an open market before it is `BEFORE_HISTORY`. An hour that
    was open for a few minutes only may be empty for good, but not before the exchange has had its time.
    """
    if rows:
        return HourState.FULL
    open_ms = calendar.open_ms(start_ms, start_ms + HOUR_MS)
    if first_tick_ms is not None and start_ms + HOUR_MS <= first_tick_ms:
        return HourState.CLOSED if open_ms < EXPECTED_OPEN_MS else HourState.BEFORE_HISTORY
    if open_ms and to_ms(now) < start_ms + HOUR_MS + publish_delay_ms:
        return HourState.UNPUBLISHED
    return HourState.CLOSED if open_ms < EXPECTED_OPEN_MS else HourState.ABSENT


def classify_day(hours: Sequence[HourReport]) -> Condition:
    """The condition of a day from its hours' states; a day in which history begins is judged from there on."""
    states = {hour.state for hour in hours}
    if HourState.UNPUBLISHED in states:
        return Condition.PENDING
    if HourState.FULL in states:
        return Condition.DEGRADED if HourState.ABSENT in states else Condition.AVAILABLE
    return Condition.CLOSED if states <= {HourState.CLOSED} else Condition.MISSING
