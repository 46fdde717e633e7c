"""Two streamers on one database: the second does not start, and says who the first is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from market_platform.domain.errors import ConfigError
from market_platform_tests.fixtures.fake_stream import eventually
from market_platform_tests.fixtures.ports import free_port
from streamer.sole import SoleStreamer

SINCE = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.sole._CHECK_S", 0.02)
    monkeypatch.setattr("streamer.sole._AGAIN_S", 0.02)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def made(url: str, grace_s: float = 0.0) -> SoleStreamer:
    return SoleStreamer(url, 3.0, SINCE, grace_s=grace_s)


def cut_sessions(url: str) -> None:
    """As a restart of Postgres does."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'streamer %' AND datname = current_database()"
        )


def test_a_second_one_is_refused_and_told_of_the_first(database_url: str) -> None:
    async def scenario() -> None:
        first, second = made(database_url), made(database_url)
        assert await first.claim()
        with pytest.raises(ConfigError, match=rf"pid {os.getpid()} since 2026-03-02T12:00:00Z"):
            await second.claim()
        await first.release()
        assert await second.claim()
        await second.release()

    run(scenario)


def test_one_that_ends_just_now_is_waited_for(database_url: str) -> None:
    async def scenario() -> None:
        first, second = made(database_url), made(database_url, grace_s=20.0)
        assert await first.claim()
        waiting = asyncio.create_task(second.claim())
        await asyncio.sleep(0.05)
        await first.release()
        assert await waiting
        await second.release()

    run(scenario)


def test_after_postgres_was_away_the_database_is_claimed_again(database_url: str) -> None:
    async def scenario() -> None:
        first, second = made(database_url), made(database_url)
        assert await first.claim()
        keeping = asyncio.create_task(first.keep())
        before = first._lock
        cut_sessions(database_url)
        await eventually(lambda: first._lock not in (None, before))
        with pytest.raises(ConfigError):
            await second.claim()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await first.release()

    run(scenario)


def test_one_that_finds_another_in_its_place_ends(database_url: str) -> None:
    async def scenario() -> None:
        first, second = made(database_url), made(database_url, grace_s=20.0)
        assert await first.claim()
        cut_sessions(database_url)
        assert await second.claim()
        with pytest.raises(ConfigError, match="another streamer"):
            await first.keep()
        await second.release()

    run(scenario)


def test_without_postgres_it_streams_and_asks_later() -> None:
    async def scenario() -> None:
        alone = made(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
        assert not await alone.claim()
        await alone.release()

    run(scenario)
