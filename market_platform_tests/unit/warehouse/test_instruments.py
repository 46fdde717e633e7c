"""An instrument survives its stay in the database."""

from __future__ import annotations

import json
from datetime import time

from market_platform.domain.days import Instrument
from market_platform.domain.sessions import ALWAYS_OPEN, FOREX, SessionCalendar, WeeklySession
from market_platform.warehouse.instruments import instrument_from_json, instrument_to_json


def test_an_instrument_comes_back_equal_from_json() -> None:
    calendar = SessionCalendar(
        "America/New_York",
        (WeeklySession(4, time(17), time(16, 59, 30), open_days_before=1, valid_from_ms=0, valid_to_ms=10),),
        holidays=((1_577_836_800_000, 1_577_923_200_000),),
    )
    for each in (calendar, FOREX, ALWAYS_OPEN):
        instrument = Instrument(
            "EURUSD", "EUR-USD", 5, each, 1_052_074_800_048, {"priceScale": 5, "nested": {"a": [1.5]}}
        )
        restored = instrument_from_json(json.loads(json.dumps(instrument_to_json(instrument))))
        assert restored == instrument
        assert restored.description == instrument.description
        assert restored.calendar.open_spans(0, 10**10) == each.open_spans(0, 10**10)
