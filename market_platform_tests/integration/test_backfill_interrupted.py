"""Ctrl-C during `market-platform backfill --direct`, as a terminal sends it: SIGINT to everything in the foreground."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from market_platform.domain.clock import utc_now
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.settings import load_settings
from market_platform_tests.fixtures.defs_world import dagster_on_postgres
from market_platform_tests.fixtures.user_shell import user_environment
from market_platform_tests.recordings import PROJECT_ROOT

DEADLINE_S = 60
SPAN = ("--from", "2024-03-04", "--to", "2024-03-08")


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(seed=7, clock=utc_now)) as running:
        yield running


@pytest.fixture
def environment(exchange: RunningReplay, database_url: str, tmp_path: Path) -> dict[str, str]:
    exchange.faults.clear()
    exchange.log.clear()
    return user_environment(
        database_url,
        tmp_path,
        DUKASCOPY_JSON_URL=exchange.json_url,
        DUKASCOPY_BI5_URL=exchange.bi5_url,
        BACKFILL_DAYS_PER_RUN="2",
    )


@pytest.mark.parametrize("times", [1, 5])
def test_it_stops_at_once_and_its_run_is_a_cancelled_one(
    environment: dict[str, str], exchange: RunningReplay, database_url: str, tmp_path: Path, times: int
) -> None:
    exchange.fail("ticks/EUR-USD/2024/3/7/", "hang", times=1000, seconds=DEADLINE_S)
    command = [sys.executable, "-m", "market_platform", "backfill", "EURUSD", "dukascopy/GBPUSD", *SPAN, "--direct"]
    process = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        give_up = time.monotonic() + DEADLINE_S
        while not any("EUR-USD/2024/3/7/" in path for path in exchange.log.paths):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.05)
        for _ in range(times):
            os.killpg(process.pid, signal.SIGINT)
        printed, told = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, told
    assert printed == ""
    assert "Traceback" not in told
    assert "stopped during dukascopy/EURUSD 2024-03-06 to 2024-03-07: 18 of 90 partitions materialised" in told
    assert "Give the same command again" in told
    assert len(told.splitlines()) == 1, told
    with dagster_on_postgres(
        load_settings(_env_file=None, market_data_dir=tmp_path / "data"), database_url
    ) as instance:
        found = [run.status for run in instance.get_runs()]
        assert found == [dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS]
        pools = instance.event_log_storage.get_pool_limits()
        for pool in pools:
            assert not instance.event_log_storage.get_concurrency_info(pool.name).claimed_slots
    with psycopg.connect(database_url) as connection:
        days = connection.execute("SELECT day::text FROM lake_days ORDER BY 1").fetchall()
    assert days[:2] == [("2024-03-04",), ("2024-03-05",)]
    assert ("2024-03-07",) not in days
