"""Asking the REST side for what the stream does not say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from market_platform.domain.errors import ExchangeUnavailableError, UnknownSymbolError
from market_platform.domain.events import Candle, Funding, OpenInterest
from market_platform.domain.live import LivePair
from market_platform_tests.fixtures.fake_stream import eventually
from market_platform_tests.fixtures.memory_sink import NOON_MS, made_pair
from market_platform_tests.fixtures.scripted_rest import ScriptedRest
from streamer.rest.polls import Polls

MINUTE = 60_000


class World(ScriptedRest):
    """A REST side with open interest, and what was answered."""

    def __init__(self) -> None:
        super().__init__(NOON_MS)
        self.rows: list[Candle | Funding | OpenInterest] = []
        self.pair = made_pair(1, "1m")
        self.polls = Polls(self, lambda: self.now_ms)
        self.polls.answers = self
        self.polls.set_pairs([self.pair])

    def asked_for(self, pair: LivePair, rows: Sequence[Candle | Funding | OpenInterest]) -> None:
        self.rows += rows

    async def context(self, pair: LivePair) -> list[Funding | OpenInterest]:
        return [OpenInterest(pair.wire, Decimal(self.now_ms))]

    def opens(self) -> list[int]:
        return [(row.open_ms - NOON_MS) // MINUTE for row in self.rows if isinstance(row, Candle)]

    def spans(self) -> list[tuple[int, int]]:
        return [(start, end) for what, _, start, end in self.asked if what == "candles"]  # type: ignore[misc]

    def questions(self) -> int:
        return sum(each[0] == "candles" for each in self.asked)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.rest.polls._LOOK_S", 0.005)


async def polling(world: World, *, every_candle: bool = False) -> asyncio.Task[None]:
    return asyncio.create_task(world.polls.run(every_candle=every_candle))


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_candle_is_asked_for_once_the_exchange_has_made_up_its_mind() -> None:
    async def scenario() -> None:
        world = World()
        world.polls.want(world.pair, "1m", NOON_MS, NOON_MS + MINUTE)
        task = await polling(world)
        world.now_ms = NOON_MS + MINUTE + 1_000
        await asyncio.sleep(0.05)
        assert world.questions() == 0
        world.now_ms = NOON_MS + MINUTE + 2_000
        await eventually(lambda: world.opens() == [0])
        await asyncio.sleep(0.05)
        assert world.questions() == 1
        await end(task)

    asyncio.run(scenario())


def test_an_exchange_that_is_away_is_asked_again_and_questions_are_merged() -> None:
    async def scenario() -> None:
        world = World()
        world.now_ms = NOON_MS + 10 * MINUTE
        world.faults = [ExchangeUnavailableError("away")] * 3
        for minute in range(3):
            world.polls.want(world.pair, "1m", NOON_MS + minute * MINUTE, NOON_MS + (minute + 1) * MINUTE)
        task = await polling(world)
        await eventually(lambda: world.opens() == [0, 1, 2])
        assert world.questions() == 4
        await end(task)

    asyncio.run(scenario())


def test_what_a_retry_cannot_help_is_not_retried_and_harms_nothing() -> None:
    async def scenario() -> None:
        world = World()
        world.now_ms = NOON_MS + 10 * MINUTE
        world.faults = [UnknownSymbolError("who?")]
        world.polls.want(world.pair, "1m", NOON_MS, NOON_MS + MINUTE)
        task = await polling(world)
        await eventually(lambda: world.questions() == 1)
        world.polls.want(world.pair, "1m", NOON_MS + MINUTE, NOON_MS + 2 * MINUTE)
        await eventually(lambda: world.opens() == [1])
        await end(task)

    asyncio.run(scenario())


def test_every_candle_of_an_exchange_without_a_stream_of_them_is_asked_for_as_it_ends() -> None:
    async def scenario() -> None:
        world = World()
        task = await polling(world, every_candle=True)
        for minute in range(1, 4):
            await asyncio.sleep(0.02)
            world.now_ms = NOON_MS + minute * MINUTE + 3_000
            await eventually(lambda minute=minute: len(world.opens()) == minute)  # type: ignore[misc]
        assert world.opens() == [0, 1, 2]
        await end(task)

    asyncio.run(scenario())


def test_a_bucket_in_which_nobody_traded_does_not_keep_us() -> None:
    async def scenario() -> None:
        world = World()
        world.absent = {NOON_MS, NOON_MS + MINUTE}
        task = await polling(world, every_candle=True)
        await asyncio.sleep(0.02)
        world.now_ms = NOON_MS + 2 * MINUTE + 3_000
        await eventually(lambda: world.questions() >= 5)
        world.now_ms = NOON_MS + 3 * MINUTE + 3_000
        await eventually(lambda: world.opens() == [2])
        await end(task)

    asyncio.run(scenario())


def test_context_is_asked_for_each_minute() -> None:
    async def scenario() -> None:
        world = World()
        task = await polling(world)
        for minute in range(3):
            world.now_ms = NOON_MS + minute * MINUTE + 500
            await eventually(lambda minute=minute: len(world.rows) == minute + 1)  # type: ignore[misc]
        await end(task)

    asyncio.run(scenario())


def test_context_of_a_pair_that_is_new_is_asked_for_at_once() -> None:
    async def scenario() -> None:
        world = World()
        world.polls.set_pairs([])
        task = await polling(world)
        await asyncio.sleep(0.03)  # the minute has begun without it
        world.polls.set_pairs([world.pair])
        await eventually(lambda: len(world.rows) == 1)
        await asyncio.sleep(0.03)
        assert len(world.rows) == 1
        await end(task)

    asyncio.run(scenario())


def test_candles_that_were_asked_for_before_their_time_are_asked_for_again() -> None:
    """Our clock was ahead while nobody told the exchange's time: what it called over was not there yet."""

    async def scenario() -> None:
        world = World()
        world.absent = {NOON_MS + minute * MINUTE for minute in range(9)}  # they are still to come
        world.now_ms = NOON_MS + 3_000
        task = await polling(world, every_candle=True)
        await asyncio.sleep(0.02)
        world.now_ms = NOON_MS + 9 * MINUTE + 3_000
        await eventually(lambda: world.questions() >= 6)
        world.now_ms = NOON_MS + MINUTE + 3_000
        await asyncio.sleep(0.02)
        world.absent.clear()
        for minute in range(2, 5):
            world.now_ms = NOON_MS + minute * MINUTE + 3_000
            await eventually(lambda minute=minute: minute - 1 in world.opens())  # type: ignore[misc]
        await end(task)

    asyncio.run(scenario())


def test_nothing_is_left_out_after_so_long_an_outage_that_one_question_is_too_few() -> None:
    async def scenario() -> None:
        world = World()
        task = await polling(world, every_candle=True)
        await asyncio.sleep(0.02)
        world.now_ms = NOON_MS + 1_300 * MINUTE + 3_000
        await eventually(lambda: len(set(world.opens())) == 1_300)
        assert max(end - start for start, end in world.spans()) <= 500 * MINUTE
        await end(task)

    asyncio.run(scenario())
