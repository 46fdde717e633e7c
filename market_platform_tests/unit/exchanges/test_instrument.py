"""Instrument descriptions give scale, sessions and holidays; symbols find their codes."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from market_platform.domain.clock import day_start_ms, from_ms
from market_platform.domain.days import Instrument
from market_platform.domain.errors import BadPayloadError
from market_platform.exchanges.dukascopy.instrument import (
    bi5_name,
    find_code,
    likely_code,
    parse_codes,
    parse_instrument,
    similar_codes,
)
from market_platform_tests.fixtures.dukascopy_wire import FOREX_DAY, WEEK, WHOLE_DAY, instrument_json

WHAT = "dukascopy/EURUSD instrument"
HOUR = 3_600_000


def parse(**changed: Any) -> Instrument:
    return parse_instrument(json.dumps(instrument_json(**changed)).encode(), "EURUSD", "EUR-USD", WHAT)


def opens_at(instrument: Instrument, day: date) -> list[str]:
    return [from_ms(start).isoformat()[:16] for start, _ in instrument.calendar.open_spans_of_day(day)]


def test_description_gives_scale_history_and_its_own_raw_text() -> None:
    instrument = parse()
    assert (instrument.symbol, instrument.code, instrument.price_scale) == ("EURUSD", "EUR-USD", 5)
    assert instrument.first_tick_ms == 1_052_074_800_048
    assert instrument.description["pipValue"] == 0.0001


def test_forex_week_opens_on_sunday_evening_by_new_yorks_clock() -> None:
    instrument = parse()
    assert opens_at(instrument, date(2026, 1, 11)) == ["2026-01-11T22:00"]  # winter
    assert opens_at(instrument, date(2026, 7, 12)) == ["2026-07-12T21:00"]  # summer
    assert opens_at(instrument, date(2026, 7, 11)) == []


def test_holiday_is_closed() -> None:
    christmas = day_start_ms(date(2018, 12, 25))
    instrument = parse(holidays=[{"from": christmas + 8 * HOUR, "till": christmas + 22 * HOUR}])
    assert instrument.calendar.open_ms(christmas, christmas + 24 * HOUR) == 10 * HOUR


def test_midnight_to_midnight_is_a_whole_day() -> None:
    schedule = [{"id": "ALL", "from": 0, "to": None, "sessions": dict.fromkeys(WEEK, WHOLE_DAY)}]
    instrument = parse(defaultTimezone="UTC", tradeSchedule=schedule)
    saturday = day_start_ms(date(2023, 2, 18))
    assert instrument.calendar.open_spans(saturday, saturday + 48 * HOUR) == [(saturday, saturday + 48 * HOUR)]


@pytest.mark.parametrize(("end", "hours"), [("00:00:00", 14), ("10:00:00", 24), ("09:00:00", 23), ("20:30:00", 10.5)])
def test_session_that_does_not_end_after_its_start_ends_the_day_after(end: str, hours: float) -> None:
    session = {"start": "10:00:00", "previousDayStart": False, "end": end, "previousDayEnd": False}
    schedule = [{"id": "x", "from": 0, "to": None, "sessions": {"WEDNESDAY": [session]}}]
    instrument = parse(defaultTimezone="UTC", tradeSchedule=schedule)
    wednesday = day_start_ms(date(2026, 1, 14))
    assert instrument.calendar.open_ms(wednesday - 48 * HOUR, wednesday + 72 * HOUR) == hours * HOUR


def test_schedule_of_another_era_holds_in_its_own_time_only() -> None:
    change = day_start_ms(date(2024, 1, 1))
    five_days = dict.fromkeys(WEEK[:5], FOREX_DAY)
    schedule = [
        {"id": "old", "from": 0, "to": change, "sessions": five_days},
        {"id": "new", "from": change, "to": None, "sessions": dict.fromkeys(WEEK, WHOLE_DAY)},
    ]
    instrument = parse(tradeSchedule=schedule)
    assert opens_at(instrument, date(2023, 12, 16)) == []
    assert opens_at(instrument, date(2024, 1, 6)) == ["2024-01-06T00:00"]
    sunday = change - 24 * HOUR  # 31 December 2023: the old era has its evening only
    assert instrument.calendar.open_ms(sunday, change + 24 * HOUR) == 2 * HOUR + 24 * HOUR


def test_no_schedule_counts_as_always_open_so_that_nothing_missing_passes_for_closed() -> None:
    instrument = parse(tradeSchedule=[])
    saturday = day_start_ms(date(2023, 2, 18))
    assert instrument.calendar.open_ms(saturday, saturday + 24 * HOUR) == 24 * HOUR


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"priceScale": "5"}, r"Expected `int`, got `str` - at `\$.priceScale`"),
        ({"priceScale": -1}, "priceScale is -1"),
        ({"priceScale": 40}, "priceScale is 40"),
        ({"defaultTimezone": "Mars/Olympus"}, "'Mars/Olympus' is not a time zone"),
        ({"defaultTimezone": "../etc"}, "is not a time zone"),
        ({"code": "GBP-USD"}, "describes 'GBP-USD', asked for 'EUR-USD'"),
        ({"holidays": [{"from": "x", "till": 1}]}, r"at `\$.holidays"),
        ({"tradeSchedule": [{"from": 0, "to": None, "sessions": {"FUNDAY": FOREX_DAY}}]}, "'FUNDAY', which is none"),
        (
            {"tradeSchedule": [{"from": 0, "to": None, "sessions": {"MONDAY": [FOREX_DAY[0] | {"end": "25:00"}]}}]},
            "to '25:00', which are not times",
        ),
    ],
)
def test_wrong_description_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(BadPayloadError, match=told):
        parse(**changed)


def test_not_json_is_refused() -> None:
    with pytest.raises(BadPayloadError, match="EURUSD instrument: 5 bytes are not the JSON expected"):
        parse_instrument(b"<html", "EURUSD", "EUR-USD", WHAT)


CODES = ["EUR-USD", "XAU-USD", "BTC-USD", "USA500.IDX-USD", "AAPL.US-USD", "LIGHT.CMD-USD", "A&B.US-USD"]


def test_two_currencies_are_split_in_the_middle() -> None:
    assert [likely_code(symbol) for symbol in ("EURUSD", "XAUUSD", "BTCUSD")] == ["EUR-USD", "XAU-USD", "BTC-USD"]
    assert likely_code("AAPL.USUSD") is None
    assert likely_code("AAPLUSUSD") is None


def test_other_symbols_are_found_in_the_list() -> None:
    assert find_code("USA500.IDXUSD", CODES) == "USA500.IDX-USD"
    assert find_code("USA500IDXUSD", CODES) == "USA500.IDX-USD"
    assert find_code("EURUSX", CODES) is None
    assert similar_codes("EURUSX", CODES)[0] == "EUR-USD"


def test_list_of_instruments_gives_codes() -> None:
    assert parse_codes(b'[{"code": "EUR-USD", "priceScale": 5}, {"code": "XAU-USD"}]', WHAT) == ["EUR-USD", "XAU-USD"]
    assert parse_codes(b' {"instruments": [{"code": "EUR-USD"}]}', WHAT) == ["EUR-USD"]
    for body in (b'{"codes": []}', b"[1]", b"", b'{"instruments": 1}'):
        with pytest.raises(BadPayloadError):
            parse_codes(body, WHAT)


def test_bi5_paths_spell_codes_without_punctuation() -> None:
    assert [bi5_name(code) for code in CODES[:5]] == ["EURUSD", "XAUUSD", "BTCUSD", "USA500IDXUSD", "AAPLUSUSD"]
