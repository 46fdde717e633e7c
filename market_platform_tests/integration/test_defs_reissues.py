"""The weekly job: a file that the archive published again is found, its day fetched anew and shown with a new data version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from market_platform.defs.reissues import REISSUED_FILES
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.history_world import HistoryWorld, past_world
from market_platform_tests.fixtures.platform_world import materialised

PAIR = "binance/BTCUSDT"
DAY, OTHER = date(2026, 11, 12), date(2026, 11, 13)


@pytest.fixture
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=past_world()) as running:
        yield running


@pytest.fixture
def world(database_url: str, tmp_path: Path, replay: RunningReplay) -> Iterator[HistoryWorld]:
    made = HistoryWorld(database_url, tmp_path, replay, [PAIR])
    yield made
    made.close()


def look(world: HistoryWorld, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return world.definitions.resolve_job_def(REISSUED_FILES).execute_in_process(instance=instance, raise_on_error=False)


def test_a_file_published_again_is_a_new_data_version_of_its_day(world: HistoryWorld, replay: RunningReplay) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        first = world.run(instance, PAIR, ["history_candles_1h", "history_candles_1d"], DAY, OTHER)
        assert first.success
        before = materialised(instance, first)
        nothing = look(world, instance)
        assert (nothing.success, materialised(instance, nothing)) == (True, {})

        replay.fail(f"BTCUSDT-1h-{DAY}", "reissued", times=100)
        found = look(world, instance)
        assert found.success
        after = materialised(instance, found)
        layer = ("history_candles_1h", DAY.isoformat())
        assert list(after) == [layer]
        assert after[layer]["data_version"] != before[layer]["data_version"]
        assert f"BTCUSDT-1h-{DAY}.zip" in str(after[layer])

        again = look(world, instance)
        assert (again.success, materialised(instance, again)) == (True, {})


def test_an_archive_that_is_away_fails_the_run_and_names_the_pair(world: HistoryWorld, replay: RunningReplay) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert world.run(instance, PAIR, ["history_candles_1h"], DAY, DAY).success
        replay.fail("CHECKSUM", "503", times=1000)
        assert not look(world, instance).success
