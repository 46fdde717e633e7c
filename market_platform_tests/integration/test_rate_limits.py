"""Limits across processes: the ledger in Postgres, and what happens while it is away."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from market_platform.domain.errors import RateLimitedError
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.rest import BinanceRest
from market_platform.exchanges.limits import WeightBudget, install_ledger, remove_ledger
from market_platform.pipeline.platform import Platform
from market_platform.settings import load_settings
from market_platform.warehouse import rate_limits
from market_platform.warehouse.rate_limits import PostgresLedger
from market_platform_tests.fixtures.bad_exchange import Answer, BadExchange, Request, json_answer
from market_platform_tests.fixtures.ports import free_port

Value = TypeVar("Value")


@contextmanager
def ledger_of(url: str, timeout_s: float = 60.0, *, installed: bool = False) -> Iterator[PostgresLedger]:
    """A ledger, as one process has it."""
    ledger = PostgresLedger(url, timeout_s=timeout_s)
    if installed:
        install_ledger(ledger)
    try:
        yield ledger
    finally:
        remove_ledger(ledger)
        ledger.close()


def run(call: Callable[[], Awaitable[Value]]) -> Value:
    """What it returns, in an event loop of its own."""

    async def within_loop() -> Value:
        return await call()

    return asyncio.run(within_loop())


def test_two_processes_together_stay_within_a_limit(database_url: str) -> None:
    """Each alone would send its burst at once; together they send one, and the rest flows."""
    weight, window_s, requests = 50, 2.0, 30
    most = 0.8 * weight
    arrived: list[float] = []

    def count(_: Request) -> Answer:
        arrived.append(time.monotonic())
        return json_answer({})

    with BadExchange({"/counted": count}) as exchange, ExitStack() as stack:
        command = [sys.executable, "-m", "market_platform_tests.fixtures.limited_asker", database_url, exchange.url]
        askers = [
            stack.enter_context(subprocess.Popen([*command, str(weight), str(window_s), str(requests)]))
            for _ in range(2)
        ]
        assert [asker.wait(120) for asker in askers] == [0, 0]

    arrived.sort()
    assert len(arrived) == 2 * requests
    busiest = max(sum(start <= each < start + window_s for each in arrived) for start in arrived)
    assert busiest <= most + len(askers)  # each may have one on its way that is late


def test_a_ban_that_one_process_is_told_stops_the_other(database_url: str) -> None:
    """The other one sends nothing at all, and says for how long."""
    with BadExchange({"/api/v3/exchangeInfo": Answer(b"{}", 418, {"Retry-After": "600"})}) as exchange:
        config = BinanceConfig(spot_rest=exchange.url, attempts=1)

        async def ask() -> frozenset[str]:
            async with BinanceRest(config) as rest:
                return await rest.known_symbols("spot")

        with ledger_of(database_url, installed=True), pytest.raises(RateLimitedError, match="418"):
            run(ask)
        assert len(exchange.requests) == 1
        with ledger_of(database_url, installed=True), pytest.raises(RateLimitedError, match="pause of") as told:
            run(ask)
        assert told.value.retry_after is not None
        assert 0 < told.value.retry_after <= 600
        assert len(exchange.requests) == 1


def test_turns_go_out_as_a_burst_and_then_evenly(database_url: str) -> None:
    """Waits grow by the cost of what is before; far beyond the burst nothing is promised."""

    async def turns() -> None:
        first = await ledger.turn("x", 500.0, 1_000.0)
        second = await ledger.turn("x", 500.0, 1_000.0)
        third = await ledger.turn("x", 1_000.0, 1_000.0)
        assert first is not None
        assert second is not None
        assert third is not None
        assert first.granted
        assert first.wait_s == second.wait_s == 0
        assert 900 < third.wait_s <= 1_000
        await ledger.turn("x", 1_000.0, 1_000.0)
        refused = await ledger.turn("x", 1.0, 1_000.0)
        assert refused is not None
        assert not refused.granted
        assert 900 < refused.wait_s <= 1_000
        other = await ledger.turn("y", 1.0, 1_000.0)
        assert other is not None
        assert other.granted

    assert rate_limits.LONGEST_QUEUE == 2.0
    with ledger_of(database_url) as ledger:
        run(turns)


def test_the_longest_pause_counts(database_url: str) -> None:
    """A shorter one that comes later does not end it."""

    async def pauses() -> float:
        ledger.pause("x", 600)
        ledger.pause("x", 1)
        refused = await ledger.turn("x", 1.0, 60.0)
        assert refused is not None
        assert not refused.granted
        assert refused.pause_s > 500
        return await ledger.pause_left("x")

    with ledger_of(database_url) as ledger:
        assert 500 < run(pauses) <= 600
        assert run(lambda: ledger.pause_left("never heard of")) == 0


def test_without_postgres_the_own_budget_counts() -> None:
    """Nothing listens: requests go, limits and pauses are kept in the process, and Postgres is left alone for a while."""

    async def ask() -> None:
        budget = WeightBudget(100, name="x")
        for _ in range(4):
            await budget.take(10, "x")
        assert await ledger.turn("x", 1.0, 60.0) is None
        budget.pause(60)
        with pytest.raises(RateLimitedError):
            await budget.take(1, "x")

    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    with ledger_of(url, installed=True) as ledger:
        run(ask)


def test_a_postgres_that_accepts_and_says_nothing_blocks_nobody() -> None:
    """The request waits as long as the ledger may take, and goes; the event loop is never held."""

    async def ask() -> None:
        await WeightBudget(100, name="x").take(10, "x")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        held: list[socket.socket] = []
        over = threading.Event()

        def accept() -> None:
            while not over.is_set():
                held.append(silent.accept()[0])

        accepting = threading.Thread(target=accept)
        accepting.start()
        port = silent.getsockname()[1]
        with ledger_of(f"postgresql://nobody@127.0.0.1:{port}/nothing", timeout_s=0.1, installed=True):
            run(ask)
        over.set()
        socket.create_connection(("127.0.0.1", port)).close()
        accepting.join()
        for each in held:
            each.close()


def test_a_connection_that_died_is_made_again(database_url: str) -> None:
    """As after a restart of the server; and a database without the table is as good as none."""

    async def turn() -> bool:
        found = await ledger.turn("x", 1.0, 60.0)
        return found is not None and found.granted

    with ledger_of(database_url) as ledger, psycopg.connect(database_url, autocommit=True) as conn:
        assert run(turn)
        conn.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'market-platform limits'"
        )
        assert run(turn)
        conn.execute("DROP TABLE rate_limits")
        assert not run(turn)


def test_a_platform_counts_in_the_settings_database_until_it_is_closed(database_url: str, tmp_path: Path) -> None:
    """Whichever database it writes to."""

    async def ask() -> None:
        await WeightBudget(100, name="https://exchange").take(10, "x")

    settings = load_settings(_env_file=None, market_data_dir=tmp_path, database_url=database_url)
    platform = Platform.from_settings(settings, "postgresql://nobody@127.0.0.1:1/training")
    run(ask)
    platform.close()
    run(ask)
    with psycopg.connect(database_url) as conn:
        rows = conn.execute("SELECT name, next_at <= clock_timestamp() + interval '16 seconds' FROM rate_limits")
        assert rows.fetchall() == [("https://exchange", True)]
