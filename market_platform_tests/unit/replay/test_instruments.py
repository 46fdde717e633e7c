"""Descriptions have the API's shape, scales, sessions and holidays."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime

import pytest

from market_platform.replay.generator import GeneratorSource
from market_platform.replay.instruments import LISTED, describe, describe_all
from market_platform_tests.recordings import recording
from market_platform_tests.unit.replay.wire import ms

SCALES = {
    **dict.fromkeys(("EURUSD", "GBPUSD", "AUDUSD", "USDCAD", "USDCHF", "NZDUSD"), 5),
    **dict.fromkeys(("USDJPY", "GBPJPY", "EURJPY", "XAUUSD", "XAGUSD"), 3),
    "BTCUSD": 1,
}


def shape(value: object) -> object:
    """The structure of JSON: keys in order and types; lists by their first item."""
    if isinstance(value, dict):
        return [(key, shape(each)) for key, each in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_all_configured_instruments_are_listed_with_their_scales() -> None:
    assert {symbol: listed.price_scale for symbol, listed in LISTED.items()} == SCALES


def test_a_description_has_the_recorded_shape() -> None:
    recorded = json.loads(recording("dukascopy/json_api/instrument-BTC-USD.json").read_bytes())
    made = json.loads(describe(LISTED["BTCUSD"], first_tick_ms=recorded["histories"][0]["from"], last_year=2025))
    assert shape(made) == shape(recorded)
    same = ("name", "code", "pipValue", "priceScale", "description", "countryCode", "groupId", "groupCode", "leverage")
    assert {key: made[key] for key in same} == {key: recorded[key] for key in same}
    assert made["tradeSchedule"] == recorded["tradeSchedule"]
    assert [each["period"] for each in made["histories"]] == [each["period"] for each in recorded["histories"]]
    assert made["holidays"][-1] == recorded["holidays"][-1]


def test_forex_opens_at_17_new_york_the_day_before_and_closes_at_17() -> None:
    body = describe(LISTED["EURUSD"], first_tick_ms=ms(2015, 1, 1, 22) + 5, last_year=2026)
    made = json.loads(body)
    assert body.startswith(b'{"name":"EUR/USD","code":"EUR-USD","pipValue":1.0E-4,"priceScale":5,')
    assert made["defaultTimezone"] == "America/New_York"
    session = {"start": "17:00:00", "previousDayStart": True, "end": "17:00:00", "previousDayEnd": False}
    assert made["tradeSchedule"][0]["sessions"] == {
        day: [session] for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY")
    }
    assert made["histories"] == [
        {"period": "TICK", "from": ms(2015, 1, 1, 22) + 5},
        {"period": "MINUTE", "from": ms(2015, 1, 1, 22)},
        {"period": "HOUR", "from": ms(2015, 1, 1, 22)},
        {"period": "DAY", "from": ms(2015, 1, 1)},
    ]


def test_forex_holidays_are_christmas_and_new_year_on_weekdays() -> None:
    spans = json.loads(describe(LISTED["GBPJPY"], first_tick_ms=0, last_year=2026))["holidays"]
    assert {"from": ms(2024, 12, 25, 8), "till": ms(2024, 12, 25, 22)} in spans
    assert {"from": ms(2024, 12, 31, 22), "till": ms(2025, 1, 1, 22)} in spans
    assert {"from": ms(2026, 12, 31, 22), "till": ms(2027, 1, 1, 22)} in spans
    days = {datetime.fromtimestamp(each["till"] / 1000 - 1, UTC).date() for each in spans}
    assert date(2021, 12, 25) not in days  # a Saturday
    assert spans == sorted(spans, key=lambda each: each["from"])


def test_metals_pause_after_17_new_york() -> None:
    made = json.loads(describe(LISTED["XAUUSD"], first_tick_ms=0, last_year=2026))
    assert made["tradeSchedule"][0]["sessions"]["TUESDAY"][0]["start"] == "18:00:00"
    assert made["tradeSchedule"][0]["sessions"]["TUESDAY"][0]["end"] == "17:00:00"


def test_the_list_of_instruments_is_an_object_with_one_row_each() -> None:
    made = json.loads(describe_all(LISTED.values()))
    assert [row["code"] for row in made["instruments"]] == [listed.code for listed in LISTED.values()]
    assert all(re.fullmatch(r"[A-Z]{3}/[A-Z]{3}", row["name"]) for row in made["instruments"])


def test_only_the_exchanges_own_spelling_is_known(source: GeneratorSource) -> None:
    assert source.instrument("EUR-USD") is not None
    for code in ("EURUSD", "EUR.USD", "FOO-USD", "eur-usd"):
        assert source.instrument(code) is None


@pytest.mark.parametrize("symbol", list(SCALES))
def test_a_generated_history_begins_where_the_description_says(symbol: str, source: GeneratorSource) -> None:
    code = LISTED[symbol].code
    body = source.instrument(code)
    assert body is not None
    first = json.loads(body)["histories"][0]["from"]
    assert ms(2015, 1, 1) <= first < ms(2015, 1, 2)
