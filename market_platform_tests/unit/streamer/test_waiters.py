"""Coroutines wake when a thread made true what they wait for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from streamer.journal.waiters import Waiters


def test_who_waits_is_woken_from_another_thread_and_the_others_wait_on() -> None:
    waiters, done = Waiters(), 0

    async def scenario() -> None:
        nonlocal done
        first = asyncio.create_task(waiters.until(lambda: done >= 1))
        second = asyncio.create_task(waiters.until(lambda: done >= 2))
        await asyncio.sleep(0)
        done = 1
        thread = threading.Thread(target=waiters.check)
        thread.start()
        await first
        thread.join()
        assert not second.done()
        done = 2
        waiters.check()
        await second

    asyncio.run(scenario())


def test_what_is_so_already_needs_no_waking() -> None:
    asyncio.run(Waiters().until(lambda: True))


def test_one_that_gave_up_is_forgotten() -> None:
    waiters = Waiters()

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await waiters.until(lambda: False)

    asyncio.run(scenario())
    waiters.check()
    assert waiters._waiting == {}
