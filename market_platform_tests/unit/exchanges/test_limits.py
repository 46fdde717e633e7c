"""Limits counted by address: never more than the share a minute, and pauses kept by everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from market_platform.domain.errors import RateLimitedError
from market_platform.domain.limits import Turn
from market_platform.exchanges.limits import WeightBudget, _budgets, install_ledger, remove_ledger, shared_budget


def run(scenario: Callable[[WeightBudget], Awaitable[None]], weight_a_minute: float = 100.0) -> None:
    async def within_loop() -> None:
        await scenario(WeightBudget(weight_a_minute))

    asyncio.run(within_loop())


def test_half_of_the_share_goes_at_once_and_no_more() -> None:
    async def scenario(budget: WeightBudget) -> None:
        for _ in range(4):
            await budget.take(10, "x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await budget.take(10, "x")

    run(scenario)


def test_nothing_goes_during_a_pause_and_the_longest_counts() -> None:
    async def scenario(budget: WeightBudget) -> None:
        budget.pause(60)
        budget.pause(1)
        with pytest.raises(RateLimitedError, match=r"candles: the exchange wants a pause of (60|59)") as caught:
            await budget.take(1, "candles")
        assert caught.value.retry_after is not None
        assert 50 < caught.value.retry_after <= 60

    run(scenario)


def test_what_waited_for_its_turn_learns_of_a_pause() -> None:
    async def scenario(budget: WeightBudget) -> None:
        await budget.take(40, "x")
        waiting = asyncio.create_task(budget.take(0.01, "waiting"))
        await asyncio.sleep(0)
        budget.pause(60)
        with pytest.raises(RateLimitedError, match="waiting"):
            await waiting

    run(scenario)


def test_the_exchange_s_own_count_stops_us_at_our_share() -> None:
    async def scenario(budget: WeightBudget) -> None:
        budget.used(79, 30)
        await budget.take(1, "x")
        budget.used(80, 30)
        with pytest.raises(RateLimitedError):
            await budget.take(1, "x")

    run(scenario)


def test_whoever_asks_for_an_api_shares_its_budget_while_the_loop_lives() -> None:
    async def ask() -> None:
        budget = shared_budget("https://a", 100)
        await budget.take(1, "x")
        assert shared_budget("https://a", 100) is budget
        assert shared_budget("https://b", 100) is not budget
        assert len(_budgets) == 1

    asyncio.run(ask())
    asyncio.run(ask())


class Told:
    """A ledger that gives the turns it was told to, in their order, and then is away."""

    def __init__(self, *turns: Turn, pause_left: float = 0.0) -> None:
        self.turns = list(turns)
        self.left = pause_left
        self.asked: list[tuple[str, float, float]] = []
        self.pauses: list[tuple[str, float]] = []

    async def turn(self, name: str, cost_s: float, burst_s: float) -> Turn | None:
        """See `LimitLedger.turn`."""
        self.asked.append((name, cost_s, burst_s))
        return self.turns.pop(0) if self.turns else None

    async def pause_left(self, name: str) -> float:
        """See `LimitLedger.pause_left`."""
        return self.left

    def pause(self, name: str, seconds: float) -> None:
        """See `LimitLedger.pause`."""
        self.pauses.append((name, seconds))


def run_with(ledger: Told, scenario: Callable[[WeightBudget], Awaitable[None]]) -> None:
    async def within_loop() -> None:
        await scenario(WeightBudget(100.0, name="x"))

    install_ledger(ledger)
    try:
        asyncio.run(within_loop())
    finally:
        remove_ledger(ledger)


def test_each_turn_is_taken_from_the_ledger_until_it_is_granted() -> None:
    async def scenario(budget: WeightBudget) -> None:
        await budget.take(4, "x")

    ledger = Told(Turn(granted=False, wait_s=0.001), Turn(granted=True))
    run_with(ledger, scenario)
    assert ledger.asked == [("x", 4 * 60 / 40, 60.0)] * 2


def test_a_request_that_waits_for_its_turn_learns_of_a_pause_of_others() -> None:
    async def scenario(budget: WeightBudget) -> None:
        with pytest.raises(RateLimitedError, match=r"candles: .* pause"):
            await budget.take(1, "candles")

    run_with(Told(Turn(granted=True, wait_s=0.001), pause_left=600), scenario)


def test_a_pause_of_others_stays_when_the_ledger_goes_away() -> None:
    async def scenario(budget: WeightBudget) -> None:
        for _ in range(2):
            with pytest.raises(RateLimitedError):
                await budget.take(1, "x")

    run_with(Told(Turn(granted=False, pause_s=600)), scenario)


def test_pauses_are_told_to_the_ledger() -> None:
    async def scenario(budget: WeightBudget) -> None:
        budget.pause(5)
        budget.used(80, 30)

    ledger = Told()
    run_with(ledger, scenario)
    assert ledger.pauses == [("x", 5), ("x", 30)]


def test_what_weighs_nothing_waits_for_no_turn_and_heeds_pauses() -> None:
    async def scenario(budget: WeightBudget) -> None:
        await budget.take(0, "x")
        ledger.left = 600
        with pytest.raises(RateLimitedError):
            await budget.take(0, "x")

    ledger = Told()
    run_with(ledger, scenario)
    assert ledger.asked == []
