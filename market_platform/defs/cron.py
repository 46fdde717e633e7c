"""Schedules of this platform: in UTC, running unless a person stops them, and what they launch says who asked.

Belongs here: what is the same for every schedule. Does not: which there are (schedules.py and the modules of their jobs).
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time

import dagster as dg

from market_platform.defs.jobs import AssetJob
from market_platform.defs.names import PAIR_TAG, TRIGGER_TAG, named_pairs
from market_platform.domain.pairs import TradingPair

PAIRS_PER_RUN = 25
"""A run costs seconds to start and milliseconds a pair; more pairs than this and one bad pair reddens too much."""
SCHEDULED = {TRIGGER_TAG: "schedule"}

Requests = Iterator[dg.RunRequest | dg.SkipReason]


def cron(at: time, days: str = "* * *") -> str:
    """At that time (UTC) on days of the month, months and days of the week: every day unless told otherwise."""
    return f"{at.minute} {at.hour} {days}"


def requesting(
    name: str,
    when: str,
    job: AssetJob | dg.JobDefinition,
    description: str,
    requests: Callable[[dg.ScheduleEvaluationContext, datetime], Requests],
    resources: Collection[str] = (),
) -> dg.ScheduleDefinition:
    """A schedule that asks for runs, which may depend on the moment it was due."""

    @dg.schedule(
        name=name,
        cron_schedule=when,
        execution_timezone="UTC",
        job=job,
        required_resource_keys=set(resources),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Requests:
        yield from requests(context, context.scheduled_execution_time.astimezone(UTC))

    return schedule


def launching(name: str, when: str, job: AssetJob | dg.JobDefinition, description: str) -> dg.ScheduleDefinition:
    """A schedule that launches its job, whenever it is due."""
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=when,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


def run_of(
    run_key: str, partition: date, pairs: Sequence[TradingPair], keys: Callable[[TradingPair], Sequence[dg.AssetKey]]
) -> dg.RunRequest:
    """A run for a partition of these pairs' assets."""
    return dg.RunRequest(
        run_key=run_key,
        partition_key=partition.isoformat(),
        asset_selection=[key for pair in pairs for key in keys(pair)],
        tags={**SCHEDULED, PAIR_TAG: named_pairs(pairs)},
    )


def batched_pairs(pairs: Sequence[TradingPair]) -> list[Sequence[TradingPair]]:
    """The pairs in groups of `PAIRS_PER_RUN`."""
    return [pairs[start : start + PAIRS_PER_RUN] for start in range(0, len(pairs), PAIRS_PER_RUN)]


def batched_by_exchange(pairs: Sequence[TradingPair]) -> Iterator[tuple[str, int, Sequence[TradingPair]]]:
    """As few groups as `PAIRS_PER_RUN` allows, an exchange's pairs together: the exchange, the group's number, the pairs."""
    for exchange in sorted({pair.exchange for pair in pairs}):
        for number, chunk in enumerate(batched_pairs([pair for pair in pairs if pair.exchange == exchange])):
            yield exchange, number, chunk
