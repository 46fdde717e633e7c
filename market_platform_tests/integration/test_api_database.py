"""The API while Postgres is away, silent, full, or not migrated: quick, clear answers, and back without a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from api_service.database import connection_options
from market_platform.warehouse import chart_queries
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.migrations import migrate
from market_platform_tests.fixtures.api_server import ApiServer, wait_for
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.fixtures.reference import synced_pair
from market_platform_tests.fixtures.stored_candles import at, hours, seconds, store
from market_platform_tests.fixtures.tcp_proxy import TcpProxy

URL = f"/api/candles/BTCUSD/1h?from={seconds('2024-03-18')}&to={seconds('2024-03-18T23:59')}"
TIMEOUT_S = 1.0


@pytest.fixture
def proxy(database_url: str, warehouse: Warehouse) -> Iterator[TcpProxy]:
    pair = synced_pair(warehouse, "dukascopy", "BTCUSD")
    store(warehouse, pair, "1h", date(2024, 3, 18), hours(at("2024-03-18"), 24))
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    assert parts.port is not None
    made = TcpProxy(parts.hostname, parts.port)
    yield made
    made.close()


@pytest.fixture
def api(database_url: str, proxy: TcpProxy) -> Iterator[ApiServer]:
    with ApiServer(proxy.url(database_url), database_timeout_s=TIMEOUT_S) as server:
        server.wait_until_listening()
        yield server


def timed(api: ApiServer, path: str) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    return api.get(path), time.monotonic() - began


@pytest.mark.parametrize("how", ["refuse", "swallow"])
def test_without_postgres_everything_says_so_quickly_and_comes_back(api: ApiServer, proxy: TcpProxy, how: str) -> None:
    assert api.get(URL).status_code == 200
    getattr(proxy, how)()
    wait_for(lambda: api.get(URL).status_code == 503, 6)
    for path in (URL, "/api/metadata", "/readyz"):
        answer, took = timed(api, path)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert took < TIMEOUT_S + 1.0
        assert "market:" not in answer.text, "the login is shown"
    health, took = timed(api, "/health")
    assert health.status_code == 503
    assert health.json() | {"timestamp": None} == {
        "status": "unhealthy",
        "timestamp": None,
        "database": "disconnected",
        "collectors": {},
        "streamers": [],
        "change_feed": "not_listening",
    }
    alive, took = timed(api, "/livez")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert took < 0.5
    proxy.restore()
    wait_for(lambda: api.get("/readyz").status_code == 200, 10)
    wait_for(lambda: api.get(URL).status_code == 200, 10)
    api.wait_until_listening()
    assert len(api.get(URL).json()) == 24


def test_a_restart_of_postgres_costs_no_answer(api: ApiServer, database_url: str) -> None:
    """All connections are cut while idle, as a restarted server or a failover does; the next requests just work."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: httpx.get(f"{api.url}/readyz", timeout=15), range(16)))
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    for path in (URL, "/readyz", "/api/metadata"):
        assert api.get(path).status_code == 200


def test_when_all_connections_are_in_use_waiting_ends(database_url: str, proxy: TcpProxy) -> None:
    with ApiServer(proxy.url(database_url), database_timeout_s=TIMEOUT_S, database_pool_size=2) as api:
        with psycopg.connect(database_url) as conn:
            conn.execute("LOCK TABLE lake_totals IN ACCESS EXCLUSIVE MODE")
            with ThreadPoolExecutor(6) as threads:
                began = time.monotonic()
                asked = [threads.submit(httpx.get, f"{api.url}/api/metadata", timeout=15) for _ in range(6)]
                assert [each.result().status_code for each in asked] == [503] * 6
                assert time.monotonic() - began < TIMEOUT_S + 15.0
            assert api.get("/livez").status_code == 200
        wait_for(lambda: api.get("/api/metadata").status_code == 200, 10)


def test_a_database_without_tables_is_named_and_migrating_it_is_enough(empty_database_url: str) -> None:
    with ApiServer(empty_database_url, database_timeout_s=TIMEOUT_S) as api:
        for path in (URL, "/api/metadata", "/readyz"):
            answer = api.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "schema_mismatch")
            assert "market-platform migrate" in answer.json()["detail"]
        assert (api.get("/health").status_code, api.get("/health").json()["database"]) == (503, "schema_mismatch")
        migrate(empty_database_url)
        wait_for(lambda: api.get("/readyz").status_code == 200, 5)
        assert api.get("/api/metadata").json() == {"symbols": [], "timeframes": []}


def test_the_api_starts_before_postgres() -> None:
    with ApiServer(f"postgresql://market:secret@127.0.0.1:{free_port()}/market", database_timeout_s=TIMEOUT_S) as api:
        assert api.get("/livez").status_code == 200
        answer = api.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert "secret" not in answer.text


def test_no_plan_scans_a_table_even_if_it_was_made_while_the_table_was_empty(database_url: str) -> None:
    with psycopg.connect(database_url, **connection_options(1.0)) as conn:
        for query in (chart_queries._STATE, chart_queries._STATE_AND_ROWS["json"], chart_queries._SPAN):
            parameters = {
                "starlisting": 1,
                "first_day": date(2024, 3, 18),
                "last_day": date(2024, 3, 19),
                "whole_first": date(2024, 3, 18),
                "whole_last": date(2024, 3, 18),
                "start": at("2024-03-18"),
                "end": at("2024-03-19"),
            }
            plan = "\n".join(row[0] for row in conn.execute(f"EXPLAIN {query}", parameters))
            assert "Index" in plan
            assert "Seq Scan" not in plan
