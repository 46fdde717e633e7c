"""One starlisting's messages: joining, numbers, forming candles, beginning anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_service.live.listings import Listing
from api_service.live.topic import RING_MESSAGES, Reader, Topic
from market_platform.domain.live_frames import FormingCandle
from market_platform.warehouse.series_queries import SeriesChange
from market_platform_tests.unit.api.live.fakes import FakeWire

LISTING = Listing(7, 3, "binance", "BTCUSDT", "BTC", "USDT", "spot", "1m")
FIRST = datetime(2026, 11, 2, tzinfo=UTC)

pytestmark = pytest.mark.anyio


def candle(seq: int, minute: int | None = None) -> SeriesChange:
    at = FIRST + timedelta(minutes=seq if minute is None else minute)
    row = {"time": at.isoformat(), **dict.fromkeys(("open", "high", "low", "close", "volume"), "1.50"), "num_trades": 1}
    return SeriesChange(seq, "candle", at, json.dumps(row))


def forming(minute: int, close: str = "2") -> FormingCandle:
    at = int((FIRST + timedelta(minutes=minute)).timestamp() * 1000)
    return FormingCandle(7, at, "1", "3", "1", close, "4", None, at)


def topic_at(seq: int) -> Topic:
    topic = Topic(LISTING)
    topic.epoch, topic.seq = 1, seq
    return topic


def reader(wire: FakeWire, restarted: Callable[[int], None] = lambda _: None) -> Reader:
    return Reader(wire.outbox(10**6), restarted)


def numbers(wire: FakeWire) -> list[int]:
    return [each["seq"] for each in wire.messages()]


async def test_nobody_can_join_before_the_number_is_known() -> None:
    assert not Topic(LISTING).join(reader(FakeWire()), 0)


async def test_joining_behind_gets_what_lies_between_and_ahead_skips_what_it_has() -> None:
    topic = topic_at(10)
    behind, now, ahead, old = FakeWire(), FakeWire(), FakeWire(), FakeWire()
    topic.publish([candle(11), candle(12)])
    assert topic.join(reader(behind), 10)
    assert topic.join(reader(now), 12)
    assert topic.join(reader(ahead), 14)
    assert not topic.join(reader(old), 9)
    topic.publish([candle(13)])
    topic.publish([candle(14), candle(15)])
    topic.publish([candle(15), candle(16)])  # read twice
    assert numbers(behind) == [11, 12, 13, 14, 15, 16]
    assert numbers(now) == [13, 14, 15, 16]
    assert numbers(ahead) == [15, 16]
    assert numbers(old) == []


async def test_memory_has_an_end() -> None:
    topic = topic_at(0)
    for each in range(1, RING_MESSAGES + 11):
        topic.publish([candle(each)])
    assert not topic.join(reader(FakeWire()), 9)
    oldest = FakeWire()
    assert topic.join(reader(oldest), 10)
    assert numbers(oldest) == list(range(11, RING_MESSAGES + 11))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 5), max_size=30), st.lists(st.tuples(st.integers(0, 30), st.integers(-3, 3)), max_size=10)
)
def test_every_reader_gets_every_number_after_its_own_once(batches: list[int], joins: list[tuple[int, int]]) -> None:
    async def play() -> None:
        topic = topic_at(5)
        joined: list[tuple[int, FakeWire]] = []
        for step, size in enumerate([*batches, 3, 3]):
            for at, offset in joins:
                wire, seq = FakeWire(), max(0, (topic.seq or 0) + offset)
                if at == step and topic.join(reader(wire), seq):
                    joined.append((seq, wire))
            first = (topic.seq or 0) + 1
            topic.publish([candle(each) for each in range(first, first + size)])
        for seq, wire in joined:
            assert numbers(wire) == list(range(seq + 1, (topic.seq or 0) + 1))

    asyncio.run(play())


async def test_a_closed_candle_is_never_shown_as_forming_again() -> None:
    topic, wire = topic_at(0), FakeWire()
    topic.join(reader(wire), 0)
    topic.publish([candle(1, minute=5)])
    assert topic.show(forming(5)) == (0, 0)
    assert topic.show(forming(4)) == (0, 0)
    topic.publish([candle(2, minute=3)])  # an older one corrected
    assert topic.show(forming(5)) == (0, 0)
    topic.show(forming(6))
    assert [(each["seq"], each["closed"]) for each in wire.messages()] == [(1, True), (2, True), (2, False)]


async def test_a_forming_candle_that_waits_gives_way_to_its_close() -> None:
    topic, wire = topic_at(0), FakeWire()
    topic.join(reader(wire), 0)
    wire.can_write = False
    topic.show(forming(1, "2.1"))
    topic.show(forming(1, "2.2"))
    topic.publish([candle(1)])
    topic.show(forming(2, "2.3"))
    topic.show(forming(2, "2.4"))
    wire.unblock()
    shown = [(each["closed"], each["data"]["close"][:4]) for each in wire.messages()]
    assert shown == [(True, "1.50"), (False, "2.40")]


async def test_beginning_anew_is_told_and_everyone_has_to_join_again() -> None:
    topic, wire, symbols = topic_at(3), FakeWire(), FakeWire()
    told: list[int] = []
    topic.join(reader(wire, told.append), 3)
    topic.join_symbol(symbols.outbox())
    assert topic.restart(2, 1) == 2
    topic.publish([candle(2)])
    assert told == [1]
    assert wire.messages() == [{"type": "resync", "starlisting_id": 7, "seq": 1}]
    assert [each["type"] for each in symbols.messages()] == ["resync", "data"]


async def test_leaving_ends_it_and_is_noted() -> None:
    topic, wire = topic_at(0), FakeWire()
    mine = reader(wire)
    topic.join(mine, 0)
    assert (topic.used, topic.unused_since) == (True, None)
    topic.leave(mine.outbox)
    topic.publish([candle(1)])
    assert wire.messages() == []
    assert (topic.used, topic.unused_since is None) == (False, False)
