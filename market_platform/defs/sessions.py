"""Which pairs' markets were open on a day, by the calendars that their exchanges told.

Belongs here: what schedules ask of stored calendars. Does not: calendars themselves (domain/sessions.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from market_platform.domain.sessions import SessionCalendar
    from market_platform.warehouse.engine import Warehouse


def split_by_sessions(
    warehouse: Warehouse, pairs: Sequence[TradingPair], day: date
) -> tuple[list[TradingPair], list[TradingPair]]:
    """Pairs whose market was open on the day, and those whose own calendar says it was closed all day.

    A pair whose calendar is not known yet counts as open: asking is how it becomes known.
    """
    calendars = stored_calendars(warehouse, pairs)
    closed = [pair for pair in pairs if pair.name in calendars and not calendars[pair.name].is_open_on(day)]
    names = {pair.name for pair in closed}
    return [pair for pair in pairs if pair.name not in names], closed


def stored_calendars(warehouse: Warehouse, pairs: Sequence[TradingPair]) -> Mapping[str, SessionCalendar]:
    """Session calendars by pair name, of those pairs whose instrument was ever fetched."""
    from market_platform.warehouse.reference import load_instrument, load_pairs

    names = {pair.name for pair in pairs}
    found: dict[str, SessionCalendar] = {}
    with warehouse.connect() as connection:
        for row in load_pairs(connection):
            instrument = load_instrument(connection, row.id) if row.name in names and row.instrument else None
            if instrument is not None:
                found[row.name] = instrument.calendar
    return found
