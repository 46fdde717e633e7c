"""The sensor that asks again for recent days of exchanges' pasts: failed ones, pending ones, and those the schedule missed.

Belongs here: what is wrong with which layer, and the runs that are requested. Does not: when and how often (repair.py). A day
that an exchange does not have (`missing`, `degraded`) is its answer, and is not asked for again without a person.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.jobs import AssetJob, database_name
from market_platform.defs.names import (
    HISTORY_LAYERS,
    PAIR_TAG,
    TRIGGER_TAG,
    asset_path,
    day_intervals,
    history_candle_layer,
    history_day_layers,
    shown_name,
)
from market_platform.defs.partition_states import partition_states
from market_platform.defs.partitions import Partitions, range_tags, run_days
from market_platform.defs.recent import RecentDays, unfinished_runs
from market_platform.defs.repair import MOST_ATTEMPTS, Memory, Need, Repair, Symptom, plan_repairs
from market_platform.defs.resources import TRAINING_WAREHOUSE, WAREHOUSE
from market_platform.defs.schedules import HISTORY_AT, HISTORY_YESTERDAY, nightly_layers
from market_platform.defs.symptoms import FAILED, MATERIALIZED
from market_platform.domain.clock import Clock, days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.history import SeriesKind
from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from market_platform.warehouse.engine import Warehouse
    from market_platform.warehouse.history_days import DaySeries

REPAIR = "repair"
_EVERY_S = 600
_GRACE = timedelta(minutes=30)
"""For a schedule's tick to become runs."""
_RECORDED: dict[SeriesKind, "DaySeries"] = {
    SeriesKind.FUNDING: "funding_rates",
    SeriesKind.OPEN_INTEREST: "open_interest",
    SeriesKind.ACTIONS: "corporate_actions",
}


@dataclass(frozen=True)
class PastState:
    """What is known of a pair's recent past, by layer and day.

    `states` are Dagster's, `pending` the days whose recorded condition is pending and since when. `expected` are the first
    and last day the schedule was to bring, None while it is off; `in_flight` days are being fetched, None: can't be told.
    """

    pair: str
    first: date
    last: date
    nightly: tuple[str, ...]
    expected: tuple[date, date] | None = None
    states: Mapping[str, Mapping[date, str]] = field(default_factory=dict)
    pending: Mapping[str, Mapping[date, datetime]] = field(default_factory=dict)
    in_flight: frozenset[date] | None = frozenset()


def find_ill(state: PastState) -> Iterator[tuple[str, Symptom]]:
    """Each layer and day that should be asked for again."""
    if state.in_flight is None:
        return
    for day in days_between(state.first, state.last):
        if day in state.in_flight:
            continue
        for layer, seen in state.states.items():
            was = seen.get(day)
            since = state.pending.get(layer, {}).get(day)
            due = state.expected is not None and state.expected[0] <= day <= state.expected[1]
            if was == FAILED:
                yield layer, Symptom(state.pair, Need.HISTORY, day, "failed")
            elif was == MATERIALIZED and since is not None:
                yield layer, Symptom(state.pair, Need.HISTORY, day, "pending", since)
            elif was is None and due and layer in state.nightly:
                yield layer, Symptom(state.pair, Need.HISTORY, day, "missing")


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
        look = _Look.now(
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
            context.log.error(
                f"{given_up.pair} {given_up.day}: given up after several attempts, still {given_up.reason}; look at its last run, "
                "then materialise it by hand"
            )
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
    one_day = repair.first == repair.last
    return dg.RunRequest(
        run_key=repair.run_key(now),
        job_name=job.name,
        partition_key=repair.first.isoformat() if one_day else None,
        asset_selection=[dg.AssetKey(asset_path(pair, layer)) for layer in history_day_layers(pair) if layer in wanted],
        tags={
            TRIGGER_TAG: REPAIR,
            PAIR_TAG: repair.pair,
            "market/attempt": str(repair.attempt),
            **({} if one_day else range_tags(repair.first, repair.last)),
        },
    )


@dataclass(frozen=True)
class _Look(RecentDays):
    """The state of pairs whose past is fetched."""

    def at_pairs(self, warehouse: "Warehouse", pairs: Sequence[TradingPair]) -> list[PastState]:
        """The recent state of every pair that is in the database."""
        from market_platform.warehouse.reference import load_pairs

        with warehouse.connect() as connection:
            rows = {row.name: row for row in load_pairs(connection)}
            return [
                PastState(
                    pair=shown_name(pair),
                    first=self.first,
                    last=self.last,
                    nightly=tuple(nightly_layers(pair)),
                    expected=self.expected,
                    states=self._states(pair),
                    pending=self._pending(connection, pair, rows[pair.name].id, rows[pair.name].starlistings),
                    in_flight=self._in_flight(pair),
                )
                for pair in pairs
                if pair.name in rows
            ]

    def _states(self, pair: TradingPair) -> dict[str, dict[date, str]]:
        days = days_between(self.first, self.last)
        return {
            layer: partition_states(self.instance, dg.AssetKey(asset_path(pair, layer)), self.partitions.days, days)
            for layer in history_day_layers(pair)
        }

    def _pending(
        self, connection: "Connection", pair: TradingPair, pair_id: int, starlistings: Mapping[str, int]
    ) -> dict[str, dict[date, datetime]]:
        from market_platform.warehouse.candle_days import load_candle_days
        from market_platform.warehouse.history_days import load_history_days

        found: dict[str, dict[date, datetime]] = {}
        for interval in day_intervals(pair):
            if interval.name in starlistings:
                candles = load_candle_days(connection, starlistings[interval.name], self.first, self.last)
                found[history_candle_layer(interval)] = {
                    day: each.written_at for day, each in candles.items() if each.condition is Condition.PENDING
                }
        for kind, series in _RECORDED.items():
            days = load_history_days(connection, pair_id, series, self.first, self.last)
            found[HISTORY_LAYERS[kind]] = {
                day: each.written_at
                for day, each in days.items()
                if each.condition is Condition.PENDING and each.written_at is not None
            }
        return found

    def _in_flight(self, pair: TradingPair) -> frozenset[date] | None:
        """Days that a run is to fetch; None while a backfill may still ask for any."""
        keys = {dg.AssetKey(asset_path(pair, layer)) for layer in history_day_layers(pair)}
        if keys & self.backfilled:
            return None
        days: set[date] = set()
        for run in self.active:
            if keys & (run.asset_selection or set()):
                of_run = run_days(run.tags)
                if of_run is None:
                    return None
                days.update(of_run)
        return frozenset(days)
