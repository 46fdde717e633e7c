"""Dukascopy's instrument descriptions: JSON to `Instrument`, with its own sessions and holidays; symbols to codes. Pure.

A schedule has eras (`from`, `to` in ms, null is without end), each with sessions by weekday in the instrument's own time
zone; `previousDayStart` and `previousDayEnd` put a session's ends on the day before. A session whose end is not after its
start ends a day later: "00:00:00" to "00:00:00" is a whole day.
"""

from __future__ import annotations

import re
from datetime import time
from difflib import get_close_matches
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from market_platform.domain.days import Instrument
from market_platform.domain.errors import BadPayloadError
from market_platform.domain.sessions import ALWAYS_OPEN, SessionCalendar, WeeklySession

Kind = TypeVar("Kind")

WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
MAX_PRICE_SCALE = 9


class _Session(msgspec.Struct, rename="camel"):
    start: str
    end: str
    previous_day_start: bool = False
    previous_day_end: bool = False


class _Era(msgspec.Struct):
    sessions: dict[str, list[_Session]]
    start: int | None = msgspec.field(default=None, name="from")
    end: int | None = msgspec.field(default=None, name="to")


class _Holiday(msgspec.Struct):
    till: int
    start: int = msgspec.field(name="from")


class _History(msgspec.Struct):
    period: str
    start: int = msgspec.field(name="from")


class _Description(msgspec.Struct, rename="camel"):
    code: str
    price_scale: int
    default_timezone: str
    holidays: list[_Holiday] = []
    trade_schedule: list[_Era] = []
    histories: list[_History] = []


class _Listed(msgspec.Struct):
    code: str


class _Listing(msgspec.Struct):
    instruments: list[_Listed]


def parse_instrument(body: bytes, symbol: str, code: str, what: str) -> Instrument:
    """The instrument of a symbol from the exchange's description of its code.

    An instrument without any schedule counts as always open, so that nothing missing is taken for a closed market.

    Raises:
        BadPayloadError: not this JSON, wrong types, another instrument's, an unknown time zone, or times that are none.
    """
    told = _decode(body, _Description, what)
    if told.code != code:
        raise BadPayloadError(f"{what}: the answer describes {told.code!r}, asked for {code!r}")
    if not 0 <= told.price_scale <= MAX_PRICE_SCALE:
        raise BadPayloadError(f"{what}: priceScale is {told.price_scale}, but 0 to {MAX_PRICE_SCALE} can be")
    try:
        ZoneInfo(told.default_timezone)
    except (KeyError, ValueError, OSError):
        raise BadPayloadError(f"{what}: defaultTimezone {told.default_timezone!r} is not a time zone") from None
    sessions = tuple(
        _session(weekday, session, era, what)
        for era in told.trade_schedule
        for weekday, each in era.sessions.items()
        for session in each
    )
    holidays = tuple(sorted((holiday.start, holiday.till) for holiday in told.holidays))
    if sessions:
        calendar = SessionCalendar(told.default_timezone, sessions, holidays)
    else:
        calendar = SessionCalendar(ALWAYS_OPEN.timezone, ALWAYS_OPEN.sessions, holidays)
    starts = [history.start for history in told.histories if history.period == "TICK"]
    description: dict[str, Any] = _decode(body, dict[str, Any], what)
    return Instrument(
        symbol=symbol,
        code=told.code,
        price_scale=told.price_scale,
        calendar=calendar,
        first_tick_ms=min(starts, default=None),
        description=description,
    )


def parse_codes(body: bytes, what: str) -> list[str]:
    """Every code in the exchange's list of instruments.

    Raises:
        BadPayloadError: neither `{"instruments": [{"code": …}]}` nor that array alone.
    """
    is_object = body.lstrip().startswith(b"{")
    listed = _decode(body, _Listing, what).instruments if is_object else _decode(body, list[_Listed], what)
    return [each.code for each in listed]


def likely_code(symbol: str) -> str | None:
    """`EUR-USD` for `EURUSD`: right for every pair of two three-letter currencies; None for other symbols."""
    return f"{symbol[:3]}-{symbol[3:]}" if re.fullmatch(r"[A-Z]{6}", symbol) else None


def find_code(symbol: str, codes: list[str]) -> str | None:
    """The listed code that is spelled like the symbol but for dots and dashes: `AAPL.US-USD` for `AAPLUSUSD`."""
    return next((code for code in codes if bi5_name(code) == bi5_name(symbol)), None)


def similar_codes(symbol: str, codes: list[str]) -> list[str]:
    """Up to five codes a person may have meant."""
    by_name = {bi5_name(code): code for code in codes}
    return [by_name[match] for match in get_close_matches(bi5_name(symbol), by_name, n=5)]


def bi5_name(code: str) -> str:
    """How bi5 paths spell a code: `EURUSD`, `AAPLUSUSD`."""
    return re.sub(r"[^A-Z0-9]", "", code.upper())


def _session(weekday: str, session: _Session, era: _Era, what: str) -> WeeklySession:
    if weekday not in WEEKDAYS:
        raise BadPayloadError(f"{what}: tradeSchedule has the day {weekday!r}, which is none")
    try:
        opens, closes = time.fromisoformat(session.start), time.fromisoformat(session.end)
    except ValueError:
        raise BadPayloadError(
            f"{what}: tradeSchedule {weekday} is from {session.start!r} to {session.end!r}, which are not times"
        ) from None
    opens_before, closes_before = int(session.previous_day_start), int(session.previous_day_end)
    if (-opens_before, opens) >= (-closes_before, closes):
        closes_before -= 1
    return WeeklySession(
        WEEKDAYS.index(weekday),
        opens,
        closes,
        opens_before,
        closes_before,
        valid_from_ms=era.start,
        valid_to_ms=era.end,
    )


def _decode(body: bytes, kind: type[Kind], what: str) -> Kind:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayloadError(f"{what}: {len(body)} bytes are not the JSON expected: {error}") from None
