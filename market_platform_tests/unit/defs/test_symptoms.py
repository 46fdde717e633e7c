"""What counts as not as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import pytest

from market_platform.defs.repair import Need, Symptom
from market_platform.defs.schedules import days_expected
from market_platform.defs.symptoms import (
    FAILED,
    MATERIALIZED,
    PairState,
    Recorded,
    complete_periods,
    find_symptoms,
    last_complete_period,
)
from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import parse_interval
from market_platform.domain.lineage import version_of_days

FIRST, LAST = date(2024, 2, 27), date(2024, 3, 11)
WRITTEN = datetime(2024, 3, 12, 2, 5, tzinfo=UTC)
SATURDAY, FRIDAY = date(2024, 3, 9), date(2024, 3, 8)
T = TypeVar("T")
INTERVALS = (parse_interval("1m"), parse_interval("1d"))


def healthy(first: date = FIRST) -> PairState:
    """A pair of which everything is there, closed Saturdays included."""
    days = days_between(first, LAST)
    closed = frozenset(day for day in days if day.weekday() == 5)
    recorded = {day: Recorded(Condition.CLOSED if day in closed else Condition.AVAILABLE, WRITTEN) for day in days}
    states = dict.fromkeys(days, MATERIALIZED)
    return PairState(
        pair="dukascopy/EURUSD",
        first=first,
        last=LAST,
        intervals=INTERVALS,
        expected=(first, LAST),
        ticks=recorded,
        candles={"1m": recorded, "1d": recorded},
        states={"ticks": states, "1m": states, "1d": states},
        closed=closed,
    )


def found(state: PairState) -> list[tuple[Need, date, str]]:
    return [(each.need, each.day, each.reason) for each in find_symptoms(state)]


def without(records: Mapping[date, T], day: date) -> dict[date, T]:
    return {each: value for each, value in records.items() if each != day}


def test_a_healthy_pair_has_none() -> None:
    assert found(healthy()) == []


def test_a_day_the_schedule_was_to_bring_is_missing() -> None:
    state = healthy()
    state = replace(
        state,
        ticks=without(state.ticks, FRIDAY),
        states={**state.states, "ticks": without(state.states["ticks"], FRIDAY)},
    )
    assert found(state) == [(Need.TICKS, FRIDAY, "missing")]
    assert found(replace(state, expected=(date(2024, 3, 9), LAST))) == []
    assert found(replace(state, expected=None)) == []


def test_a_closed_day_is_recorded_once_and_never_chased() -> None:
    state = healthy()
    unrecorded = replace(
        state,
        ticks=without(state.ticks, SATURDAY),
        states={**state.states, "ticks": without(state.states["ticks"], SATURDAY)},
    )
    assert found(unrecorded) == [(Need.TICKS, SATURDAY, "closed, not recorded yet")]
    odd = {**state.ticks, SATURDAY: Recorded(Condition.PENDING, WRITTEN)}
    assert found(replace(state, ticks=odd, candles={"1m": odd, "1d": odd})) == []


@pytest.mark.parametrize("condition", [Condition.PENDING, Condition.DEGRADED, Condition.MISSING])
def test_a_day_that_is_not_final_is_asked_for_again_wherever_it_is(condition: Condition) -> None:
    state = healthy()
    recorded = {**state.ticks, FRIDAY: Recorded(condition, WRITTEN)}
    [symptom] = find_symptoms(replace(state, ticks=recorded, expected=None))
    assert symptom == Symptom("dukascopy/EURUSD", Need.TICKS, FRIDAY, condition.value, since=WRITTEN)


def test_a_failed_partition_is_asked_for_even_if_earlier_data_is_there() -> None:
    state = healthy()
    failed = {**state.states, "ticks": {**state.states["ticks"], FRIDAY: FAILED}}
    assert found(replace(state, states=failed, expected=None)) == [(Need.TICKS, FRIDAY, "failed")]


def test_candles_alone_are_repaired_when_the_ticks_are_fine() -> None:
    state = healthy()
    gone = replace(state, candles={**state.candles, "1d": without(state.candles["1d"], FRIDAY)})
    assert found(gone) == [(Need.CANDLES, FRIDAY, "candles missing")]
    stale = {**state.candles["1m"], FRIDAY: Recorded(Condition.PENDING, WRITTEN)}
    assert found(replace(state, candles={**state.candles, "1m": stale})) == [
        (Need.CANDLES, FRIDAY, "candles out of date")
    ]
    failed = {**state.states, "1d": {**state.states["1d"], FRIDAY: FAILED}}
    assert found(replace(state, states=failed)) == [(Need.CANDLES, FRIDAY, "candles failed")]


@pytest.mark.parametrize("interval", ["1m", "1d"])
def test_candles_of_ticks_replaced_since_are_built_again(interval: str) -> None:
    state = healthy()
    state = replace(state, ticks={**state.ticks, FRIDAY: Recorded(Condition.AVAILABLE, WRITTEN, version="corrected")})
    assert found(state) == [], "candles that don't say what they were built from are left alone"

    def built_from(version: str) -> PairState:
        record = Recorded(Condition.AVAILABLE, WRITTEN, version="any", built_from=version)
        return replace(state, candles={**state.candles, interval: {**state.candles[interval], FRIDAY: record}})

    assert found(built_from("first")) == [(Need.CANDLES, FRIDAY, "candles built from other ticks")]
    assert found(built_from("corrected")) == []
    assert found(replace(built_from("first"), in_flight=frozenset({FRIDAY}))) == []


def test_a_committed_day_that_dagster_never_heard_of_is_reported() -> None:
    """What a run that was killed between commit and report leaves behind."""
    state = healthy()
    untold = {**state.states, "ticks": without(state.states["ticks"], FRIDAY)}
    assert found(replace(state, states=untold)) == [(Need.TICKS, FRIDAY, "committed, and Dagster was not told")]


def test_what_is_being_worked_on_is_left_alone() -> None:
    state = healthy()
    recorded = {**state.ticks, FRIDAY: Recorded(Condition.PENDING, WRITTEN)}
    assert found(replace(state, ticks=recorded, in_flight=frozenset({FRIDAY}))) == []
    assert found(replace(state, ticks=recorded, in_flight=None)) == []


def weekly(state: PairState, built: Recorded | None = None) -> PairState:
    week = {"1w": {date(2024, 3, 4): built} if built else {}}
    return replace(state, periods=(parse_interval("1w"),), candles={**state.candles, **week})


def test_a_week_is_built_once_its_days_are_known() -> None:
    state = healthy()
    assert found(weekly(state)) == [(Need.WEEK, date(2024, 3, 4), "missing")]
    assert found(weekly(state, built=Recorded(Condition.AVAILABLE, WRITTEN))) == []
    assert found(weekly(state, built=Recorded(Condition.PENDING, WRITTEN))) == [
        (Need.WEEK, date(2024, 3, 4), "pending although its days are there")
    ]
    earlier = Recorded(Condition.AVAILABLE, WRITTEN - timedelta(hours=1))
    assert found(weekly(state, built=earlier)) == [(Need.WEEK, date(2024, 3, 4), "its days changed since")]
    assert found(weekly(replace(state, in_flight=frozenset({FRIDAY})))) == []


def versioned(state: PairState, changed: Mapping[date, Recorded] | None = None) -> PairState:
    daily = {day: replace(each, version=f"candles of {day}") for day, each in state.candles["1d"].items()}
    return replace(state, candles={**state.candles, "1d": {**daily, **(changed or {})}})


def built_week(state: PairState, start: date, condition: Condition = Condition.AVAILABLE) -> Recorded:
    """The record of a week built from the state's days as they are."""
    daily = state.candles["1d"]
    days = days_between(start, start + timedelta(days=6))
    inputs = version_of_days((day, daily[day].condition, daily[day].version) for day in days if day in daily)
    return Recorded(condition, WRITTEN - timedelta(hours=1), version="week", built_from=inputs)


def with_weeks(state: PairState, built: Mapping[date, Recorded]) -> PairState:
    return replace(state, periods=(parse_interval("1w"),), candles={**state.candles, "1w": built})


WEEKS = [date(2024, 2, 26), date(2024, 3, 4)]


def test_any_week_in_the_lookback_whose_days_changed_is_built_again() -> None:
    before = versioned(healthy(date(2024, 2, 26)))
    weeks = {start: built_week(before, start) for start in WEEKS}
    assert found(with_weeks(before, weeks)) == []
    corrected, completed = date(2024, 2, 28), date(2024, 3, 5)
    changed = versioned(before, {corrected: Recorded(Condition.AVAILABLE, WRITTEN, version="corrected")})
    assert found(with_weeks(changed, weeks)) == [(Need.WEEK, WEEKS[0], "built from other days")]
    degraded = Recorded(Condition.DEGRADED, WRITTEN, version=before.candles["1d"][completed].version)
    partly = {WEEKS[0]: weeks[WEEKS[0]], WEEKS[1]: built_week(versioned(before, {completed: degraded}), WEEKS[1])}
    assert found(with_weeks(before, partly)) == [(Need.WEEK, WEEKS[1], "built from other days")]
    assert found(replace(with_weeks(changed, weeks), in_flight=frozenset({corrected}))) == []


def test_an_earlier_week_is_repaired_only_if_somebody_asked_for_it() -> None:
    state = versioned(healthy(date(2024, 2, 26)))
    last = {WEEKS[1]: built_week(state, WEEKS[1])}
    assert found(with_weeks(state, last)) == []
    pending = {**last, WEEKS[0]: built_week(state, WEEKS[0], Condition.PENDING)}
    assert found(with_weeks(state, pending)) == [(Need.WEEK, WEEKS[0], "pending although its days are there")]
    built = {**last, WEEKS[0]: built_week(state, WEEKS[0])}
    failed = replace(with_weeks(state, built), states={**state.states, "1w": {WEEKS[0]: FAILED}})
    assert found(failed) == [(Need.WEEK, WEEKS[0], "failed")]


@pytest.mark.parametrize(
    ("name", "first", "last_day", "starts"),
    [
        ("1w", date(2024, 2, 27), date(2024, 3, 11), [date(2024, 2, 26), date(2024, 3, 4)]),
        ("1w", date(2024, 3, 8), date(2024, 3, 9), [date(2024, 2, 26)]),
        ("1M", date(2024, 2, 27), date(2024, 3, 11), [date(2024, 2, 1)]),
        ("1M", date(2024, 3, 2), date(2024, 3, 11), [date(2024, 2, 1)]),
        ("1M", date(2024, 1, 31), date(2024, 3, 31), [date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)]),
    ],
)
def test_complete_periods_of_the_lookback_and_always_the_last(
    name: str, first: date, last_day: date, starts: list[date]
) -> None:
    assert complete_periods(parse_interval(name), first, last_day) == starts


def test_the_days_come_before_their_week() -> None:
    state = healthy()
    recorded = {**state.ticks, FRIDAY: Recorded(Condition.PENDING, WRITTEN)}
    pending = replace(state, ticks=recorded, candles={"1m": recorded, "1d": recorded})
    assert [need for need, _, _ in found(weekly(pending))] == [Need.TICKS]


@pytest.mark.parametrize(
    ("name", "last_day", "start"),
    [
        ("1w", date(2024, 3, 10), date(2024, 3, 4)),
        ("1w", date(2024, 3, 9), date(2024, 2, 26)),
        ("1M", date(2024, 3, 31), date(2024, 3, 1)),
        ("1M", date(2024, 3, 30), date(2024, 2, 1)),
        ("1M", date(2024, 1, 5), date(2023, 12, 1)),
    ],
)
def test_the_last_complete_period(name: str, last_day: date, start: date) -> None:
    assert last_complete_period(parse_interval(name), last_day) == start


@pytest.mark.parametrize(
    ("since", "now", "expected"),
    [
        ("2024-03-04T10:00Z", "2024-03-08T10:00Z", (date(2024, 3, 4), date(2024, 3, 7))),
        ("2024-03-04T01:00Z", "2024-03-08T01:00Z", (date(2024, 3, 3), date(2024, 3, 6))),
        ("2024-03-08T10:00Z", "2024-03-08T11:00Z", (date(2024, 3, 8), date(2024, 3, 7))),
    ],
)
def test_the_schedule_is_on_duty_from_its_first_tick_to_its_latest(
    since: str, now: str, expected: tuple[date, date]
) -> None:
    assert days_expected(datetime.fromisoformat(since), datetime.fromisoformat(now)) == expected
