"""One client's way out: order, conflation, bounds."""

from __future__ import annotations

import asyncio

import pytest

from api_service.live import outbox as outbox_module
from api_service.live.errors import ClientGoneError
from api_service.live.messages import frame
from market_platform_tests.unit.api.live.fakes import FakeWire

pytestmark = pytest.mark.anyio


async def test_what_a_client_takes_never_waits() -> None:
    wire = FakeWire()
    outbox = wire.outbox()
    outbox.send(frame(b"1"))
    outbox.send_state("a", frame(b"2"))
    assert wire.messages() == [1, 2]
    assert outbox.waiting_bytes == 0


async def test_numbered_messages_queue_in_order_and_of_a_state_only_the_newest_waits() -> None:
    wire = FakeWire()
    outbox = wire.outbox()
    wire.can_write = False
    for each in range(3):
        outbox.send_state("a", frame(b"%d" % (10 + each)))
        outbox.send(frame(b"%d" % each))
        outbox.send_state("b", frame(b"%d" % (20 + each)))
    assert wire.written == b""
    wire.unblock()
    assert wire.messages() == [0, 1, 2, 12, 22]
    assert outbox.waiting_bytes == 0


async def test_a_message_replaces_the_state_it_ends() -> None:
    wire = FakeWire()
    outbox = wire.outbox()
    wire.can_write = False
    outbox.send_state("a", frame(b"1"))
    outbox.send_state("b", frame(b"2"))
    outbox.send(frame(b"3"), "a")
    outbox.drop_state("nothing")
    wire.unblock()
    assert wire.messages() == [3, 2]


async def test_nothing_overtakes_what_waits() -> None:
    wire = FakeWire()
    outbox = wire.outbox()
    wire.can_write = False
    outbox.send(frame(b"1"))
    wire.can_write = True  # not told of yet
    outbox.send(frame(b"2"))
    assert wire.messages() == [1, 2]


async def test_over_the_bound_a_client_is_told_and_closed_once() -> None:
    slow: list[int] = []
    wire = FakeWire()
    outbox = wire.outbox(100, lambda: slow.append(1))
    wire.can_write = False
    for _ in range(5):
        outbox.send(frame(b"1" * 60))
    assert wire.closed == (1013, "slow_consumer")
    assert [each["code"] for each in wire.messages()] == ["slow_consumer"]
    assert slow == [1]
    assert outbox.waiting_bytes == 0
    with pytest.raises(ClientGoneError):
        await outbox.ready()


async def test_states_alone_are_within_the_bound_for_ever() -> None:
    wire = FakeWire()
    outbox = wire.outbox(100)
    wire.can_write = False
    for _ in range(1000):
        outbox.send_state("a", frame(b"1" * 60))
    assert wire.closed is None
    assert outbox.waiting_bytes == 62


async def test_who_takes_nothing_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "STALL_S", 0.01)
    wire = FakeWire()
    outbox = wire.outbox()
    wire.can_write = False
    outbox.send_state("a", frame(b"1"))
    with pytest.raises(ClientGoneError):
        await outbox.ready()
    assert wire.closed == (1013, "slow_consumer")


async def test_history_waits_until_everything_before_it_was_taken() -> None:
    wire = FakeWire()
    outbox = wire.outbox()
    await outbox.ready()
    wire.can_write = False
    outbox.send(frame(b"1"))
    waiting = asyncio.create_task(outbox.ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    wire.unblock()
    await waiting
    assert wire.messages() == [1]


async def test_a_client_that_goes_ends_the_wait() -> None:
    wire = FakeWire()
    outbox = wire.outbox()
    wire.can_write = False
    waiting = asyncio.create_task(outbox.ready())
    await asyncio.sleep(0)
    wire.is_open = False
    wire.unblock()
    with pytest.raises(ClientGoneError):
        await waiting
    outbox.send(frame(b"1"))
    assert outbox.waiting_bytes == 0
