"""`market-platform up` live: a chart client has everything soon, a pair joins, a stopped streamer loses nothing."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from market_platform.embedded.postgres import find_database_url
from market_platform.embedded.record import stack_status
from market_platform_tests.e2e.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

CLIENT_S = 90
STREAMED = ("binance", "hyperliquid", "oanda")
HEALTH = {
    "status",
    "connections_total",
    "connections_open",
    "breaker",
    "last_message_age_s",
    "lag_ms",
    "subscriptions",
    "stale_subscriptions",
    "gaps_open",
    "messages",
    "dead_letters",
    "reconnects",
}
METRICS = {
    "market_exchange_status",
    "market_exchange_connections",
    "market_exchange_connections_open",
    "market_exchange_breaker",
    "market_exchange_last_message_age_seconds",
    "market_exchange_lag_seconds",
    "market_exchange_subscriptions",
    "market_exchange_stale_subscriptions",
    "market_exchange_gaps_open",
    "market_exchange_messages",
    "market_exchange_dead_letters",
    "market_exchange_reconnects",
}
# OANDA's markets may be closed when this runs, so nothing of theirs is waited for.
WANTED = {
    (kind, exchange)
    for exchange in ("binance", "hyperliquid")
    for kind in ("candle", "funding", "open_interest", "tick")
}
ADD_PAIR = """
WITH pair AS (
    INSERT INTO trading_pairs (exchange_id, coin_id, quote_currency_id, market_type_id, symbol)
    SELECT exchanges.id, coins.id, quote_currencies.id, market_types.id, 'ETHUSD'
    FROM exchanges, coins, quote_currencies, market_types
    WHERE exchanges.code = 'hyperliquid' AND coins.code = 'ETH' AND quote_currencies.code = 'USD'
      AND market_types.code = 'perps'
    RETURNING id
)
INSERT INTO starlistings (trading_pair_id, interval_id)
SELECT pair.id, intervals.id FROM pair, intervals WHERE intervals.name = '1m'
"""

REPAIRED = """
SELECT count(*) > 0 AND bool_and(EXISTS (
    SELECT FROM gaps
    WHERE gaps.trading_pair_id = trading_pairs.id AND gaps.kind = 'trades' AND gaps.repaired_at IS NOT NULL
))
FROM trading_pairs JOIN exchanges ON exchanges.id = exchange_id
WHERE exchanges.code = 'binance' AND trading_pairs.active
"""


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack in a folder of its own, stopped and deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="live-e2e-"))
    folder.chmod(0o755)
    made = Stack(folder)
    yield made
    made.run("down", check=False)
    made.kill()
    made.run("reset", "--yes", check=False)
    shutil.rmtree(folder)


def test_live_from_the_start_and_nothing_lost_by_stopping(stack: Stack) -> None:
    stack.up()
    assert receive(stack) == WANTED

    with psycopg.connect(find_database_url(stack.settings), autocommit=True) as connection:
        connection.execute(ADD_PAIR)
    wait_until("a pair added while it runs has candles", lambda: len(candles(stack)) > 0, CLIENT_S)

    for exchange in STREAMED:
        assert httpx.get(f"{stack.api_url}/health/{exchange}", timeout=10).json().keys() >= HEALTH
    families = text_string_to_metric_families(httpx.get(f"{stack.api_url}/metrics", timeout=10).text)
    told = {family.name: {sample.labels.get("exchange") for sample in family.samples} for family in families}
    assert {name for name in METRICS if not told.get(name, set()) >= {"binance", "hyperliquid"}} == set()

    streamer = streamer_pid(stack)
    assert streamer is not None
    began = time.monotonic()
    process = psutil.Process(streamer)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    assert time.monotonic() - began < 60  # STREAM_STOP_S and little more alone on the machine
    wait_until("its exit code is told", lambda: "streamer ended with code 0" in stack.log.read_text(), 30)
    wait_until("another one runs", lambda: streamer_pid(stack) not in (None, streamer), CLIENT_S)
    wait_until("what came in between is fetched", lambda: trades_repaired(stack), CLIENT_S)

    assert stack.down() == 0
    ids = stored_ids(stack)
    assert ids
    for symbol, found in ids.items():
        assert len(found) == len(set(found)), f"{symbol}: trades twice"
        assert len(found) == max(found) - min(found) + 1, f"{symbol}: trades lost"


def receive(stack: Stack) -> set[tuple[str, str]]:
    """(kind, exchange) of what a client is sent, until it was sent all that is wanted or the time is up."""
    answer = httpx.get(f"{stack.api_url}/starlistings", params={"interval": "1m"}, timeout=10).json()
    ids = [each["id"] for each in answer["starlistings"] if each["exchange"] in STREAMED]
    asked: list[dict[str, Any]] = [{"starlisting_ids": ids, "history": 1}]
    asked += [
        {"broker": "binance", "symbols": ["BTCUSDT"], "types": ["tick"]},
        {"broker": "hyperliquid", "symbols": ["BTCUSD"], "types": ["tick"]},
    ]
    got: set[tuple[str, str]] = set()
    deadline = time.monotonic() + CLIENT_S
    with connect(stack.api_url.replace("http", "ws", 1) + "/ws", max_size=2**24) as socket:
        for each in asked:
            socket.send(json.dumps({"action": "subscribe", **each}))
        while got != WANTED and time.monotonic() < deadline:
            got |= kinds(json.loads(socket.recv(timeout=CLIENT_S)))
    return got


def kinds(message: dict[str, Any]) -> set[tuple[str, str]]:
    """What one message shows; funding and open interest count from the history too."""
    names = {"historical_funding": "funding", "historical_oi": "open_interest"}
    assert message["type"] != "error", message
    if message["type"] == "data":
        return {(message["data"]["type"], message["broker"])}
    if message["type"] in names:
        return {(names[message["type"]], message["exchange"])} if message["count"] else set()
    return {(message["type"], message["exchange"])} & WANTED if "exchange" in message else set()


def candles(stack: Stack) -> list[dict[str, Any]]:
    """Candles of the added pair as the API has them."""
    answer = httpx.get(f"{stack.api_url}/candles/hyperliquid/ETH/USD/perps/1m", timeout=10)
    return list(answer.json()["data"]) if answer.status_code == httpx.codes.OK else []


def streamer_pid(stack: Stack) -> int | None:
    """The streamer that is ready."""
    return next((each.pid for each in stack_status(stack.settings) if each.name == "streamer" and each.ready), None)


def trades_repaired(stack: Stack) -> bool:
    """Whether the trades between two streamers were fetched for every pair of Binance; a pair's gap begins with its next trade."""
    with psycopg.connect(find_database_url(stack.settings)) as connection:
        return connection.execute(REPAIRED).fetchone() == (True,)


def stored_ids(stack: Stack) -> dict[str, list[int]]:
    """Ids of Binance's trades in the lake, by symbol."""
    ids: dict[str, list[int]] = defaultdict(list)
    trades = stack.home / "data" / "lake" / "trades"
    for path in trades.glob("*/*/*/*/parts/binance-*.parquet"):
        found = pq.read_table(path, columns=["trade_id"], partitioning=None).column("trade_id").to_pylist()
        ids[path.relative_to(trades).parts[0]] += found
    return ids
