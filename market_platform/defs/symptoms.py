"""What is not as it should be: conditions in the database and partition states in Dagster, as symptoms to plan repairs from.

A day is missing when the daily schedule was on duty for it and it is not there. Days before that are a person's decision (a
backfill), and their absence is no gap; but whatever is recorded and not final, or failed, is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from market_platform.defs.plan import periods_overlapping
from market_platform.defs.repair import Need, Symptom
from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import Interval, bucket_end, bucket_start
from market_platform.domain.lineage import version_of_days

MATERIALIZED, FAILED = "MATERIALIZED", "FAILED"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is recorded of a partition: its condition, when it was last changed, its version, and that of its input.

    `version` is of the content: the ticks' hash, or the candles' data version. `built_from` is of what candles were built
    from; empty when that is not known (written before it was kept) or was a day without ticks.
    """

    condition: Condition
    written_at: datetime
    version: str = ""
    built_from: str = ""


@dataclass(frozen=True)
class PairState:
    """Everything known of a pair's recent partitions.

    `expected` are the first and last day the daily schedule was to bring, None while it is off; `ticks` are manifests by
    day; `candles` what `candle_days` says, by interval and day (a period's first day for 1w and 1M; 1d from the first day
    of the first period on); `states` Dagster's view, by interval name or `ticks` and day (absent: never attempted);
    `closed` the days on which the market was closed all day; `in_flight` the days that a run is working on, or None when
    that can't be told, and then nothing is asked for.
    """

    pair: str
    first: date
    last: date
    intervals: tuple[Interval, ...]
    periods: tuple[Interval, ...] = ()
    expected: tuple[date, date] | None = None
    ticks: Mapping[date, Recorded] = field(default_factory=dict)
    candles: Mapping[str, Mapping[date, Recorded]] = field(default_factory=dict)
    states: Mapping[str, Mapping[date, str]] = field(default_factory=dict)
    closed: frozenset[date] = frozenset()
    in_flight: frozenset[date] | None = frozenset()


def find_symptoms(state: PairState) -> Iterator[Symptom]:
    """Days, then weeks and months, of the pair that should be asked for again."""
    if state.in_flight is None:
        return
    for day in days_between(state.first, state.last):
        if day not in state.in_flight:
            symptom = _day_symptom(state, day)
            if symptom is not None:
                yield symptom
    for interval in state.periods:
        for start in complete_periods(interval, state.first, state.last):
            symptom = _period_symptom(state, interval, start)
            if symptom is not None:
                yield symptom


def is_in_flight(states: Sequence[PairState], key: tuple[str, Need, date]) -> bool:
    """Whether some run is at work on the partition (or may be, where that can't be told)."""
    pair, _, day = key
    return any(each.pair == pair and (each.in_flight is None or day in each.in_flight) for each in states)


def _day_symptom(state: PairState, day: date) -> Symptom | None:
    ticks = state.ticks.get(day)
    seen = state.states.get("ticks", {}).get(day)
    if seen == FAILED:
        return Symptom(state.pair, Need.TICKS, day, "failed")
    if ticks is None:
        if state.expected is None or not state.expected[0] <= day <= state.expected[1]:
            return None
        return Symptom(state.pair, Need.TICKS, day, "closed, not recorded yet" if day in state.closed else "missing")
    if not ticks.condition.is_final and day not in state.closed:
        return Symptom(state.pair, Need.TICKS, day, ticks.condition.value, ticks.written_at)
    if seen != MATERIALIZED:
        return Symptom(state.pair, Need.TICKS, day, "committed, and Dagster was not told")
    return _candle_symptom(state, day, ticks)


def _candle_symptom(state: PairState, day: date, ticks: Recorded) -> Symptom | None:
    for interval in state.intervals:
        built = state.candles.get(interval.name, {}).get(day)
        told = state.states.get(interval.name)
        if built is None or built.condition is not ticks.condition:
            return Symptom(state.pair, Need.CANDLES, day, "candles missing" if built is None else "candles out of date")
        if built.built_from and built.built_from != ticks.version:
            return Symptom(state.pair, Need.CANDLES, day, "candles built from other ticks")
        if told is not None and told.get(day) != MATERIALIZED:
            return Symptom(
                state.pair, Need.CANDLES, day, "candles failed" if told.get(day) == FAILED else "candles unreported"
            )
    return None


def _period_symptom(state: PairState, interval: Interval, start: date) -> Symptom | None:
    """A complete period, once all its days are known and none of them is on its way.

    Only the last one can be missing: that there is no earlier one is a person's decision, as it is with days.
    """
    days = days_between(start, period_end(interval, start))
    daily = state.candles.get("1d", {})
    if any(day not in daily or daily[day].condition is Condition.PENDING for day in days):
        return None  # the days come first
    if state.in_flight is None or not state.in_flight.isdisjoint(days):
        return None
    need = Need.WEEK if interval.name == "1w" else Need.MONTH
    built = state.candles.get(interval.name, {}).get(start)
    if built is None:
        is_last = start == last_complete_period(interval, state.last)
        return Symptom(state.pair, need, start, "missing") if is_last else None
    if built.condition is Condition.PENDING:
        return Symptom(state.pair, need, start, "pending although its days are there")
    if state.states.get(interval.name, {}).get(start) == FAILED:
        return Symptom(state.pair, need, start, "failed")
    if not built.built_from:
        changed = any(daily[day].written_at > built.written_at for day in days)
        return Symptom(state.pair, need, start, "its days changed since") if changed else None
    if built.built_from != version_of_days((day, daily[day].condition, daily[day].version) for day in days):
        return Symptom(state.pair, need, start, "built from other days")
    return None


def complete_periods(interval: Interval, first: date, last: date) -> list[date]:
    """First days of the periods that hold a day of the range and end by its last, and always the last complete one."""
    latest = last_complete_period(interval, last)
    return [start for start in periods_overlapping(interval, first, last) if start < latest] + [latest]


def last_complete_period(interval: Interval, last_day: date) -> date:
    """First day of the last period that ends on `last_day` or before."""
    ms = _midnight(last_day + timedelta(days=1))
    return _day_of(bucket_start(bucket_start(ms, interval) - 1, interval))


def period_end(interval: Interval, start: date) -> date:
    """Last day of the period that begins on `start`."""
    return _day_of(bucket_end(_midnight(start), interval)) - timedelta(days=1)


def _midnight(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000


def _day_of(ms: int) -> date:
    return date(1970, 1, 1) + timedelta(days=ms // 86_400_000)
