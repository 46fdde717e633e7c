"""`kill -9` of the run, the daemon, Postgres or the whole platform, at random moments of a backfill.

After each kill: no day is half-written. At the end a re-run completes every day, and the content is the exchange's.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from datetime import date

import psutil
import psycopg
import pytest

from market_platform.embedded.postgres import find_database_url
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform_tests.e2e.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

KILLS = int(os.environ.get("CHAOS_KILLS", "25"))
FIRST, LAST = date(2024, 3, 4), date(2024, 3, 10)
MIX = ("run", "postgres", "run", "daemon", "run", "up")
"""Targets in turn; most kills hit the run, which is what writes."""

VERSIONS = """
SELECT starlisting_id, day, revision, data_version FROM candle_days
JOIN starlistings ON starlistings.id = starlisting_id JOIN trading_pairs ON trading_pairs.id = trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id WHERE exchanges.code = 'dukascopy' ORDER BY 1, 2
"""
"""Of the pair that is fetched; others are streamed meanwhile."""

LAUNCH = """
mutation ($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]!) {
  launchPipelineExecution(executionParams: {selector: $selector, executionMetadata: {tags: $tags}}) {
    __typename ... on Error { message }
  }
}"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("kill"))
    stack.up()
    try:
        yield stack
        assert stack.down() == 0
    finally:
        stack.kill()


def test_kill_anything_at_any_moment(stack: Stack) -> None:
    seed = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000))))
    print(f"CHAOS_SEED={seed} CHAOS_KILLS={KILLS}")
    dice = random.Random(seed)
    began = time.monotonic()
    killed: dict[str, int] = dict.fromkeys(MIX, 0)
    for kill in range(KILLS):
        target = MIX[kill % len(MIX)]
        launch_run(stack)
        wait_until("a run has started", lambda: find(stack, "run") is not None, 120, every=0.02)
        time.sleep(dice.uniform(0, 6))
        victim = find(stack, target)
        if victim is not None:
            victim.kill()
            killed[target] += 1
        if target == "up":
            assert stack.process is not None
            stack.process.wait(10)
            stack.up()
        wait_until("the platform is whole again", stack.is_ready, 120)
        assert_nothing_half_written(stack)
        print(f"kill {kill + 1}: {target}, {time.monotonic() - began:.0f} s since the start", flush=True)
    print(f"killed {killed}")
    assert sum(killed.values()) >= KILLS * 0.8, killed
    clear_queue(stack)
    stack.run("backfill", "dukascopy/EURUSD", "--from", FIRST.isoformat(), "--to", LAST.isoformat())
    assert_nothing_half_written(stack)
    complete = rows(stack, "SELECT day, condition, content_hash FROM lake_days WHERE day < '2025-01-01' ORDER BY day")
    assert [condition for _, condition, _ in complete] == ["available"] * 5 + ["closed", "available"]
    versions = rows(stack, VERSIONS)
    stack.run("backfill", "dukascopy/EURUSD", "--from", FIRST.isoformat(), "--to", LAST.isoformat())
    assert rows(stack, VERSIONS) == versions


def launch_run(stack: Stack) -> None:
    """Start one run of all days, as the UI does for a range in a single run."""
    layers = ("ticks", *(f"candles_{name}" for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d")))
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "market_platform",
        "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": ["dukascopy", "EURUSD", layer]} for layer in layers],
    }
    tags = [
        {"key": "dagster/asset_partition_range_start", "value": FIRST.isoformat()},
        {"key": "dagster/asset_partition_range_end", "value": LAST.isoformat()},
    ]
    launched = stack.graphql(LAUNCH, selector=selector, tags=tags)["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched


def find(stack: Stack, target: str) -> psutil.Process | None:
    """The process to kill, if it lives."""
    assert stack.process is not None
    supervisor = psutil.Process(stack.process.pid)
    if target == "up":
        return supervisor
    for process in supervisor.children(recursive=True):
        try:
            words, parent = process.cmdline(), process.parent()
            command = " ".join(words)
            if target == "daemon" and "dagster-daemon" in command:
                return process
            if target == "postgres" and words and words[0].endswith("postgres") and "-D" in words:
                return process
            if (
                target == "run"
                and "multiprocessing.spawn" in command
                and parent
                and "dagster" in " ".join(parent.cmdline())
            ):
                return process
        except psutil.Error:
            continue
    return None


def database_answers(stack: Stack) -> bool:
    try:
        rows(stack, "SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def rows(stack: Stack, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(find_database_url(stack.settings), connect_timeout=5) as connection:
        return connection.execute(query.encode()).fetchall()


def clear_queue(stack: Stack) -> None:
    """End every run that is left, the automatic retries of killed ones included, as an operator would."""
    found = stack.graphql(
        "{ runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {"
        " ... on Runs { results { runId } } } }"
    )
    ids = [run["runId"] for run in found["runsOrError"]["results"]]
    stack.graphql(
        "mutation ($ids: [String!]!) { terminateRuns(runIds: $ids, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY)"
        " { __typename } }",
        ids=ids,
    )
    print(f"{len(ids)} runs cancelled")


def assert_nothing_half_written(stack: Stack) -> None:
    """Every committed day of ticks can be read and is what its manifest says; every day of candles is whole."""
    lake = Lake.open(stack.settings.resolved_lake_url)
    for key, content_hash, count in rows(
        stack, "SELECT object_key, content_hash, rows FROM lake_days WHERE object_key IS NOT NULL AND kind = 'ticks'"
    ):
        assert len(TICK_DAYS.read(lake, str(key), expect_hash=str(content_hash))) == count
    wrong = rows(
        stack,
        """
        SELECT s.id, d.day, d.rows, count(c.time)
        FROM candle_days d JOIN starlistings s ON s.id = d.starlisting_id JOIN intervals i ON i.id = s.interval_id
        LEFT JOIN candles c ON c.starlisting_id = d.starlisting_id
            AND c.time >= d.day::timestamp AT TIME ZONE 'UTC' AND c.time < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
        GROUP BY s.id, d.day, d.rows HAVING d.rows <> count(c.time)
        """,
    )
    assert not wrong, f"days whose candles are not what candle_days says: {wrong[:5]}"
    orphans = rows(
        stack,
        """
        SELECT count(*) FROM candles c WHERE NOT EXISTS (
            SELECT FROM candle_days d WHERE d.starlisting_id = c.starlisting_id AND d.day = (c.time AT TIME ZONE 'UTC')::date)
        """,
    )
    assert orphans == [(0,)]
