"""Work that many wait for is done once."""

from __future__ import annotations

import asyncio

import pytest

from api_service.live.sharing import SingleFlight

pytestmark = pytest.mark.anyio


class Work:
    """Counts how often it is done; ends when told to."""

    def __init__(self) -> None:
        self.done = 0
        self.go = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        """Do it."""
        self.done += 1
        await self.go.wait()
        if self.fails:
            raise LookupError
        return self.done


async def test_who_asks_meanwhile_gets_the_same_and_who_asks_later_the_next() -> None:
    work = Work()
    flight = SingleFlight(work)
    asked = [asyncio.create_task(flight.result()) for _ in range(5)]
    await asyncio.sleep(0)
    work.go.set()
    assert [await each for each in asked] == [1] * 5
    assert await flight.result() == 2


async def test_a_result_may_be_kept_but_a_failure_never_is() -> None:
    work = Work()
    flight = SingleFlight(work, keep=True)
    work.go.set()
    work.fails = True
    with pytest.raises(LookupError):
        await flight.result()
    assert flight.failed
    work.fails = False
    assert [await flight.result(), await flight.result()] == [2, 2]


async def test_who_gives_up_does_not_end_it_for_the_others() -> None:
    work = Work()
    flight = SingleFlight(work)
    impatient, patient = (asyncio.create_task(flight.result()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    work.go.set()
    assert await patient == 1
    assert impatient.cancelled()
