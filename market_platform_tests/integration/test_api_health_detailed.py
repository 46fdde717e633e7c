"""`/health/detailed`: everything `/health` says and why, over real HTTP and a real Postgres."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import PairRow
from market_platform.warehouse.stream_health import StreamConnection, StreamState, save_connections, save_stream_state
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.fixtures.reference import synced_pair
from market_platform_tests.fixtures.stored_candles import at, hours, store

NOW = datetime(2024, 3, 18, 12, tzinfo=UTC)


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse, "oanda")


@pytest.fixture
def api(database_url: str, pair: PairRow) -> Iterator[ApiServer]:
    assert pair.starlistings
    with ApiServer(database_url, clock=lambda: NOW) as server:
        server.wait_until_listening()
        yield server


def test_it_says_what_health_says_and_more(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    store(warehouse, pair, "1h", date(2024, 3, 18), hours(at("2024-03-18T08:00"), 3))
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO lake_days (trading_pair_id, day, kind, object_key, content_hash, rows, bytes, first_time, last_time,"
            " condition, run_id, code_version) VALUES (%s, '2024-03-17', 'quotes', 'k', 'h', 7, 99, '2024-03-17 01:00+00',"
            " '2024-03-17 23:59+00', 'available', 'run', '1')",
            (pair.id,),
        )
        [migration] = conn.execute("SELECT max(version) FROM schema_migrations").fetchone() or [None]
    answer = api.get("/health/detailed")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    detailed, plain = answer.json(), api.get("/health").json()
    assert {name: detailed[name] for name in plain} == plain
    assert (detailed["status"], detailed["reasons"]) == ("healthy", [])
    assert detailed["database_latency_ms"] >= 0
    assert set(detailed["exchanges"]) == {"dukascopy", "oanda"}
    assert detailed["exchanges"]["oanda"] == api.get("/health/oanda").json()
    assert detailed["freshness"]["oanda"] == {
        "pairs": 1,
        "pairs_with_candles": 1,
        "newest_candle": "2024-03-18T10:00:00Z",
        "newest_candle_age_s": 7200,
        "stalest_pair": "EURUSD",
        "stalest_candle_age_s": 7200,
    }
    assert detailed["freshness"]["dukascopy"]["pairs"] == 2
    assert detailed["freshness"]["dukascopy"]["newest_candle"] is None
    assert detailed["lake"] == {"days": 1, "rows": 7, "bytes": 99, "newest_day": "2024-03-17"}
    versions = detailed["versions"]
    assert (versions["service"], versions["migration"]) == (api.get("/").json()["version"], migration)
    assert (versions["python"], versions["timescaledb"]) == (platform.python_version(), None)
    assert versions["postgres"]


def test_it_says_why_something_is_degraded(api: ApiServer, warehouse: Warehouse) -> None:
    good = StreamConnection("oanda", "prices-1", "open", "closed", NOW, NOW, NOW, 12.5, subscriptions=7)
    with warehouse.begin() as conn:
        save_connections(conn, "oanda", [replace(good, stale_subscriptions=2)])
        save_stream_state(
            conn, StreamState("streamer", NOW - timedelta(hours=1), accepting=False, alarm="the disk is full")
        )
    answer = api.get("/health/detailed")
    detailed = answer.json()
    assert (answer.status_code, detailed["status"]) == (200, "degraded")
    assert detailed["reasons"] == ["oanda: prices-1: 2 of 7 subscriptions are stale", "streamer: the disk is full"]
    assert detailed["exchanges"]["oanda"]["connections"][0]["name"] == "prices-1"


def test_without_the_schema_it_is_unhealthy(empty_database_url: str) -> None:
    with ApiServer(empty_database_url) as server:
        answer = server.get("/health/detailed")
    body = answer.json()
    assert (answer.status_code, body["status"], body["database"]) == (503, "unhealthy", "schema_mismatch")
    assert (body["exchanges"], body["lake"], body["versions"]["postgres"]) == ({}, None, None)
    assert body["reasons"] == ["the database is schema_mismatch"]


def test_without_a_database_it_is_unhealthy() -> None:
    with ApiServer(f"postgresql://nobody@127.0.0.1:{free_port()}/none", database_timeout_s=1.0) as server:
        answer = server.get("/health/detailed")
    assert (answer.status_code, answer.json()["database"]) == (503, "disconnected")
