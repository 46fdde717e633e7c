"""`kill -9` of backfills of an exchange's past at random moments: the next one goes on, nothing is lost, nothing is there twice.

The same work is done once undisturbed in a place of its own. What a killed one has committed is always a part of that, and what
is there in the end is that, down to revisions, inputs, numbered changes, files and Dagster's partitions.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from market_platform.domain.clock import utc_now
from market_platform.pipeline.platform import Platform
from market_platform.pipeline.sweep import SUPERSEDED_FOR, sweep_superseded
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.killable import Commands
from market_platform_tests.fixtures.killed_history import COUNTED, KEPT, Place

KILLS = int(os.environ.get("HISTORY_KILLS", "4"))
DAYS = 3
LONGEST_S = 0.2
"""Kills come within this time after what they waited for: longer than a day takes to be written."""
ARCHIVE = (
    *("--exchange", "binance", "--coin", "SOL", "--market-type", "perps"),
    *("--intervals", "1m,1h", "--with", "funding,oi,trades"),
)
"""From the archive into the realtime database."""
REST = ("binance/BTCUSDT.P", "--intervals", "5m,1h", "--with", "funding,oi", "--database", "training")
"""Into the training database, from an exchange whose archive has nothing."""
log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def exchange() -> Iterator[RunningReplay]:
    with running_replay() as running:
        yield running


@pytest.fixture
def dice() -> random.Random:
    seed = int(os.environ.get("CHAOS_SEED", str(random.SystemRandom().randrange(1_000_000))))
    log.warning("CHAOS_SEED=%s", seed)
    return random.Random(seed)


@pytest.fixture
def make_place(make_database: Callable[[], str], tmp_path: Path) -> Callable[[str], Place]:
    def make(name: str) -> Place:
        made = Place(tmp_path / name, make_database(), make_database())
        made.sync()
        return made

    return make


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * KILLS)
@pytest.mark.parametrize(
    ("arguments", "archive"), [(ARCHIVE, ""), (REST, "/nothing")], ids=["archive, realtime", "rest, training"]
)
def test_a_backfill_that_is_killed_again_and_again_ends_whole(
    arguments: tuple[str, ...],
    archive: str,
    exchange: RunningReplay,
    make_place: Callable[[str], Place],
    dice: random.Random,
    tmp_path: Path,
) -> None:
    last = utc_now().date() - timedelta(days=3)
    days = [last - timedelta(days=offset) for offset in range(DAYS)]
    asked = ("backfill", *arguments, "--from", str(days[-1]), "--to", str(last), "--direct")
    urls = {"REPLAY_PORT": exchange.url.rpartition(":")[2]}
    if archive:
        urls["BINANCE_DUMPS_URL"] = f"{exchange.url}{archive}"
    truth, place = make_place("truth"), make_place("killed")
    with Commands(tmp_path) as commands:
        exchange.log.clear()
        assert commands.run(asked, urls | truth.environment) == 0, commands.printed
        requests, events = exchange.log.paths.total(), truth.events()
        whole = truth.rows(*KEPT)
        inputs = [row for table, rows in whole.items() if table.endswith("history_inputs") for row in rows]
        assert inputs
        assert any(".zip" in row for row in inputs) is not bool(archive), "it takes the way that is meant"
        codes = []
        for _ in range(KILLS):
            codes.append(
                commands.run(
                    asked,
                    urls | place.environment,
                    kill_when=_moment(dice, exchange, place, requests, events),
                    delay_s=dice.uniform(0, LONGEST_S),
                )
            )
            assert codes[-1] in (-9, 0), commands.printed
            place.files()
            for table, rows in place.rows(*KEPT).items():
                assert rows <= whole[table], f"{table}: what is committed is not what it should be"
        log.warning("exit codes %s", codes)
        assert commands.run(asked, urls | place.environment) == 0, commands.printed
    assert place.rows(*KEPT, *COUNTED) == truth.rows(*KEPT, *COUNTED)
    assert place.dagster(days) == truth.dagster(days)
    assert place.files() == truth.files()
    _sweep(place)
    assert place.everything_in_the_lake() == truth.everything_in_the_lake() == truth.files()


def _moment(
    dice: random.Random, exchange: RunningReplay, place: Place, requests: int, events: int
) -> Callable[[], bool]:
    """When the exchange was asked that often, or Dagster has logged that much, of what an undisturbed run does."""
    exchange.log.clear()
    if dice.random() < 0.5:
        asked = dice.randrange(requests + 1)
        return lambda: exchange.log.paths.total() >= asked
    logged = place.events() + dice.randrange(1, events)
    return lambda: place.events() >= logged


def _sweep(place: Place) -> None:
    """What the nightly housekeeping does of it, a day later."""
    platform = Platform.from_settings(
        place.settings, place.realtime_url, lambda: utc_now() + SUPERSEDED_FOR + timedelta(hours=1)
    )
    try:
        sweep_superseded(platform, lambda _: None)
    finally:
        platform.close()
