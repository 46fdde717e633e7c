"""`/api/candles` over real HTTP and a real Postgres: mistakes, shapes, exactness, spans, formats, conditions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from market_platform.domain.conditions import Condition
from market_platform.domain.days import Instrument
from market_platform.domain.ranks import CandleRank
from market_platform.domain.sessions import FOREX
from market_platform.warehouse.candles import write_candles
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform.warehouse.reference import PairRow, load_pair, store_instrument, sync_reference
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.candle_frames import candle_frame
from market_platform_tests.fixtures.reference import STARLISTINGS, small_config, synced_pair
from market_platform_tests.fixtures.stored_candles import at, hours, seconds, store

MONDAY = date(2024, 3, 18)
NOW = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse)


@pytest.fixture
def api(database_url: str, pair: PairRow) -> Iterator[ApiServer]:
    with ApiServer(database_url, clock=lambda: NOW) as server:
        yield server


def btc(warehouse: Warehouse) -> PairRow:
    with warehouse.connect() as conn:
        return load_pair(conn, "dukascopy", "BTCUSD")


SPAN: dict[str, Any] = {"from_": seconds("2024-03-18"), "to": seconds("2024-03-18T23:59:59")}


MISTAKES: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "missing_parameters"),
    ({"symbol": "BTCUSD"}, 400, "missing_parameters"),
    ({"symbol": "BTCUSD", "from_": "x", "to": 1}, 400, "invalid_parameter"),
    ({"symbol": "BTCUSD", "timeframe": "3m", **SPAN}, 400, "invalid_timeframe"),
    ({"symbol": "BTCUSD", "from_": 2, "to": 1}, 400, "invalid_range"),
    ({"symbol": "BTCUSD", "from_": 0, "to": 99_999_999}, 400, "range_too_large"),
    ({"symbol": "NOPE", **SPAN}, 404, "symbol_not_found"),
    ({"symbol": "§$%", **SPAN}, 404, "symbol_not_found"),
    ({"symbol": "BTCUSD", "exchange": "oanda", **SPAN}, 404, "symbol_not_found"),
    ({"symbol": "BTCUSD", "exchange": "nowhere", **SPAN}, 404, "symbol_not_found"),
    ({"symbol": "BTCUSD", "timeframe": "12h", **SPAN}, 404, "starlisting_not_found"),
]


def test_a_symbol_of_several_exchanges_is_the_first_configured_ones(api: ApiServer) -> None:
    assert api.get("/api/candles", symbol="EURUSD", **SPAN).headers["x-exchange"] == "dukascopy"
    chosen = api.get("/api/candles", symbol="EURUSD", exchange="oanda", **SPAN)
    assert (chosen.status_code, chosen.headers["x-exchange"]) == (200, "oanda")


def test_mistakes_are_problems(api: ApiServer) -> None:
    for parameters, status, code in MISTAKES:
        answer = api.get("/api/candles", **parameters)
        assert answer.status_code == status, parameters
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        problem = answer.json()
        assert (problem["code"], problem["status"], problem["type"]) == (code, status, f"/problems/{code}")
        assert problem["instance"] == "/api/candles"
        assert problem["title"]
        assert problem["detail"]
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert api.get(problem["type"]).json()["code"] == code


def test_other_methods_and_paths_are_problems(api: ApiServer) -> None:
    refused = api.http.post("/api/candles")
    assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in refused.headers["allow"]
    assert api.get("/api/candles/EURUSD").json()["code"] == "not_found"
    assert api.get("/api/candles", symbol="A" * 2000).json()["code"] == "invalid_parameter"


def test_what_was_removed_from_the_configuration_is_inactive(
    api: ApiServer, warehouse: Warehouse, pair: PairRow
) -> None:
    kept = STARLISTINGS.replace("    EURUSD: {coin: EUR, quote: USD}\n    BTCUSD", "    BTCUSD")
    with warehouse.begin() as conn:
        sync_reference(conn, small_config(kept))
    api.wait_until_listening()
    answer = api.get("/api/candles", symbol="EURUSD", exchange="dukascopy", **SPAN)
    assert (answer.status_code, answer.json()["code"]) == (400, "starlisting_inactive")
    assert api.get("/api/candles", symbol="EURUSD", **SPAN).status_code == 200  # oanda's alone is left


def test_candles_are_served_in_the_shape_clients_know(api: ApiServer, warehouse: Warehouse) -> None:
    rows = [
        (at("2024-03-18T01:00"), "65000.1", "65000.25", "64999", "65000.000", "12.5"),
        (at("2024-03-18T03:00"), "65000", "65001", "64000.5", "65000.5", "0"),
    ]
    store(warehouse, btc(warehouse), "1h", MONDAY, rows)
    answer = api.get("/api/candles", symbol="BTCUSD", **SPAN)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == (
        '[{"time":1710723600,"open":65000.1,"high":65000.25,"low":64999,"close":65000,"volume":12.5},'
        '{"time":1710730800,"open":65000,"high":65001,"low":64000.5,"close":65000.5,"volume":0}]'
    )
    assert answer.headers["x-data-available"] == "true"
    assert answer.headers["etag"] == f'"{answer.headers["x-data-version"]}"'
    assert answer.headers["cache-control"] == "public, max-age=1800"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_digit_is_lost(api: ApiServer, warehouse: Warehouse) -> None:
    prices = ["1.234567890123456789", "123456789012.123456789012345678", "0.000000000000000001", "0.000000000000000001"]
    row = (at("2024-03-18"), prices[0], prices[1], prices[2], prices[3], "9999999999999999.000000000000000001")
    store(warehouse, btc(warehouse), "1h", MONDAY, [row])
    text = api.get("/api/candles", symbol="BTCUSD", **SPAN).text
    for name, value in zip(("open", "high", "low", "close", "volume"), row[1:], strict=True):
        assert f'"{name}":{value}' in text
    served = api.get("/api/candles", symbol="BTCUSD", **SPAN).json(parse_float=Decimal)
    assert served[0]["open"] == Decimal(prices[0])


def test_both_ends_are_included(api: ApiServer, warehouse: Warehouse) -> None:
    store(warehouse, btc(warehouse), "1h", MONDAY, hours(at("2024-03-18"), 24))

    def opens(start: str, end: str) -> list[int]:
        answer = api.get("/api/candles/BTCUSD/1h", from_=seconds(start), to=seconds(end))
        return [datetime.fromtimestamp(row["time"], UTC).hour for row in answer.json()]

    assert opens("2024-03-18T05:00", "2024-03-18T07:00") == [5, 6, 7]
    assert opens("2024-03-18T05:00:01", "2024-03-18T06:59:59") == [6]
    assert opens("2024-03-18T05:00:01", "2024-03-18T05:59:59") == []
    assert opens("2024-03-17T00:00", "2024-03-20T00:00") == list(range(24))


SPELLINGS = [
    "/api/candles?symbol=btc/usd&timeframe=1h&",
    "/api/candles?symbol=BTC_USD&",
    "/api/candles?symbol=BTCUSD&exchange=DUKASCOPY&_=1&",
    "/api/candles/btc-usd/1h?",
    "/api/candles/BTC/USD/1h?",
    "/api/candles/BTC%2FUSD/1h?symbol=EURUSD&",
]


def test_every_spelling_of_the_url_is_the_same_answer(api: ApiServer, warehouse: Warehouse) -> None:
    store(warehouse, btc(warehouse), "1h", MONDAY, hours(at("2024-03-18"), 3))
    plain = api.get("/api/candles", symbol="BTCUSD", timeframe="1h", **SPAN)
    for path in SPELLINGS:
        spelled = api.http.get(f"{path}to={SPAN['to']}&from={SPAN['from_']}")
        assert spelled.status_code == 200, path
        assert spelled.content == plain.content, path
        assert spelled.headers["etag"] == plain.headers["etag"], path


def test_an_exchange_chooses_between_venues(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair, "1h", MONDAY, hours(at("2024-03-18"), 1, "1.1"))
    assert api.get("/api/candles", symbol="EURUSD", **SPAN).json()[0]["open"] == 1.1
    assert api.get("/api/candles", symbol="EURUSD", exchange="dukascopy", **SPAN).json()[0]["open"] == 1.1
    assert api.get("/api/candles", symbol="EURUSD", exchange="oanda", **SPAN).json() == []


def test_nothing_in_range_says_where_there_is_something(api: ApiServer, warehouse: Warehouse) -> None:
    empty = api.get("/api/candles", symbol="BTCUSD", **SPAN)
    assert (empty.status_code, empty.json(), empty.headers["x-data-available"]) == (200, [], "false")
    assert "x-available-from" not in empty.headers
    store(warehouse, btc(warehouse), "1h", MONDAY, hours(at("2024-03-18T05:00"), 3))
    store(warehouse, btc(warehouse), "1h", date(2024, 3, 20), hours(at("2024-03-20T05:00"), 2))
    api.wait_until_listening()
    for start, end in (("2024-01-01", "2024-02-01"), ("2024-03-18T10:00", "2024-03-18T12:00")):
        empty = api.get("/api/candles", symbol="BTCUSD", from_=seconds(start), to=seconds(end))
        assert (empty.text, empty.headers["x-data-available"]) == ("[]", "false")
        assert empty.headers["x-available-from"] == str(seconds("2024-03-18T05:00"))
        assert empty.headers["x-available-to"] == str(seconds("2024-03-20T06:00"))


def test_every_timeframe(api: ApiServer, warehouse: Warehouse) -> None:
    for timeframe, day, max_age in (
        ("1m", "2024-03-18", 60),
        ("5m", "2024-03-18", 300),
        ("1d", "2024-03-18", 3600),
        ("1w", "2024-03-18", 3600),
        ("1M", "2024-03-01", 3600),
    ):
        store(warehouse, btc(warehouse), timeframe, date.fromisoformat(day), hours(at(day), 1, "2"))
        answer = api.get(f"/api/candles/BTCUSD/{timeframe}", from_=seconds(day), to=seconds(day) + 100)
        assert [row["time"] for row in answer.json()] == [seconds(day)]
        assert answer.headers["cache-control"] == f"public, max-age={max_age}"
        assert answer.headers["x-data-condition"] == "available"


@pytest.mark.parametrize("ask", [{"headers": {"accept": "text/csv"}}, {"format": "csv"}])
def test_csv_has_the_same_rows_and_another_tag(api: ApiServer, warehouse: Warehouse, ask: dict[str, Any]) -> None:
    store(warehouse, btc(warehouse), "1h", MONDAY, hours(at("2024-03-18"), 3, "65000.123456789012345678"))
    as_json = api.get("/api/candles/BTCUSD/1h", **SPAN)
    as_csv = api.get("/api/candles/BTCUSD/1h", **ask, **SPAN)
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert list(csv.DictReader(io.StringIO(as_csv.text))) == [
        {name: str(value) for name, value in row.items()} for row in as_json.json(parse_float=Decimal)
    ]
    assert as_csv.headers["etag"] != as_json.headers["etag"]
    assert as_csv.headers["x-data-version"] == as_json.headers["x-data-version"]
    assert as_csv.headers["vary"] == "Accept"
    none = api.get("/api/candles/BTCUSD/1h", **ask, from_=0, to=1)
    assert none.text == "time,open,high,low,close,volume\n"


def test_head_has_the_headers_of_get(api: ApiServer, warehouse: Warehouse) -> None:
    store(warehouse, btc(warehouse), "1h", MONDAY, hours(at("2024-03-18"), 3))
    url = f"/api/candles/BTCUSD/1h?from={SPAN['from_']}&to={SPAN['to']}"
    head, get = api.http.head(url), api.http.get(url)
    assert (head.status_code, head.content) == (200, b"")
    volatile = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in volatile} == {
        k: v for k, v in get.headers.items() if k not in volatile
    }


def test_the_condition_of_the_worst_day_is_said(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    with warehouse.begin() as conn:
        store_instrument(conn, pair.id, Instrument("EURUSD", "EUR-USD", 5, FOREX))
    for offset, condition in enumerate((Condition.AVAILABLE, Condition.DEGRADED, Condition.AVAILABLE)):
        day = MONDAY + timedelta(days=offset)
        store(warehouse, pair, "1h", day, hours(at(day.isoformat()), 3), condition)

    def said(first: str, last: str) -> str:
        answer = api.get(
            "/api/candles/EURUSD/1h", exchange="dukascopy", from_=seconds(first), to=seconds(f"{last}T23:59:59")
        )
        return answer.headers["x-data-condition"]

    assert said("2024-03-18", "2024-03-18") == "available"
    assert said("2024-03-18", "2024-03-20") == "degraded"
    assert said("2024-03-18", "2024-03-21") == "not_materialised"
    assert said("2024-03-16", "2024-03-16") == "closed"  # a Saturday
    assert said("2024-05-31", "2024-08-01") == "not_materialised"
    assert said("2024-06-03", "2024-08-01") == "pending"


def test_a_long_range_comes_whole(api: ApiServer, warehouse: Warehouse) -> None:
    days = 20
    pair = btc(warehouse)
    made = candle_frame(MONDAY, days * 1440)
    every = [MONDAY + timedelta(days=each) for each in range(days)]
    with warehouse.begin() as conn:
        write_candles(
            conn,
            starlisting_id=pair.starlistings["1m"],
            days=every,
            candles=made,
            source=CandleRank.COMPLETE_TICKS,
            conditions=dict.fromkeys(every, Condition.AVAILABLE),
            run_id="test",
            code_version="1",
        )
    asked: dict[str, Any] = {"from_": seconds("2024-03-17T11:11:11"), "to": seconds("2024-04-06T11:30")}
    answer = api.get("/api/candles/BTCUSD/1m", **asked)
    expected = made.filter((made["time"] >= at("2024-03-17")) & (made["time"] <= at("2024-04-06T11:30")))
    rows = answer.json(parse_float=Decimal)
    assert len(rows) == expected.height > 20_000
    assert [row["time"] for row in rows] == (expected["time"].dt.epoch("s")).to_list()
    assert [Decimal(row["close"]) for row in rows] == expected["close"].to_list()
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["x-data-available"] == "true"
    again = api.get("/api/candles/BTCUSD/1m", headers={"if-none-match": answer.headers["etag"]}, **asked)
    assert again.status_code == 304
    as_csv = api.get("/api/candles/BTCUSD/1m", format="csv", **asked)
    assert as_csv.text.count("\n") == expected.height + 1
    assert as_csv.text.endswith("\n")
    head = api.http.head(f"/api/candles/BTCUSD/1m?from={asked['from_']}&to={asked['to']}")
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])


def test_request_ids_are_kept_when_plain(api: ApiServer) -> None:
    assert api.get("/livez", headers={"x-request-id": "job-7.2"}).headers["x-request-id"] == "job-7.2"
    assert api.get("/livez", headers={"x-request-id": 'a"b'}).headers["x-request-id"] != 'a"b'


def test_two_databases_are_two_answers(make_database: Any, warehouse: Warehouse, pair: PairRow, api: ApiServer) -> None:
    other_url = make_database()
    other = create_warehouse(other_url)
    try:
        synced_pair(other)
        store(other, btc(other), "1h", MONDAY, hours(at("2024-03-18"), 1))
        with ApiServer(other_url, clock=lambda: NOW) as other_api:
            assert len(other_api.get("/api/candles/BTCUSD/1h", **SPAN).json()) == 1
        assert api.get("/api/candles/BTCUSD/1h", **SPAN).json() == []
    finally:
        other.close()
