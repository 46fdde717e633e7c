"""When a market is open by what kind of market it is, where the exchange has not described its hours itself.

Belongs here: the one rule of that, for fetchers, and for readers who judge days that nothing is stored of. Does not: an
instrument's own description (Dukascopy's, stored with its pair), the holidays of stock exchanges (exchanges/yahoo).
"""

from __future__ import annotations

from datetime import time

from market_platform.domain.sessions import ALWAYS_OPEN, SessionCalendar, WeeklySession

_CURRENCIES = frozenset(
    "AUD CAD CHF CNH CZK DKK EUR GBP HKD HUF JPY MXN NOK NZD PLN SEK SGD THB TRY USD ZAR".split()  # noqa: SIM905
)
_METALS = frozenset({"XAU", "XAG", "XPT", "XPD"})
_SUNDAY = 6
_CLASSES_OF_SHARES = ("A", "B")


def _new_york_days(opens: time, closes: time) -> SessionCalendar:
    """A market of New York's days from the evening before, Sunday to Friday."""
    days = tuple(WeeklySession(weekday, opens, closes, open_days_before=1) for weekday in range(5))
    return SessionCalendar("America/New_York", days)


def _whole_days(*weekdays: int) -> SessionCalendar:
    """A market that may trade at any hour of those UTC days; its own hours are not known here."""
    return SessionCalendar(
        "UTC", tuple(WeeklySession(day, time(0), time(0), closes_days_before=-1) for day in weekdays)
    )


FOREX_HOURS = _new_york_days(time(17, 5), time(16, 59))
METAL_HOURS = _new_york_days(time(18, 5), time(16, 59))
AMERICAN_STOCK_DAYS = _whole_days(*range(5))
STOCK_DAYS = _whole_days(*range(5), _SUNDAY)
"""Sydney's Monday begins on Sunday; no stock exchange trades on a Saturday."""


def quoted_hours(coin: str, quote: str) -> SessionCalendar | None:
    """When a dealer such as OANDA quotes a currency or a metal; None for anything else, whose hours are not known."""
    if coin in _METALS and quote in _CURRENCIES:
        return METAL_HOURS
    if coin in _CURRENCIES and quote in _CURRENCIES:
        return FOREX_HOURS
    return None


def usual_hours(exchange: str, market_type: str, symbol: str, coin: str, quote: str) -> SessionCalendar:
    """When the market of a pair may be open; a market whose hours are not known counts as open, so that no hole is hidden.

    Crypto trades round the clock, OANDA's currencies and metals have their week, stocks no Saturday (American ones no Sunday).
    """
    if exchange == "oanda":
        return quoted_hours(coin, quote) or ALWAYS_OPEN
    if market_type == "stock":
        _, dot, end = symbol.rpartition(".")
        return STOCK_DAYS if dot and end not in _CLASSES_OF_SHARES else AMERICAN_STOCK_DAYS
    return ALWAYS_OPEN
