"""What must not end the streamer, nor take one exchange's failure to another: too many pairs, moves, and plain bugs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from market_platform.domain.errors import ConfigError
from market_platform.domain.live import ConnectionPlan, LivePair, Subscription
from market_platform_tests.fixtures.fake_stream import FakeDialect, eventually
from market_platform_tests.fixtures.memory_sink import made_pair
from market_platform_tests.fixtures.streamer_world import run, world
from streamer.connections.slot import Slot
from streamer.watch import Watch


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.connections.lanes.SETTLE_S", 0.2)
    monkeypatch.setattr("streamer.watch._LEAST_S", 0.01)


class SmallExchange(FakeDialect):
    """Takes six subscriptions, three on a connection; fills connections in the order of the pairs' ids."""

    def plan(self, subscriptions: Sequence[Subscription]) -> list[ConnectionPlan]:
        """See the class."""
        if len(subscriptions) > 6:
            raise ConfigError(f"fake: {len(subscriptions)} subscriptions, but it allows 6")
        ordered = sorted(subscriptions, key=lambda each: each.pair.id)
        parts = [tuple(ordered[start : start + 3]) for start in range(0, len(ordered), 3)]
        return [ConnectionPlan(f"part-{number}", self.url, part) for number, part in enumerate(parts, start=1)]


def test_one_pair_too_many_is_left_out_and_said_and_the_others_stream_on() -> None:
    async def scenario() -> None:
        first, second, third = (made_pair(number) for number in (1, 2, 3))
        async with world(first, second, dialect=SmallExchange) as w:
            await eventually(lambda: len(w.server.subscribed) == 6)
            w.supervisor.set_pairs([first, second, third])
            await eventually(lambda: w.supervisor.problem is not None)
            assert w.supervisor.problem is not None
            assert "allows 6" in w.supervisor.problem
            assert third.name in w.supervisor.problem
            assert w.supervisor.pairs == [first, second]
            assert (w.server.connects, len(w.server.subscribed)) == (2, 6)
            w.supervisor.set_pairs([second, third])
            await eventually(lambda: w.supervisor.problem is None)
            assert w.supervisor.pairs == [second, third]

    run(scenario)


def test_a_pair_that_moves_to_another_connection_misses_nothing_unnoticed() -> None:
    async def scenario() -> None:
        first, second = made_pair(1), made_pair(2)
        async with world(first, second, dialect=SmallExchange) as w:
            await eventually(lambda: len(w.server.subscribed) == 6)
            await eventually(lambda: all(each.end_ms is not None for each in w.gaps.gaps))
            w.supervisor.set_pairs([second])
            await eventually(lambda: any("moved" in each.detail for each in w.gaps.gaps))
            await w.server.until(lambda: len(w.server.subscribed) == 9)
            await eventually(lambda: all(each.end_ms is not None for each in w.gaps.gaps))

    run(scenario)


def test_a_bug_in_what_asks_the_exchange_leaves_the_streams_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with world() as w:
            calls = 0

            async def broken(_: LivePair) -> list[Any]:
                nonlocal calls
                calls += 1
                raise RuntimeError("a bug")

            monkeypatch.setattr(w.rest, "context", broken)
            await w.subscribed()
            await w.delivering()
            await eventually(lambda: calls >= 2)
            assert "a bug" in w.supervisor.watch.problems["polls"]
            await w.trades(1, 3)
            assert w.server.connects == 1

    run(scenario)


def test_a_bug_in_a_connection_begins_the_exchange_anew_with_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    original, broken = Slot._serve, asyncio.Event()

    async def serve(self: Slot, connection: Any) -> Any:
        if not broken.is_set():
            await connection.delivering.wait()
            await asyncio.sleep(0)
            broken.set()
            raise RuntimeError("a bug")
        return await original(self, connection)

    monkeypatch.setattr(Slot, "_serve", serve)

    async def scenario() -> None:
        async with world() as w:
            await eventually(broken.is_set)
            await eventually(lambda: w.server.connects == 2)
            await w.subscribed()
            await w.delivering()
            await w.trades(5, 6)
            assert "a bug" in w.supervisor.watch.problems["streams"]
            assert w.gaps.of("candles", "disconnect")
            await eventually(lambda: all(each.end_ms is not None for each in w.gaps.gaps))

    run(scenario)


def test_a_part_that_fails_runs_again_until_it_returns() -> None:
    async def scenario() -> None:
        watch, runs = Watch("fake"), 0

        async def part() -> None:
            nonlocal runs
            runs += 1
            if runs < 3:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_fail(f"failure {runs}"))

        await watch.forever("part", part)
        assert runs == 3
        assert watch.problems == {"part": "fake part failed and begins anew: ValueError: failure 2"}

    run(scenario)


async def _fail(text: str) -> None:
    raise ValueError(text)
