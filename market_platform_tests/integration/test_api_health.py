"""`/health`, `/health/{exchange}` and `/metrics`: what the streamer and the gap ledger wrote, as people and monitors see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from market_platform.warehouse.dead_letters import DeadLetterRow, add_dead_letters
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import PairRow
from market_platform.warehouse.stream_health import (
    StreamConnection,
    StreamState,
    save_connections,
    save_stream_state,
)
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.reference import synced_pair

NOW = datetime.now(UTC)
GOOD = StreamConnection(
    "oanda", "prices-1", "open", "closed", NOW, NOW, NOW, 12.5, subscriptions=7, messages=100, details={"hosts": 1}
)
STREAMER = StreamState("streamer", NOW)


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse, "oanda")


@pytest.fixture
def api(database_url: str, pair: PairRow) -> Iterator[ApiServer]:
    assert pair.starlistings
    with ApiServer(database_url) as server:
        server.wait_until_listening()
        yield server


def save(warehouse: Warehouse, *connections: StreamConnection, streamer: StreamState = STREAMER) -> None:
    with warehouse.begin() as conn:
        save_connections(conn, "oanda", connections)
        save_stream_state(conn, streamer)


def samples(api: ApiServer) -> dict[str, float]:
    """Value by name and labels, such as `market_exchange_status oanda`."""
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_stream_that_works_is_healthy(api: ApiServer, warehouse: Warehouse) -> None:
    save(warehouse, GOOD)
    health = api.get("/health").json()
    assert health["status"] == "healthy"
    collector = health["collectors"]["oanda"]
    assert collector.pop("last_message_age_s") >= 0
    assert collector == {
        "status": "healthy",
        "connections_total": 1,
        "connections_open": 1,
        "breaker": "closed",
        "lag_ms": 12.5,
        "subscriptions": 7,
        "stale_subscriptions": 0,
        "gaps_open": 0,
    }
    assert [(each["name"], each["running"]) for each in health["streamers"]] == [("streamer", True)]
    exchange = api.get("/health/OANDA")
    assert exchange.headers["cache-control"] == "no-store"
    body = exchange.json()
    assert (body["exchange"], body["exchange_display"], body["status"], body["reasons"]) == (
        "oanda",
        "OANDA",
        "healthy",
        [],
    )
    assert body["connections"][0]["name"] == "prices-1"
    assert body["connections"][0]["details"] == {"hosts": 1}


@pytest.mark.parametrize(
    ("connections", "status", "reason"),
    [
        ([replace(GOOD, stale_subscriptions=2)], "degraded", "prices-1: 2 of 7 subscriptions are stale"),
        ([GOOD, replace(GOOD, name="prices-2", state="connecting")], "degraded", "prices-2 is connecting"),
        (
            [replace(GOOD, details={"unknown_pairs": {"oanda/EURXXX": "oanda knows no 'EUR_XXX'"}})],
            "degraded",
            "oanda/EURXXX is not streamed: oanda knows no 'EUR_XXX'",
        ),
        ([replace(GOOD, breaker="half_open")], "degraded", "prices-1: the circuit breaker is half_open"),
        ([replace(GOOD, state="backing_off", last_error="refused")], "unhealthy", "prices-1 is backing_off: refused"),
    ],
)
def test_what_is_wrong_is_said(
    api: ApiServer, warehouse: Warehouse, connections: list[StreamConnection], status: str, reason: str
) -> None:
    save(warehouse, *connections)
    body = api.get("/health/oanda").json()
    assert (body["status"], body["reasons"]) == (status, [reason])
    overall = api.get("/health")
    assert (overall.status_code, overall.json()["status"]) == (200, "degraded")


def test_a_streamer_that_writes_nothing_any_more_is_noticed(api: ApiServer, warehouse: Warehouse) -> None:
    save(warehouse, GOOD)
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("UPDATE stream_connections SET updated_at = now() - interval '2 minutes'")
        conn.execute("UPDATE stream_state SET updated_at = now() - interval '2 minutes'")
    body = api.get("/health/oanda").json()
    assert body["status"] == "unhealthy"
    assert body["reasons"][0].startswith("prices-1: the streamer has not written its state for 12")
    health = api.get("/health").json()
    assert (health["status"], health["streamers"][0]["running"]) == ("degraded", False)
    assert samples(api)["market_streamer_running streamer"] == 0


def test_a_full_disk_is_an_alarm(api: ApiServer, warehouse: Warehouse) -> None:
    save(warehouse, GOOD, streamer=replace(STREAMER, accepting=False, alarm="the disk is full", journal_rows=9))
    health = api.get("/health").json()
    assert (health["status"], health["streamers"][0]["alarm"]) == ("degraded", "the disk is full")
    found = samples(api)
    assert (found["market_streamer_accepting streamer"], found["market_streamer_alarm streamer"]) == (0, 1)


def test_gaps_and_dead_letters_are_counted(api: ApiServer, warehouse: Warehouse, pair: PairRow) -> None:
    save(warehouse, GOOD)
    with warehouse.begin() as conn:
        letter = DeadLetterRow("oanda", "prices-1", "not JSON", "{", NOW)
        add_dead_letters(conn, [letter, replace(letter, received_at=NOW - timedelta(days=2))])
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO gaps (trading_pair_id, kind, gap_start, reason, detected_at)"
            " VALUES (%s, 'candles', now(), 'disconnect', now() - interval '1 hour')",
            (pair.id,),
        )
    body = api.get("/health/oanda").json()
    assert (body["status"], body["gaps_open"], body["dead_letters_24h"]) == ("degraded", 1, 1)
    assert body["reasons"][0].startswith("a gap is open for 36")
    found = samples(api)
    assert (found["market_exchange_gaps_open oanda"], found["market_exchange_dead_letters_24h oanda"]) == (1, 1)
    assert found["market_exchange_status oanda"] == 0.5


def test_an_exchange_without_a_stream(api: ApiServer) -> None:
    body = api.get("/health/dukascopy").json()
    assert (body["status"], body["connections"], body["breaker"]) == ("not_streamed", [], None)
    unknown = api.get("/health/nowhere")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "exchange_not_found")


def test_every_field_of_health_is_a_metric(api: ApiServer, warehouse: Warehouse) -> None:
    save(warehouse, GOOD)
    found = samples(api)
    assert found["market_database_up"] == found["market_change_feed_listening"] == 1
    numbers = {name for name, value in api.get("/health/oanda").json().items() if isinstance(value, int | float)}
    spelled = {
        name.replace("_total", "").replace("_age_s", "_age_seconds").replace("lag_ms", "lag_seconds")
        for name in numbers
    }
    metrics = {name.split()[0].removeprefix("market_exchange_") for name in found if name.endswith(" oanda")}
    assert spelled <= metrics
    assert {"status", "breaker"} <= metrics
    assert found["market_exchange_lag_seconds oanda"] == 0.0125


def test_requests_are_counted_by_route(api: ApiServer) -> None:
    for path in ("/starlistings/1", "/starlistings/2", "/candles/oanda/EUR/USD/spot/1m", "/nothing/here"):
        api.get(path)
    found = samples(api)
    assert found["market_http_requests_total GET /starlistings/{starlisting_id} 200"] == 2
    assert found["market_http_requests_total GET /candles/{exchange}/{coin}/{quote}/{market_type}/{interval} 200"] == 1
    assert found["market_http_requests_total GET other 404"] == 1
    assert found["market_http_request_seconds_count /starlistings/{starlisting_id}"] == 2
    assert found["market_http_response_bytes_total other"] > 0


def test_metrics_are_served_while_the_schema_is_missing(empty_database_url: str) -> None:
    with ApiServer(empty_database_url) as server:
        found = samples(server)
        health = server.get("/health")
    assert found["market_database_up"] == 0
    assert (health.status_code, health.json()["database"]) == (503, "schema_mismatch")
