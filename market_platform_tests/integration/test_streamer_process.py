"""`python -m streamer` as a process, on the replay exchange and a real Postgres."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.settings import PROJECT_ROOT
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.fixtures.reference import small_config

WAIT_S = 60
STARLISTINGS = """
exchanges:
  binance: {name: Binance, licence: private, intervals: [1m, 5m]}
  hyperliquid: {name: Hyperliquid, licence: private, market_type: perps, intervals: [1m]}
coins: {BTC: Bitcoin, ETH: Ether, SOL: Solana}
quote_currencies: {USD: US Dollar, USDT: Tether}
market_types: {spot: Spot, perps: Perpetuals}
starlistings:
  binance:
    BTCUSDT: {coin: BTC, quote: USDT}
  hyperliquid:
    BTCUSD: {coin: BTC, quote: USD}
"""
MORE = STARLISTINGS.replace(
    "  hyperliquid:\n    BTCUSD", "    ETHUSDT: {coin: ETH, quote: USDT}\n  hyperliquid:\n    BTCUSD"
)


def sync(database_url: str, text: str) -> None:
    warehouse = create_warehouse(database_url)
    try:
        with warehouse.begin() as conn:
            sync_reference(conn, small_config(text))
    finally:
        warehouse.close()


def eventually(what: Callable[[], Any]) -> Any:
    """The first truthy answer; looks often, and gives up late."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came about")


class Streamer:
    """A running streamer."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError):
            assert self.process.poll() is None, self.log.read_text()
            return ""

    def health(self) -> dict[str, Any]:
        text = self.get("/health")
        return dict(json.loads(text)) if text else {}

    def healthy(self, *exchanges: str) -> bool:
        found = self.health().get("exchanges", {})
        return all(name in found and found[name]["healthy"] for name in exchanges)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


@contextmanager
def streamer(folder: Path, database_url: str, replay: RunningReplay, **settings: str) -> Iterator[Streamer]:
    port, log = free_port(), folder / "streamer.log"
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STREAM", "DATABASE", "LAKE", "R2"))
        },
        "DATABASE_URL": database_url,
        "MARKET_DATA_DIR": str(folder / "market"),
        "REPLAY_PORT": replay.url.rpartition(":")[2],
        "STREAMER_METRICS_PORT": str(port),
        "LOG_FORMAT": "json",
        **settings,
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamer"], cwd=PROJECT_ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield Streamer(process, port, log)
    finally:
        process.kill()
        process.wait()


def ask(database_url: str, query: str) -> list[Any]:
    with psycopg.connect(database_url) as conn:
        return conn.execute(query.encode()).fetchall()


@pytest.fixture
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=World(7, ExchangeClock(20.0))) as running:
        yield running


@pytest.mark.slow
def test_a_second_one_on_the_same_database_does_not_start_and_names_the_first(
    tmp_path: Path, database_url: str, replay: RunningReplay
) -> None:
    sync(database_url, STARLISTINGS)
    folders = tmp_path / "first", tmp_path / "second"
    for folder in folders:
        folder.mkdir()
    with streamer(folders[0], database_url, replay) as first:
        eventually(first.health)
        with streamer(folders[1], database_url, replay) as second:
            assert second.process.wait(WAIT_S) == 1
            assert f"pid {first.process.pid} since" in second.log.read_text()
        assert first.stop() == 0


@pytest.mark.slow
def test_it_streams_takes_up_a_pair_that_is_added_and_leaves_when_asked(
    tmp_path: Path, database_url: str, replay: RunningReplay
) -> None:
    sync(database_url, STARLISTINGS)
    with streamer(tmp_path, database_url, replay, REPLAY_SPEED="20") as running:
        eventually(lambda: running.healthy("binance", "hyperliquid"))
        eventually(
            lambda: ask(database_url, "SELECT 1 FROM candles GROUP BY starlisting_id HAVING count(*) > 1") and True
        )
        sync(database_url, MORE)
        eventually(lambda: running.health()["exchanges"]["binance"]["pairs"] == 2)
        listed = "SELECT starlistings.id FROM starlistings JOIN trading_pairs p ON p.id = trading_pair_id WHERE symbol = 'ETHUSDT'"
        eventually(lambda: ask(database_url, f"SELECT 1 FROM candles WHERE starlisting_id IN ({listed}) LIMIT 1"))
        sync(database_url, STARLISTINGS)
        eventually(lambda: running.health()["exchanges"]["binance"]["pairs"] == 1)
        metrics = running.get("/metrics")
        assert 'streamer_connection_up{connection="spot-1",exchange="binance"} 1.0' in metrics
        assert 'streamer_rows_total{exchange="binance",layer="trades"}' in metrics
        assert 'streamer_open_gaps{exchange="binance"}' in metrics
        assert running.get("/nothing") == ""
        rows = ask(database_url, "SELECT exchange, state FROM stream_connections ORDER BY exchange")
        assert rows == [("binance", "open"), ("hyperliquid", "open")]
        assert running.stop() == 0, running.log.read_text()
    assert ask(database_url, "SELECT DISTINCT state FROM stream_connections") == [("stopped",)]
    assert ask(database_url, "SELECT count(*) FROM dead_letters") == [(0,)]


def test_it_starts_without_postgres_and_says_so(tmp_path: Path, replay: RunningReplay) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/market"
    with streamer(tmp_path, nowhere, replay) as running:
        health = eventually(running.health)
        assert health["status"] == "degraded"
        assert "Postgres" in health["alarm"] or "not known yet" in health["alarm"]
        assert running.stop(signal.SIGINT) == 0, running.log.read_text()


@pytest.mark.slow
def test_without_postgres_it_goes_on_with_the_pairs_of_last_time(
    tmp_path: Path, database_url: str, replay: RunningReplay
) -> None:
    sync(database_url, STARLISTINGS)
    with streamer(tmp_path, database_url, replay, REPLAY_SPEED="20") as running:
        eventually(lambda: running.healthy("binance", "hyperliquid"))
        assert running.stop() == 0
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/market"
    with streamer(tmp_path, nowhere, replay, REPLAY_SPEED="20", STREAM_STOP_S="0.5") as running:
        eventually(lambda: running.health().get("exchanges", {}).get("binance", {}).get("delivering"))
        before = running.health()["journal_rows"]
        eventually(lambda: running.health()["journal_rows"] > before)
        assert running.stop() == 0, running.log.read_text()


def test_what_keeps_it_from_starting_is_one_clear_message(
    tmp_path: Path, database_url: str, replay: RunningReplay
) -> None:
    with streamer(tmp_path, database_url, replay, STREAM_EXCHANGES="kraken") as running:
        assert running.process.wait(WAIT_S) == 1
        assert "STREAM_EXCHANGES" in running.log.read_text()
    with streamer(tmp_path, database_url, replay) as first:
        eventually(first.health)
        with streamer(tmp_path, database_url, replay) as second:  # the same journal
            assert second.process.wait(WAIT_S) == 1
        assert "Traceback" not in second.log.read_text()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="what a process catches is read from /proc (Linux)")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_while_it_still_starts_it_leaves_as_always(
    number: signal.Signals, tmp_path: Path, database_url: str, replay: RunningReplay
) -> None:
    with streamer(tmp_path, database_url, replay) as starting:
        eventually(lambda: catches_sigterm(starting.process.pid))
        assert starting.stop(number) == 0, starting.log.read_text()
        assert "Traceback" not in starting.log.read_text()


def catches_sigterm(pid: int) -> bool:
    """Whether the process has a handler of its own, as the system sees it."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("SigCgt:")]
    return bool(int(line.split()[1], 16) >> (int(signal.SIGTERM) - 1) & 1)
