"""Hostile requests to the API: each a small problem with its code, and the tables as they were."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.reference import synced_pair

RANGE = "from=1710720000&to=1710806399"


@pytest.fixture
def api(database_url: str, warehouse: Warehouse) -> Iterator[ApiServer]:
    synced_pair(warehouse)
    with ApiServer(database_url) as running:
        yield running


HOSTILE = [
    "BTCUSD'%20OR%20'1'='1",
    "BTCUSD';DROP%20TABLE%20candles;--",
    "BTCUSD%00",
    "%00",
    "..%2F..%2Fetc%2Fpasswd",
    "%ff%fe",
    "%e2%82%ac",
    "BTC%0d%0aSet-Cookie:x",
    "%25s",
    "{0}",
    "*",
    "A" * 5000,
]


@pytest.mark.parametrize("symbol", HOSTILE, ids=lambda text: text[:24])
def test_a_hostile_symbol_is_a_problem_in_every_place(api: ApiServer, database_url: str, symbol: str) -> None:
    requests = [
        f"/api/candles?symbol={symbol}&{RANGE}",
        f"/api/candles/{symbol}/1h?{RANGE}",
        f"/api/candles?symbol=BTCUSD&exchange={symbol}&{RANGE}",
        f"/api/candles?symbol=BTCUSD&timeframe={symbol}&{RANGE}",
        f"/api/candles?symbol=BTCUSD&from={symbol}&to=1710806399",
    ]
    for request in requests:
        answer = api.http.get(request)
        assert answer.status_code in (400, 404, 414), request
        assert answer.headers["content-type"] == "application/problem+json"
        assert "set-cookie" not in answer.headers
        problem = answer.json()
        assert problem["code"] in {
            "symbol_not_found",
            "invalid_parameter",
            "invalid_timeframe",
            "not_found",
        }, problem
        assert len(answer.content) < 1500 + len(request)
        assert "Traceback" not in answer.text
        assert "psycopg" not in answer.text
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM trading_pairs").fetchone() == (3,)
        assert connection.execute("SELECT count(*) FROM candles").fetchone() == (0,)
    assert api.get("/health").status_code == 200
