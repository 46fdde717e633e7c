"""The sensor that asks again for recent days of exchanges' pasts: failed ones, pending ones, and those the schedule missed.

Belongs here: the runs that are requested. Does not: which days are ill (past_state.py), when and how often (repair.py).
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from market_platform.defs.assets.layers import layer_key
from market_platform.defs.jobs import AssetJob, database_name
from market_platform.defs.names import TRIGGER_TAG, history_day_layers, shown_name
from market_platform.defs.partitions import Partitions
from market_platform.defs.past_state import PastLook, find_ill
from market_platform.defs.recent import unfinished_runs
from market_platform.defs.repair import MOST_ATTEMPTS, Memory, Repair, Symptom, plan_repairs
from market_platform.defs.repair_runs import GIVEN_UP, REPAIR, repair_request
from market_platform.defs.resources import TRAINING_WAREHOUSE, WAREHOUSE
from market_platform.defs.schedules import HISTORY_AT, HISTORY_YESTERDAY
from market_platform.domain.clock import Clock, days_between
from market_platform.domain.pairs import TradingPair

_EVERY_S = 600
_GRACE = timedelta(minutes=30)
"""For a schedule's tick to become runs."""


def history_repair_sensor(
    pairs: Sequence[TradingPair],
    partitions: Partitions,
    job: AssetJob,
    clock: Clock,
    database: str,
    *,
    lookback_days: int,
    runs_per_tick: int,
    days_per_run: int,
) -> dg.SensorDefinition:
    """Asks again for recent days of a database's pairs."""
    warehouse_key = WAREHOUSE if database == "realtime" else TRAINING_WAREHOUSE

    @dg.sensor(
        name=database_name("repair_history", database),
        job=job,
        minimum_interval_seconds=_EVERY_S,
        required_resource_keys={warehouse_key},
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Looks at the last {lookback_days} days of what is fetched of each pair's past for days that failed, are pending or were "
            f"missed by the schedule, and asks for them again: at most {runs_per_tick} runs at once, each day {MOST_ATTEMPTS} times at "
            "most and ever more rarely."
        ),
    )
    def repair_history(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock()
        active = unfinished_runs(context.instance)
        repairing = sum(run.tags.get(TRIGGER_TAG) == REPAIR and run.job_name == job.name for run in active)
        look = PastLook.now(
            context.instance,
            partitions,
            active,
            now.astimezone(UTC),
            lookback_days,
            schedule=database_name(HISTORY_YESTERDAY, database),
            at=HISTORY_AT,
            grace=_GRACE,
        )
        states = look.at_pairs(getattr(context.resources, warehouse_key), pairs)
        ill: dict[tuple[str, date], set[str]] = {}
        symptoms: dict[tuple[str, date], Symptom] = {}
        for state in states:
            for layer, symptom in find_ill(state):
                ill.setdefault((symptom.pair, symptom.day), set()).add(layer)
                symptoms.setdefault((symptom.pair, symptom.day), symptom)
        busy = {state.pair: state.in_flight for state in states}
        plan = plan_repairs(
            symptoms.values(),
            Memory.parse(context.cursor),
            now,
            most_runs=runs_per_tick - repairing,
            days_per_run=days_per_run,
            in_flight=lambda key: (days := busy.get(key[0], frozenset())) is None or key[2] in days,
        )
        for given_up in plan.given_up:
            context.log.error(f"{given_up.pair} {given_up.day}: {GIVEN_UP.format(given_up.reason)}")
        requests = [_request(repair, pairs, job, ill, now) for repair in plan.repairs]
        waiting = f"{plan.waiting} days wait for their next attempt, {plan.deferred} for room"
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(waiting),
            cursor=plan.memory.serialise(),
        )

    return repair_history


def _request(
    repair: Repair,
    pairs: Sequence[TradingPair],
    job: AssetJob,
    ill: Mapping[tuple[str, date], set[str]],
    now: datetime,
) -> dg.RunRequest:
    """One run for the layers that are ill on any of the days."""
    pair = next(each for each in pairs if shown_name(each) == repair.pair)
    wanted = {layer for day in days_between(repair.first, repair.last) for layer in ill.get((repair.pair, day), ())}
    keys = [layer_key(pair, layer) for layer in history_day_layers(pair) if layer in wanted]
    return repair_request(repair, job.name, keys, now)
