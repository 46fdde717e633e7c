"""`market-platform backfill` through the real daemon: one run a month, weeks and months after their days, failures named."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from market_platform_tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("backfill-daemon")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("backfill"))
    try:
        made.up()
        yield made
        assert made.down() == 0
    finally:
        made.kill()


def runs(stack: Stack, pair: str) -> list[tuple[str, str, str, int]]:
    """Status, first and last partition and number of assets of the pair's runs, oldest first."""
    found = stack.graphql(
        "query($tags: [ExecutionTag!]) { runsOrError(filter: {tags: $tags}) {"
        " ... on Runs { results { status tags { key value } assetSelection { path } } } } }",
        tags=[{"key": "market/pair", "value": pair}],
    )
    listed = []
    for run in reversed(found["runsOrError"]["results"]):
        tags = {tag["key"]: tag["value"] for tag in run["tags"]}
        first = tags.get("dagster/asset_partition_range_start") or tags["dagster/partition"]
        last = tags.get("dagster/asset_partition_range_end") or tags["dagster/partition"]
        listed.append((run["status"], first, last, len(run["assetSelection"])))
    return listed


def test_a_month_is_one_run_and_its_weeks_and_itself_follow(stack: Stack) -> None:
    done = stack.run("backfill", "dukascopy/EURUSD", "--from", "2024-03-01", "--to", "2024-03-31")
    assert done.stdout == f"{31 * 9 + 4 + 1} partitions materialised\n"
    assert sorted(runs(stack, "dukascopy/EURUSD")) == [
        ("SUCCESS", "2024-03-01", "2024-03-01", 1),
        ("SUCCESS", "2024-03-01", "2024-03-31", 9),
        ("SUCCESS", "2024-03-04", "2024-03-25", 1),
    ]


def test_a_day_that_fails_is_named_and_the_rest_is_kept(stack: Stack) -> None:
    rule = {"match": "(ticks/GBP-USD/2024/3/5/10$|GBPUSD/2024/02/05/10h_ticks)", "kind": "wrong_types", "times": 1000}
    url = f"http://127.0.0.1:{stack.env['REPLAY_PORT']}/_faults"
    assert httpx.post(url, json=[rule]).status_code in (200, 201)
    failed = stack.run("backfill", "GBPUSD", "--from", "2024-03-04", "--to", "2024-03-06", check=False)
    assert failed.returncode == 1
    assert "18 of 27 partitions materialised; failed:" in failed.stderr
    assert "dukascopy/GBPUSD/ticks 2024-03-05: 10h (json): " in failed.stderr
    assert f"{stack.dagster_url}/runs/b/" in failed.stderr
    httpx.delete(url)
    again = stack.run("backfill", "GBPUSD", "--from", "2024-03-05", "--to", "2024-03-05")
    assert again.stdout == "9 partitions materialised\n"


def test_a_day_that_is_not_whole_is_named_and_strict_says_so(stack: Stack) -> None:
    rule = {"match": "(ticks/GBP-USD/2024/3/20/10$|GBPUSD/2024/02/20/10h_ticks)", "kind": "empty_once", "times": 1000}
    url = f"http://127.0.0.1:{stack.env['REPLAY_PORT']}/_faults"
    assert httpx.post(url, json=[rule]).status_code in (200, 201)
    days = ("--from", "2024-03-20", "--to", "2024-03-21")
    done = stack.run("backfill", "GBPUSD", *days, "--layers", "ticks", "--strict", check=False)
    httpx.delete(url)
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines() == [
        "2 partitions materialised: 1 available, 1 degraded",
        "  dukascopy/GBPUSD 2024-03-20 degraded (ticks): no ticks in open hours 10",
    ]


def test_it_can_be_launched_without_waiting(stack: Stack) -> None:
    done = stack.run("backfill", "USDJPY", "GBPUSD", "--from", "2024-03-11", "--to", "2024-03-12", "--no-wait")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("launched")
    [page] = [line.strip() for line in lines[1:]]
    assert httpx.get(page).status_code == 200
