"""The plan of repairs: bounded, ever rarer, never a storm."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from market_platform.defs.repair import (
    FIRST_DELAY,
    MOST_ATTEMPTS,
    Attempt,
    Memory,
    Need,
    Plan,
    Symptom,
    delay_after,
    plan_repairs,
)

NOW = datetime(2024, 3, 12, 6, tzinfo=UTC)
DAY = date(2024, 3, 8)


def missing(day: date = DAY, pair: str = "dukascopy/EURUSD", need: Need = Need.TICKS) -> Symptom:
    return Symptom(pair, need, day, "missing")


def plan(
    symptoms: list[Symptom], memory: Memory | None = None, now: datetime = NOW, runs: int = 4, days: int = 31
) -> Plan:
    return plan_repairs(symptoms, memory or Memory(), now, most_runs=runs, days_per_run=days)


def test_contiguous_days_of_a_pair_travel_in_one_run() -> None:
    days = [date(2024, 3, day) for day in (4, 5, 6, 8)]
    made = plan([missing(day) for day in days])
    assert sorted((each.first.day, each.last.day) for each in made.repairs) == [(4, 6), (8, 8)]


def test_a_run_takes_no_more_days_than_a_run_may() -> None:
    made = plan([missing(date(2024, 3, day)) for day in range(1, 8)], days=3)
    assert sorted((each.first.day, each.last.day) for each in made.repairs) == [(1, 3), (4, 6), (7, 7)]


def test_a_tick_requests_a_bounded_number_of_runs_and_the_rest_comes_later() -> None:
    symptoms = [missing(pair=f"dukascopy/P{number}") for number in range(10)]
    first = plan(symptoms, runs=4)
    assert (len(first.repairs), first.deferred) == (4, 6)
    second = plan(symptoms, first.memory, NOW + timedelta(minutes=2), runs=4)
    assert {each.pair for each in second.repairs}.isdisjoint(each.pair for each in first.repairs)
    assert plan(symptoms, runs=0).repairs == ()


def test_attempts_are_ever_rarer_and_end() -> None:
    memory, now, asked, given_up = Memory(), NOW, list[datetime](), 0
    for _ in range(5 * 24 * 30):
        made = plan([missing()], memory, now)
        memory = made.memory
        asked += [now] * len(made.repairs)
        given_up += len(made.given_up)
        now += timedelta(minutes=2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(asked) == MOST_ATTEMPTS
    assert gaps == sorted(gaps)
    assert gaps[0] < timedelta(minutes=20)
    assert gaps[-1] >= timedelta(hours=24)
    assert given_up == 1


def test_what_has_healed_is_forgotten_and_may_fail_again_later() -> None:
    first = plan([missing()])
    healed = plan([], first.memory, NOW + timedelta(hours=1))
    assert healed.memory.attempts == {}
    again = plan([missing()], healed.memory, NOW + timedelta(days=3))
    assert [each.attempt for each in again.repairs] == [1]
    assert again.repairs[0].run_key(NOW + timedelta(days=3)) != first.repairs[0].run_key(NOW)


def test_what_is_in_flight_has_not_healed_and_keeps_its_attempts() -> None:
    first = plan([missing()])
    meanwhile = plan_repairs(
        [], first.memory, NOW + timedelta(minutes=2), most_runs=4, days_per_run=31, in_flight=lambda _key: True
    )
    assert meanwhile.memory == first.memory
    assert plan([missing()], meanwhile.memory, NOW + timedelta(minutes=4)).waiting == 1


def test_a_day_just_found_pending_is_not_asked_for_again_at_once() -> None:
    pending = Symptom("dukascopy/EURUSD", Need.TICKS, DAY, "pending", since=NOW)
    assert plan([pending]).waiting == 1
    assert len(plan([pending], now=NOW + FIRST_DELAY).repairs) == 1


def test_new_trouble_is_not_starved_by_old() -> None:
    old = Memory({("dukascopy/EURUSD", Need.TICKS, DAY): Attempt(4, NOW - timedelta(days=3))})
    made = plan([missing(), missing(pair="dukascopy/GBPUSD")], old, runs=1)
    assert [each.pair for each in made.repairs] == ["dukascopy/GBPUSD"]


def test_weeks_and_months_are_never_joined() -> None:
    weeks = [missing(date(2024, 3, 4), need=Need.WEEK), missing(date(2024, 3, 11), need=Need.WEEK)]
    assert len(plan(weeks).repairs) == 2


def test_a_foreign_cursor_is_no_memory() -> None:
    for cursor in (None, "", "nonsense", '{"a": 1}', "[1]", '[["a", "b", "c", 1, "d"]]'):
        assert Memory.parse(cursor) == Memory()


def test_delays_grow_fourfold_up_to_a_day() -> None:
    assert [delay_after(attempts) / timedelta(minutes=1) for attempts in range(1, 7)] == [15, 60, 240, 960, 1440, 1440]


symptoms = st.builds(
    Symptom,
    st.sampled_from(["dukascopy/EURUSD", "dukascopy/GBPUSD"]),
    st.sampled_from(list(Need)),
    st.dates(date(2024, 1, 1), date(2024, 1, 20)),
    st.just("missing"),
)


@given(
    st.lists(symptoms, unique_by=lambda each: (each.pair, each.need, each.day)), st.integers(0, 5), st.integers(1, 9)
)
def test_no_plan_exceeds_its_limits_or_asks_for_what_nobody_misses(found: list[Symptom], runs: int, days: int) -> None:
    made = plan(found, runs=runs, days=days)
    wanted = {(each.pair, each.need, each.day) for each in found}
    asked = [
        (each.pair, each.need, each.first + timedelta(days=offset))
        for each in made.repairs
        for offset in range((each.last - each.first).days + 1)
    ]
    assert len(made.repairs) <= runs
    assert len(asked) == len(set(asked))
    assert set(asked) <= wanted
    assert all((each.last - each.first).days < days for each in made.repairs)
    assert Memory.parse(made.memory.serialise()) == made.memory
    assert set(made.memory.attempts) == set(asked)
