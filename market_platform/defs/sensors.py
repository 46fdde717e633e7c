"""The sensor that repairs: it looks at recent partitions, plans (repair.py), and requests bounded runs."""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from market_platform.defs.assets.layers import layer_key
from market_platform.defs.jobs import AssetJob
from market_platform.defs.names import TICKS, TRIGGER_TAG, candle_layer, day_layers
from market_platform.defs.partitions import Partitions
from market_platform.defs.recent import Look, unfinished_runs
from market_platform.defs.repair import MOST_ATTEMPTS, Memory, Need, Repair, plan_repairs
from market_platform.defs.repair_runs import GIVEN_UP, REPAIR, repair_request
from market_platform.defs.resources import WAREHOUSE
from market_platform.defs.symptoms import find_symptoms, is_in_flight
from market_platform.domain.clock import Clock
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair

_EVERY_S = 120


def repair_sensor(
    pairs: Sequence[TradingPair],
    partitions: Partitions,
    jobs: Mapping[str, AssetJob],
    clock: Clock,
    *,
    lookback_days: int,
    runs_per_tick: int,
    days_per_run: int,
) -> dg.SensorDefinition:
    """Asks again for partitions that are missing, failed, or not final, within the lookback. `jobs` by `days`, `1w`, `1M`."""

    @dg.sensor(
        name="repair_partitions",
        jobs=list(jobs.values()),
        minimum_interval_seconds=_EVERY_S,
        required_resource_keys={WAREHOUSE},
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Looks at the last {lookback_days} days of each pair for partitions that are missing, failed or pending, and "
            f"asks for them again: at most {runs_per_tick} runs at once, each partition {MOST_ATTEMPTS} times at most and ever more rarely. "
            "Weekends and holidays are not gaps; what is being worked on is left alone."
        ),
    )
    def repair_partitions(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock()
        active = unfinished_runs(context.instance)
        repairing = sum(run.tags.get(TRIGGER_TAG) == REPAIR for run in active)
        look = Look.now(context.instance, partitions, active, now.astimezone(UTC), lookback_days)
        states = look.at_pairs(context.resources.warehouse, pairs)
        plan = plan_repairs(
            [symptom for state in states for symptom in find_symptoms(state)],
            Memory.parse(context.cursor),
            now,
            most_runs=runs_per_tick - repairing,
            days_per_run=days_per_run,
            in_flight=lambda key: is_in_flight(states, key),
        )
        for symptom in plan.given_up:
            context.log.error(f"{symptom.pair} {symptom.day} ({symptom.need}): {GIVEN_UP.format(symptom.reason)}")
        requests = [_request(repair, pairs, jobs, now) for repair in plan.repairs]
        for repair in plan.repairs:
            context.log.info(
                f"{repair.pair} {repair.first} to {repair.last}: {', '.join(repair.reasons)} (attempt {repair.attempt})"
            )
        skipped = None if requests else dg.SkipReason(_nothing_to_do(plan.waiting, plan.deferred, repairing))
        return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=plan.memory.serialise())

    return repair_partitions


def _request(
    repair: Repair, pairs: Sequence[TradingPair], jobs: Mapping[str, AssetJob], now: datetime
) -> dg.RunRequest:
    pair = next(each for each in pairs if each.name == repair.pair)
    layers = {
        Need.TICKS: day_layers(pair),
        Need.CANDLES: [layer for layer in day_layers(pair) if layer != TICKS],
        Need.WEEK: [candle_layer(parse_interval("1w"))],
        Need.MONTH: [candle_layer(parse_interval("1M"))],
    }[repair.need]
    job = jobs.get(repair.need.value, jobs["days"])
    return repair_request(repair, job.name, [layer_key(pair, layer) for layer in layers], now)


def _nothing_to_do(waiting: int, deferred: int, repairing: int) -> str:
    if not (waiting or deferred or repairing):
        return "every recent partition is final"
    return (
        f"{waiting} partitions wait for their next attempt, {deferred} for room; {repairing} repair runs are going on"
    )
