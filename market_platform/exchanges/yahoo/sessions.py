"""When the stock exchanges are open whose bars Yahoo has: sessions, half days, holidays and lunch breaks.

Belongs here: calendars, by the package exchange_calendars. Does not: names of exchanges (codes.py), bars. Calendars are
made when they are first asked for, twenty years at a time.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from market_platform.domain.clock import day_start_ms, days_between, to_ms
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import DAY_MS, MINUTE_MS
from market_platform.domain.sessions import Span
from market_platform.exchanges.yahoo.codes import CALENDARS, OF_SUFFIX

FINAL_AFTER_MS = 30 * MINUTE_MS
"""So long after its last session's close Yahoo may still correct a day."""

_AMERICAN = "NYQ"

_BLOCK_YEARS = 20
_FIRST_YEAR = 1960


@dataclass(frozen=True, slots=True)
class Session:
    """One exchange day: `day` by the exchange's own date, and when it was open (ms, UTC), in two parts around a lunch break."""

    day: date
    spans: tuple[Span, ...]

    @property
    def opens_ms(self) -> int:
        """When it began."""
        return self.spans[0][0]

    @property
    def closes_ms(self) -> int:
        """When it was over."""
        return self.spans[-1][1]


def calendar_code(exchange_name: str) -> str:
    """The calendar of an exchange by Yahoo's code (`NMS` -> `XNYS`).

    Raises:
        BadRequestError: code `no_sessions`; we don't know when it is open.
    """
    try:
        return CALENDARS[exchange_name]
    except KeyError:
        raise BadRequestError(
            f"no calendar is known for Yahoo's exchange {exchange_name!r}, so its days can't be told apart; "
            f"known are {', '.join(CALENDARS)}",
            code="no_sessions",
        ) from None


def exchange_of(symbol: str) -> str:
    """Yahoo's code of the exchange of a symbol by its end, without asking: `AZN.L` -> `LSE`; without one, an American one.

    That is enough to know when to poll; an answer's own code decides about days.

    Raises:
        BadRequestError: code `no_sessions`; the end is not known.
    """
    _, dot, end = symbol.rpartition(".")
    if not dot or end in ("A", "B"):  # a class of shares
        return _AMERICAN
    try:
        return OF_SUFFIX[end]
    except KeyError:
        raise BadRequestError(
            f"{symbol}: no exchange with a calendar is known for symbols that end in .{end}; "
            f"known ends are {', '.join(OF_SUFFIX)}",
            code="no_sessions",
        ) from None


def sessions_of(exchange_name: str, first: date, last: date) -> tuple[Session, ...]:
    """The sessions of the exchange days from `first` to `last`, both included, in order; holidays have none.

    Raises:
        BadRequestError: code `no_sessions`; the exchange is not known, or a day lies beyond what its calendar knows.
    """
    code = calendar_code(exchange_name)
    found: list[Session] = []
    for year in range(_block(first), _block(last) + 1, _BLOCK_YEARS):
        known = _sessions(code, year)
        days = _within(first, last, year)
        if days and not known.first <= days[0] <= days[-1] <= known.last:
            raise BadRequestError(
                f"the calendar {code} of Yahoo's exchange {exchange_name} is known from {known.first} to {known.last} only; "
                f"ask for days between, or update the package exchange_calendars",
                code="no_sessions",
            )
        found += [known.sessions[day] for day in days if day in known.sessions]
    return tuple(found)


def open_spans(exchange_name: str, day: date) -> tuple[Span, ...]:
    """When the exchange was open within a UTC day (ms), in order; Sydney's exchange days begin on the UTC day before."""
    start = day_start_ms(day)
    end = start + DAY_MS
    around = sessions_of(exchange_name, day - timedelta(days=1), day + timedelta(days=1))
    return tuple(
        (max(opens, start), min(closes, end))
        for session in around
        for opens, closes in session.spans
        if opens < end and closes > start
    )


def is_open(exchange_name: str, now: datetime) -> bool:
    """Whether the exchange trades at that moment; a lunch break is not open.

    Raises:
        BadRequestError: the exchange is not known.
    """
    moment = to_ms(now)
    return any(opens <= moment < closes for opens, closes in open_spans(exchange_name, now.date()))


def _block(day: date) -> int:
    """The first year of the twenty that are made together."""
    return max(_FIRST_YEAR, day.year - day.year % _BLOCK_YEARS)


def _within(first: date, last: date, year: int) -> list[date]:
    return days_between(max(first, date(year, 1, 1)), min(last, date(year + _BLOCK_YEARS - 1, 12, 31)))


class _Known(NamedTuple):
    """Sessions of the days from `first` to `last`."""

    first: date
    last: date
    sessions: dict[date, Session]


@lru_cache(maxsize=64)
def _sessions(code: str, year: int) -> _Known:
    """Every session of twenty years, as far as the calendar goes."""
    first, last = date(year, 1, 1), date(year + _BLOCK_YEARS - 1, 12, 31)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # what the package itself uses of pandas
        import exchange_calendars  # type: ignore[import-untyped]  # takes half a second

        try:
            calendar = exchange_calendars.get_calendar(code, start=first.isoformat(), end=last.isoformat())
        except ValueError:  # it does not go so far
            cls = type(exchange_calendars.get_calendar(code))
            first = max(first, first if cls.bound_min() is None else cls.bound_min().date())
            last = min(last, last if cls.bound_max() is None else cls.bound_max().date())
            if first > last:
                return _Known(first, last, {})
            calendar = cls(start=first.isoformat(), end=last.isoformat())
        schedule = calendar.schedule
    times = (_ms(schedule[name]) for name in ("open", "break_start", "break_end", "close"))
    sessions = {
        day.date(): Session(
            day.date(), ((opens, closes),) if pause is None or resumes is None else ((opens, pause), (resumes, closes))
        )
        for day, opens, pause, resumes, closes in zip(schedule.index, *times, strict=True)
    }
    return _Known(first, last, sessions)


def _ms(column: Any) -> list[Any]:
    """A column of pandas timestamps in ms since the epoch, None where there is none."""
    return [None if each != each else round(each.timestamp() * 1000) for each in column]  # noqa: PLR0124 - NaT
