"""Stocks in session: the day in progress is there bar by bar, pending; exchanges that are closed are not asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from market_platform.defs.polls import POLL, may_be_open, open_pairs
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.replay.generator.source import GeneratorSource
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, clock_from, running_replay
from market_platform_tests.fixtures.history_world import NOW, HistoryWorld

MINUTE = (parse_interval("1m"),)
APPLE = TradingPair("yahoo", "AAPL", "USD", "stock", "AAPL", MINUTE)
LONDON = TradingPair("yahoo", "AZN", "GBX", "stock", "AZN.L", MINUTE)
TODAY = date(2026, 11, 18)
AHEAD = timedelta(hours=2)
"""New York has been open for an hour then."""


@pytest.fixture
def replay() -> Iterator[RunningReplay]:
    moment = clock_from(NOW + AHEAD)
    with running_replay(GeneratorSource(7, moment), world=World(7, ExchangeClock(1.0, moment))) as running:
        yield running


@pytest.fixture
def world(database_url: str, tmp_path: Path, replay: RunningReplay) -> Iterator[HistoryWorld]:
    made = HistoryWorld(database_url, tmp_path, replay, ["yahoo/AAPL"])
    yield made
    made.close()


def poll(world: HistoryWorld) -> bool:
    with dg.DagsterInstance.ephemeral() as instance:
        done = world.definitions.resolve_job_def(POLL).execute_in_process(instance=instance, raise_on_error=False)
        return bool(done.success)


def stored(world: HistoryWorld) -> list[tuple[int, str]]:
    query = """
    SELECT count(*), max(condition) FROM candles JOIN starlistings ON starlistings.id = starlisting_id
    JOIN intervals ON intervals.id = interval_id AND intervals.name = '1m'
    JOIN candle_days ON candle_days.starlisting_id = starlistings.id AND day = %s
    """
    return [(count, condition) for count, condition in world.rows(query, TODAY)]


def test_bars_so_far_are_stored_and_the_day_stays_pending(world: HistoryWorld) -> None:
    world.ahead = AHEAD
    assert poll(world)
    [(bars, condition)] = stored(world)
    assert (bars > 30, condition) == (True, "pending")
    assert poll(world)
    assert stored(world)[0][0] >= bars


def test_closed_exchanges_are_not_asked(world: HistoryWorld, replay: RunningReplay) -> None:
    world.ahead = timedelta(hours=12)
    before = sum(replay.log.paths.values())
    assert poll(world)
    assert sum(replay.log.paths.values()) == before


@pytest.mark.parametrize(
    ("moment", "guessed", "asked"),
    [
        (datetime(2026, 11, 18, 15, tzinfo=UTC), ["AAPL", "AZN.L"], ["AAPL", "AZN.L"]),
        (datetime(2026, 11, 18, 9, tzinfo=UTC), ["AZN.L"], ["AZN.L"]),
        (datetime(2026, 11, 18, 21, 20, tzinfo=UTC), ["AAPL", "AZN.L"], ["AAPL"]),
        (datetime(2026, 11, 26, 16, tzinfo=UTC), ["AAPL", "AZN.L"], ["AZN.L"]),  # Thanksgiving
        (datetime(2026, 11, 21, 15, tzinfo=UTC), [], []),
    ],
)
def test_sessions_and_holidays_decide(moment: datetime, guessed: list[str], asked: list[str]) -> None:
    pairs = [APPLE, LONDON]
    assert [pair.symbol for pair in pairs if may_be_open(pair, moment)] == guessed
    assert [pair.symbol for pair in open_pairs(pairs, moment)] == asked
