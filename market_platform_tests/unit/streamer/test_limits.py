"""Back-off, circuit breaker, connection budget, the exchange's clock."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from streamer.connections.backoff import Backoff
from streamer.connections.breaker import Breaker
from streamer.connections.budget import ConnectBudget
from streamer.routing.exchange_clock import ExchangeClock


def test_waits_double_up_to_a_minute_and_are_anything_below() -> None:
    longest = [Backoff(lambda: 1.0)]
    assert [longest[0].lost(0) for _ in range(10)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    dice = random.Random(5)
    waits = [backoff.lost(0) for backoff in [Backoff(dice.random)] for _ in range(8)]
    assert all(0 <= wait <= 60 for wait in waits)
    assert len(set(waits)) == len(waits)


def test_only_a_healthy_minute_makes_it_forget() -> None:
    backoff = Backoff(lambda: 1.0)
    assert [backoff.lost(0) for _ in range(3)] == [0.5, 1, 2]
    assert backoff.lost(59.9) == 4  # it lived, but not for long
    assert backoff.lost(60) == 0.5
    assert backoff.lost(0, at_least_s=30) == 30  # the exchange said how long


@given(st.lists(st.floats(0, 20), min_size=1, max_size=200), st.integers(1, 6), st.floats(1, 30))
def test_no_window_holds_more_connections_than_the_budget(pauses: list[float], connects: int, per_s: float) -> None:
    budget, now, opened = ConnectBudget(connects, per_s), 0.0, list[float]()
    for pause in pauses:
        now += pause
        while delay := budget.delay(now):
            now += delay
        budget.take(now)
        opened.append(now)
    for first in opened:
        assert sum(first <= each < first + per_s - 1e-6 for each in opened) <= connects


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_try() -> None:
    breaker = Breaker()
    for _ in range(5):
        assert breaker.delay(100.0) == 0
        breaker.began()
        breaker.failed(100.0)
    assert breaker.state(100.0) == "open"
    assert breaker.delay(100.0) == 5.0
    assert breaker.state(105.0) == "half_open"
    assert breaker.delay(105.0) == 0
    breaker.began()
    assert breaker.delay(105.0) > 0  # one tries, the others wait
    breaker.failed(105.0)
    assert breaker.delay(105.0) == 10.0  # longer this time
    breaker.began()
    breaker.succeeded()
    assert (breaker.state(115.0), breaker.delay(115.0)) == ("closed", 0)


def test_a_trial_that_we_gave_up_says_nothing() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(0.0)
    breaker.began()
    breaker.abandoned()
    assert breaker.state(5.0) == "half_open"
    assert breaker.delay(5.0) == 0


def test_the_exchange_s_clock_is_its_newest_event_s_and_runs_on() -> None:
    here = [0.0]
    clock = ExchangeClock(lambda: 777, lambda: here[0])
    assert clock.now() == 777
    clock.saw(10_000)
    here[0] = 2.0
    assert clock.now() == 12_000
    clock.saw(11_000)  # late: nothing new
    assert clock.now() == 12_000
    here[0] = 3.0
    clock.saw(33_000)  # a replay at many times the speed
    assert clock.now() == 33_000


def test_an_event_from_the_future_is_forgotten() -> None:
    here = [0.0]
    clock = ExchangeClock(lambda: 0, lambda: here[0])
    clock.saw(60_000)
    for second in range(1, 40):
        here[0] = float(second)
        clock.saw(second * 1000)
    assert clock.now() == 39_000
