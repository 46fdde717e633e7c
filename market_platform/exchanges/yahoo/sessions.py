"""When the stock exchanges are open whose bars Yahoo has: sessions, half days, holidays and lunch breaks.

Belongs here: Yahoo's codes of exchanges and their calendars, by the package exchange_calendars. Does not: bars. Calendars are
made when they are first asked for, twenty years at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from market_platform.domain.clock import day_start_ms, days_between, to_ms
from market_platform.domain.errors import BadRequestError
from market_platform.domain.intervals import DAY_MS, MINUTE_MS
from market_platform.domain.sessions import Span

FINAL_AFTER_MS = 30 * MINUTE_MS
"""So long after its last session's close Yahoo may still correct a day."""

CALENDARS = {
    # United States: Nasdaq's three tiers, NYSE, Arca, American, Cboe, over the counter
    **dict.fromkeys(("NMS", "NGM", "NCM", "NAS", "NYQ", "NYS", "PCX", "ASE", "BTS", "PNK", "OQB", "OQX"), "XNYS"),
    **dict.fromkeys(("TOR", "VAN", "NEO", "CNQ"), "XTSE"),
    "MEX": "XMEX",
    "SAO": "BVMF",
    "BUE": "XBUE",
    "SGO": "XSGO",
    # Europe
    "LSE": "XLON",
    "IOB": "XLON",
    "GER": "XETR",
    "FRA": "XFRA",
    "PAR": "XPAR",
    "AMS": "XAMS",
    "BRU": "XBRU",
    "LIS": "XLIS",
    "MIL": "XMIL",
    "MCE": "XMAD",
    "EBS": "XSWX",
    "VIE": "XWBO",
    "STO": "XSTO",
    "CPH": "XCSE",
    "HEL": "XHEL",
    "OSL": "XOSL",
    "ISE": "XDUB",
    "WSE": "XWAR",
    "PRA": "XPRA",
    "BUD": "XBUD",
    "IST": "XIST",
    # Asia, Pacific, Africa
    "JPX": "XTKS",
    "HKG": "XHKG",
    "SHH": "XSHG",
    "SHZ": "XSHG",
    "KSC": "XKRX",
    "KOE": "XKRX",
    "TAI": "XTAI",
    "TWO": "XTAI",
    "ASX": "XASX",
    "NZE": "XNZE",
    "NSI": "XBOM",
    "BSE": "XBOM",
    "SES": "XSES",
    "JKT": "XIDX",
    "KLS": "XKLS",
    "SET": "XBKK",
    "SAU": "XSAU",
    "JNB": "XJSE",
}
"""Yahoo's `exchangeName` -> a calendar's code."""

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


def sessions_of(exchange_name: str, first: date, last: date) -> tuple[Session, ...]:
    """The sessions of the exchange days from `first` to `last`, both included, in order; holidays have none.

    Raises:
        BadRequestError: the exchange is not known.
    """
    code = calendar_code(exchange_name)
    found: list[Session] = []
    for year in range(_block(first), _block(last) + 1, _BLOCK_YEARS):
        sessions = _sessions(code, year)
        found += [sessions[day] for day in _within(first, last, year) if day in sessions]
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


@lru_cache(maxsize=64)
def _sessions(code: str, year: int) -> dict[date, Session]:
    """Every session of twenty years, as far as the calendar goes."""
    import exchange_calendars  # type: ignore[import-untyped]  # takes half a second

    cls = type(exchange_calendars.get_calendar(code))
    first, last = date(year, 1, 1), date(year + _BLOCK_YEARS - 1, 12, 31)
    if (earliest := cls.bound_min()) is not None:
        first = max(first, earliest.date())
    if (latest := cls.bound_max()) is not None:
        last = min(last, latest.date())
    if first > last:
        return {}
    schedule = cls(start=first.isoformat(), end=last.isoformat()).schedule
    times = (_ms(schedule[name]) for name in ("open", "break_start", "break_end", "close"))
    return {
        day.date(): Session(
            day.date(), ((opens, closes),) if pause is None or resumes is None else ((opens, pause), (resumes, closes))
        )
        for day, opens, pause, resumes, closes in zip(schedule.index, *times, strict=True)
    }


def _ms(column: Any) -> list[Any]:
    """A column of pandas timestamps in ms since the epoch, None where there is none."""
    return [None if each != each else round(each.timestamp() * 1000) for each in column]  # noqa: PLR0124 - NaT
