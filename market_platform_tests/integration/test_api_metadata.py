"""`/api/metadata`, `/`, `/health` and the pages about the service, over real HTTP and a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from market_platform.domain.conditions import Condition
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day
from market_platform.warehouse.reference import PairRow, load_pair
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.reference import synced_pair
from market_platform_tests.fixtures.stored_candles import at, hours, seconds, store


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse)


@pytest.fixture
def api(database_url: str, pair: PairRow) -> Iterator[ApiServer]:
    with ApiServer(database_url) as server:
        yield server


def ticks(warehouse: Warehouse, pair: PairRow, day: str, first: str, last: str, rows: int) -> None:
    row = LakeDay(
        trading_pair_id=pair.id,
        day=date.fromisoformat(day),
        object_key=f"ticks/{day}" if rows else None,
        content_hash="0" * 64 if rows else "",
        rows=rows,
        bytes=rows * 4,
        first_time=at(f"{day}T{first}") if rows else None,
        last_time=at(f"{day}T{last}") if rows else None,
        condition=Condition.AVAILABLE if rows else Condition.CLOSED,
        run_id="test",
        code_version="1",
    )
    with warehouse.begin() as conn:
        commit_lake_day(conn, row)


def test_mistakes_are_problems(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    with warehouse.connect() as conn:
        other = load_pair(conn, "oanda", "EURUSD")
    for each in (pair, other):
        store(warehouse, each, "1h", date(2024, 3, 18), hours(at("2024-03-18"), 1))
    for parameters, status, code in (
        ({"symbol": "NOPE"}, 404, "symbol_not_found"),
        ({"symbol": "BTCUSD"}, 404, "symbol_not_found"),  # configured, and without data
        ({"symbol": "$"}, 404, "symbol_not_found"),
        ({"symbol": ""}, 404, "symbol_not_found"),
        ({"symbol": "EURUSD", "exchange": "nowhere"}, 404, "symbol_not_found"),
    ):
        answer = api.http.get("/api/metadata", params=parameters)
        assert (answer.status_code, answer.json()["code"]) == (status, code), parameters
        assert answer.headers["content-type"] == "application/problem+json"
    assert api.get("/api/metadata", symbol="EURUSD", exchange="oanda").json()["timeframes"] == ["1m", "1h"]
    first = api.get("/api/metadata", symbol="EURUSD")
    assert (first.json()["exchange"], first.headers["x-exchange"]) == ("dukascopy", "dukascopy")


def test_symbols_that_have_data_are_listed_with_their_span_and_ticks(
    api: ApiServer, warehouse: Warehouse, pair: PairRow
) -> None:
    assert api.get("/api/metadata").json() == {"symbols": [], "timeframes": []}
    ticks(warehouse, pair, "2024-03-19", "00:00:00.120", "23:59:59.999", 500)
    ticks(warehouse, pair, "2024-03-18", "00:00:01.999", "20:00:00.000", 400)
    ticks(warehouse, pair, "2024-03-23", "", "", 0)
    listed = api.get("/api/metadata")
    assert listed.json() == {
        "symbols": [
            {
                "symbol": "EURUSD",
                "earliest": seconds("2024-03-18T00:00:01"),
                "latest": seconds("2024-03-19T23:59:59"),
                "tick_count": 900,
                "exchange": "dukascopy",
                "market_type": "spot",
            }
        ],
        "timeframes": ["1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w", "1M"],
    }
    one = api.get("/api/metadata", symbol="eur/usd").json()
    assert one == listed.json()["symbols"][0] | {"timeframes": listed.json()["timeframes"]}
    ticks(warehouse, pair, "2024-03-19", "00:00:00.120", "23:59:59.999", 600)
    assert api.get("/api/metadata", symbol="EURUSD").json()["tick_count"] == 1000


def test_a_symbol_without_ticks_is_listed_by_its_candles(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair, "1h", date(2024, 3, 18), hours(at("2024-03-18T05:00"), 3))
    store(warehouse, pair, "1d", date(2024, 3, 17), hours(at("2024-03-17"), 1))
    one = api.get("/api/metadata", symbol="EURUSD").json()
    assert (one["earliest"], one["latest"]) == (seconds("2024-03-17"), seconds("2024-03-18T07:00"))
    assert one["tick_count"] == 0


def test_metadata_has_a_tag(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    first = api.get("/api/metadata")
    assert first.headers["cache-control"] == "public, max-age=60"
    assert first.headers["etag"] == f'"{first.headers["x-data-version"]}"'
    same = api.get("/api/metadata", headers={"if-none-match": f'"x", W/{first.headers["etag"]}'})
    assert (same.status_code, same.content) == (304, b"")
    ticks(warehouse, pair, "2024-03-18", "00:00", "20:00", 400)
    assert api.get("/api/metadata", headers={"if-none-match": first.headers["etag"]}).status_code == 200


def test_health_of_a_healthy_service(api: ApiServer) -> None:
    api.wait_until_listening()
    health = api.get("/health")
    assert health.status_code == 200
    assert health.headers["cache-control"] == "no-store"
    body = health.json()
    assert body.pop("timestamp").startswith("20")
    assert body == {
        "status": "healthy",
        "database": "connected",
        "collectors": {},
        "streamers": [],
        "change_feed": "listening",
    }
    assert api.get("/livez").json() == {"status": "alive"}
    assert api.get("/readyz").json() == {"status": "ready"}
    for path in ("/health", "/livez", "/readyz", "/", "/docs", "/openapi.json", "/problems", "/api/metadata"):
        head = api.http.head(path)
        assert (head.status_code, head.content) == (200, b""), path


def test_the_service_says_what_it_is_without_help_from_elsewhere(api: ApiServer) -> None:
    service = api.get("/").json()
    assert service["name"]
    assert service["version"]
    page = api.get(service["docs"])
    assert page.headers["content-type"].startswith("text/html")
    assert "https://" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for linked in ("/docs/docs.css", "/docs/docs.js", service["openapi"], service["health"], service["problems"]):
        assert api.get(linked).status_code == 200, linked
    codes = [each["code"] for each in api.get("/problems").json()]
    assert {"missing_parameters", "symbol_not_found", "range_too_large"} <= set(codes)
    assert api.get("/problems/nothing").status_code == 404


def test_streamed_candles_are_newer_than_the_last_day_of_ticks(
    api: ApiServer, warehouse: Warehouse, pair: PairRow
) -> None:
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO lake_days (trading_pair_id, day, kind, object_key, content_hash, rows, bytes, first_time, last_time,"
            " condition, run_id, code_version) VALUES (%s, '2024-03-17', 'trades', 'k', 'h', 7, 1, '2024-03-17 01:00+00',"
            " '2024-03-17 23:59+00', 'available', 'run', '1')",
            (pair.id,),
        )
    store(warehouse, pair, "1m", date(2024, 3, 18), hours(at("2024-03-18T05:00"), 1))
    found = api.get("/api/metadata", symbol="EURUSD").json()
    assert (found["earliest"], found["latest"], found["tick_count"]) == (
        int(at("2024-03-17T01:00").timestamp()),
        int(at("2024-03-18T05:00").timestamp()),
        7,
    )
