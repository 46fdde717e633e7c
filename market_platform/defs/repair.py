"""Which partitions to ask for again: a pure plan from symptoms, a memory of earlier attempts, and limits.

No storms: a partition is asked for again only after a delay that grows fourfold with each attempt, six times at most; a tick
requests a bounded number of runs, and contiguous days of a pair travel in one. The memory is the sensor's cursor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

FIRST_DELAY = timedelta(minutes=15)
LONGEST_DELAY = timedelta(hours=24)
MOST_ATTEMPTS = 6


class Need(StrEnum):
    """What a partition lacks."""

    TICKS = "ticks"
    """Its ticks, and with them everything built from them."""
    CANDLES = "candles"
    """Only its candles: the ticks are in the lake."""
    WEEK = "1w"
    MONTH = "1M"
    HISTORY = "history"
    """Days of the exchange's own past."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """A partition that is not as it should be. `day` is a period's first day; `since` is when that was last found out."""

    pair: str
    need: Need
    day: date
    reason: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """How often a partition was asked for, and when last."""

    count: int
    last: datetime


Key = tuple[str, Need, date]


@dataclass(frozen=True)
class Memory:
    """Attempts by partition; what has healed is forgotten."""

    attempts: dict[Key, Attempt] = field(default_factory=dict)

    @classmethod
    def parse(cls, cursor: str | None) -> Memory:
        """The memory a cursor holds; nothing for a cursor that is none of ours."""
        try:
            entries = json.loads(cursor or "[]")
            return cls(
                {
                    (pair, Need(need), date.fromisoformat(day)): Attempt(int(count), datetime.fromisoformat(last))
                    for pair, need, day, count, last in entries
                }
            )
        except (ValueError, TypeError):
            return cls()

    def serialise(self) -> str:
        """The cursor."""
        return json.dumps(
            [
                [pair, need.value, day.isoformat(), attempt.count, attempt.last.isoformat(timespec="seconds")]
                for (pair, need, day), attempt in sorted(self.attempts.items())
            ]
        )


@dataclass(frozen=True, slots=True)
class Repair:
    """One run to request: contiguous partitions of one pair with the same need."""

    pair: str
    need: Need
    first: date
    last: date
    attempt: int
    reasons: tuple[str, ...]

    def run_key(self, now: datetime) -> str:
        """Names this very request, so that a tick that is evaluated again after a crash launches nothing twice."""
        return f"repair:{self.pair}:{self.need}:{self.first}:{self.last}:{now:%Y%m%dT%H%M%S}"


@dataclass(frozen=True)
class Plan:
    """What a tick does: the runs to request, what waits for its delay or for room, and what was given up just now."""

    repairs: tuple[Repair, ...]
    memory: Memory
    waiting: int = 0
    deferred: int = 0
    given_up: tuple[Symptom, ...] = ()


def plan_repairs(
    symptoms: Iterable[Symptom],
    memory: Memory,
    now: datetime,
    *,
    most_runs: int,
    days_per_run: int,
    in_flight: Callable[[Key], bool] = lambda _key: False,
) -> Plan:
    """Choose what to ask for now. Fewer attempts go first, then the most recent day, so that new trouble is not starved.

    Attempts at partitions without a symptom are forgotten: they have healed. What is in flight shows no symptom and has not
    healed yet, so its attempts stay.
    """
    symptoms = list(symptoms)
    ill = {_key(each) for each in symptoms}
    kept = {key: attempt for key, attempt in memory.attempts.items() if key in ill or in_flight(key)}
    due: list[Symptom] = []
    given_up: list[Symptom] = []
    waiting = 0
    for symptom in symptoms:
        attempt = kept.get(_key(symptom))
        if attempt is not None and attempt.count >= MOST_ATTEMPTS:
            if attempt.count == MOST_ATTEMPTS and now >= attempt.last + delay_after(attempt.count):
                given_up.append(symptom)
                kept[_key(symptom)] = replace(attempt, count=MOST_ATTEMPTS + 1)
        elif now < _due_at(symptom, attempt, now):
            waiting += 1
        else:
            due.append(symptom)
    groups = list(_contiguous(due, kept, days_per_run))
    groups.sort(key=lambda repair: (repair.attempt, -repair.last.toordinal(), repair.pair))
    chosen = groups[: max(0, most_runs)]
    for repair in chosen:
        for symptom in due:
            if (symptom.pair, symptom.need) == (
                repair.pair,
                repair.need,
            ) and repair.first <= symptom.day <= repair.last:
                before = kept.get(_key(symptom))
                kept[_key(symptom)] = Attempt(before.count + 1 if before else 1, now)
    return Plan(tuple(chosen), Memory(kept), waiting, len(groups) - len(chosen), tuple(given_up))


def delay_after(attempts: int) -> timedelta:
    """How long to wait after that many attempts: 15 min, 1 h, 4 h, 16 h, then a day."""
    return min(FIRST_DELAY * float(4 ** max(0, attempts - 1)), LONGEST_DELAY)


def _due_at(symptom: Symptom, attempt: Attempt | None, now: datetime) -> datetime:
    if attempt is not None:
        return attempt.last + delay_after(attempt.count)
    return symptom.since + FIRST_DELAY if symptom.since is not None else now


def _contiguous(due: Sequence[Symptom], attempts: dict[Key, Attempt], days_per_run: int) -> Iterable[Repair]:
    """Due partitions as ranges; periods are never joined, since each needs its own complete days."""
    ordered = sorted(due, key=lambda each: (each.pair, each.need, each.day))
    start = 0
    for index in range(1, len(ordered) + 1):
        if index < len(ordered) and _follows(ordered[index - 1], ordered[index]) and index - start < days_per_run:
            continue
        part = ordered[start:index]
        start = index
        tried = max((attempts[_key(each)].count for each in part if _key(each) in attempts), default=0)
        reasons = tuple(sorted({each.reason for each in part}))
        yield Repair(part[0].pair, part[0].need, part[0].day, part[-1].day, tried + 1, reasons)


def _follows(before: Symptom, after: Symptom) -> bool:
    return (
        (before.pair, before.need) == (after.pair, after.need)
        and after.need in (Need.TICKS, Need.CANDLES, Need.HISTORY)
        and after.day - before.day == timedelta(days=1)
    )


def _key(symptom: Symptom) -> Key:
    return (symptom.pair, symptom.need, symptom.day)
