"""What Dukascopy says of its own instruments: the built-in descriptions of those the platform is configured for.

Belongs here: scales, schedules, holidays, and the JSON that states them. Does not: prices. A description recorded in a
folder of recordings wins over the one here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import orjson

from market_platform.domain.clock import to_ms
from market_platform.domain.sessions import SessionCalendar, Span, WeeklySession
from market_platform.replay.addresses import symbol_of
from market_platform.replay.numbers import java_double

WEEKDAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A week of sessions: each day's opens at `opens` the day before and closes at `closes`, by the clock of `timezone`."""

    id: str
    timezone: str
    days: tuple[int, ...]
    opens: time
    closes: time


FOREX_WEEK = Schedule("trade-147-America_New_York", "America/New_York", (0, 1, 2, 3, 4), time(17), time(17))
METAL_WEEK = Schedule("trade-149-America_New_York", "America/New_York", (0, 1, 2, 3, 4), time(18), time(17))
"""Spot metals pause for an hour after New York's 17:00."""
EVERY_DAY = Schedule("ALL", "UTC", (0, 1, 2, 3, 4, 5, 6), time(0), time(0))


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """One instrument; `group` is (groupId, groupCode, platformGroupId)."""

    code: str
    description: str
    price_scale: int
    country: str
    group: tuple[int, str, str]
    schedule: Schedule
    contract_size: int | None = 1
    leverage: int | None = None

    @property
    def name(self) -> str:
        """`EUR/USD`."""
        return self.code.replace("-", "/")

    @property
    def symbol(self) -> str:
        """`EURUSD`."""
        return symbol_of(self.code)

    def calendar(self, last_year: int) -> SessionCalendar:
        """Its sessions, minus its holidays up to the end of `last_year`."""
        sessions = tuple(
            WeeklySession(day, self.schedule.opens, self.schedule.closes, open_days_before=1)
            for day in self.schedule.days
        )
        return SessionCalendar(self.schedule.timezone, sessions, self.holidays(last_year))

    def holidays(self, last_year: int) -> tuple[Span, ...]:
        """Christmas and New Year as Dukascopy closes for them, 2004 to `last_year`."""
        if self.schedule is EVERY_DAY:
            return tuple(_span(date(year - 1, 12, 31), 15, date(year, 1, 1), 14) for year in range(2018, last_year + 2))
        spans: list[Span] = []
        for year in range(2004, last_year + 2):
            new_year, christmas = date(year, 1, 1), date(year, 12, 25)
            if new_year.weekday() < 5:
                spans.append(_span(new_year - timedelta(days=1), 22, new_year, 22))
            if christmas.weekday() < 5:
                spans.append(_span(christmas, 8, christmas, 22))
        return tuple(spans)


_MAJOR = (18, "FX_MAJORS", "FX_MAJOR")
_CROSS = (17, "FX_CROSSES", "FX_CROSS")
_METAL = (19, "FX_METALS", "FX_METAL")
_CRYPTO = (9, "VCCY", "CRYPTO_CURR")

LISTED: Mapping[str, ListedInstrument] = {
    each.symbol: each
    for each in (
        ListedInstrument("EUR-USD", "Euro vs US Dollar", 5, "DE", _MAJOR, FOREX_WEEK),
        ListedInstrument("GBP-USD", "Pound Sterling vs US Dollar", 5, "GB", _MAJOR, FOREX_WEEK),
        ListedInstrument("USD-JPY", "US Dollar vs Japanese Yen", 3, "US", _MAJOR, FOREX_WEEK),
        ListedInstrument("AUD-USD", "Australian Dollar vs US Dollar", 5, "AU", _MAJOR, FOREX_WEEK),
        ListedInstrument("USD-CAD", "US Dollar vs Canadian Dollar", 5, "US", _MAJOR, FOREX_WEEK),
        ListedInstrument("USD-CHF", "US Dollar vs Swiss Franc", 5, "US", _MAJOR, FOREX_WEEK),
        ListedInstrument("NZD-USD", "New Zealand Dollar vs US Dollar", 5, "NZ", _MAJOR, FOREX_WEEK),
        ListedInstrument("GBP-JPY", "Pound Sterling vs Japanese Yen", 3, "GB", _CROSS, FOREX_WEEK),
        ListedInstrument("EUR-JPY", "Euro vs Japanese Yen", 3, "DE", _CROSS, FOREX_WEEK),
        ListedInstrument("XAU-USD", "Spot gold", 3, "US", _METAL, METAL_WEEK),
        ListedInstrument("XAG-USD", "Spot silver", 3, "US", _METAL, METAL_WEEK),
        ListedInstrument(
            "BTC-USD", "Bitcoin vs US Dollar", 1, "US", _CRYPTO, EVERY_DAY, contract_size=None, leverage=5
        ),
    )
}
"""By symbol, in the order of the configuration."""


def describe(listed: ListedInstrument, *, first_tick_ms: int, last_year: int) -> bytes:
    """Body of `/v1/instruments/{CODE}`. `first_tick_ms` is where its history of ticks begins."""
    hour = first_tick_ms - first_tick_ms % 3_600_000
    starts = {"TICK": first_tick_ms, "MINUTE": hour, "HOUR": hour, "DAY": hour - hour % 86_400_000}
    session = {
        "start": listed.schedule.opens.isoformat(),
        "previousDayStart": True,
        "end": listed.schedule.closes.isoformat(),
        "previousDayEnd": False,
    }
    group_id, group_code, platform_group = listed.group
    rest: dict[str, Any] = {
        "priceScale": listed.price_scale,
        "description": listed.description,
        "countryCode": listed.country,
        "groupId": group_id,
        "groupCode": group_code,
        "platformGroupId": platform_group,
        "sectorIds": [],
        "contractSize": listed.contract_size,
        "defaultTimezone": listed.schedule.timezone,
        "holidays": [{"from": start, "till": till} for start, till in listed.holidays(last_year)],
        "tradeSchedule": [
            {
                "id": listed.schedule.id,
                "from": 0,
                "to": None,
                "sessions": {WEEKDAYS[day]: [session] for day in listed.schedule.days},
            }
        ],
        "histories": [{"period": period, "from": start} for period, start in starts.items()],
        "leverage": listed.leverage,
        "rating": 1,
    }
    head = f'{{"name":"{listed.name}","code":"{listed.code}","pipValue":{_pip(listed)},'.encode()
    return head + orjson.dumps(rest)[1:]


def describe_all(instruments: Iterable[ListedInstrument]) -> bytes:
    """Body of `/v1/instruments`: one short row each."""
    rows: list[bytes] = []
    for number, listed in enumerate(instruments, 1):
        head = (
            f'{{"id":{number},"name":"{listed.name}","code":"{listed.code}",'
            f'"description":"{listed.description}","pipValue":{_pip(listed)},'
        ).encode()
        rest = {
            "priceScale": listed.price_scale,
            "countryCode": listed.country,
            "groupId": listed.group[0],
            "platformGroupId": listed.group[2],
            "webGroupId": None,
            "sectorIds": [],
            "rating": None,
        }
        rows.append(head + orjson.dumps(rest)[1:])
    return b'{"instruments":[' + b",".join(rows) + b"]}"


def _pip(listed: ListedInstrument) -> str:
    return java_double(float(f"1e-{listed.price_scale - 1}"))


def _span(first: date, first_hour: int, last: date, last_hour: int) -> Span:
    start = datetime.combine(first, time(first_hour), tzinfo=UTC)
    return to_ms(start), to_ms(datetime.combine(last, time(last_hour), tzinfo=UTC))
