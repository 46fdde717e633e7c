"""One look at the recent partitions of every pair: the database's conditions beside Dagster's states and what is going on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Self

import dagster as dg

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.jobs import ASSET_JOBS
from market_platform.defs.names import TICKS, asset_path, day_intervals, day_layers, period_intervals
from market_platform.defs.partition_states import keys_being_backfilled, partition_states, running_since
from market_platform.defs.partitions import Partitions, run_days
from market_platform.defs.schedules import DAILY_AT, YESTERDAY, days_expected
from market_platform.defs.symptoms import PairState, Recorded, complete_periods, period_end
from market_platform.domain.clock import days_between
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from market_platform.warehouse.engine import Warehouse
    from market_platform.warehouse.reference import PairRow

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def unfinished_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Runs that are queued, starting, going on or being cancelled."""
    return list(instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED)))


@dataclass(frozen=True)
class RecentDays:
    """What is the same for all pairs: the days looked at, those the schedule was to bring, and what is going on."""

    instance: dg.DagsterInstance
    partitions: Partitions
    active: Sequence[dg.DagsterRun]
    backfilled: frozenset[dg.AssetKey]
    first: date
    last: date
    expected: tuple[date, date] | None

    @classmethod
    def now(
        cls,
        instance: dg.DagsterInstance,
        partitions: Partitions,
        active: Sequence[dg.DagsterRun],
        now: datetime,
        lookback_days: int,
        *,
        schedule: str = YESTERDAY,
        at: time = DAILY_AT,
        grace: timedelta = timedelta(0),
    ) -> Self:
        """The `lookback_days` before today (UTC); a tick of the schedule, which is daily `at`, has `grace` to become runs."""
        since = running_since(instance, schedule)
        return cls(
            instance=instance,
            partitions=partitions,
            active=active,
            backfilled=keys_being_backfilled(instance),
            first=now.date() - timedelta(days=lookback_days),
            last=now.date() - timedelta(days=1),
            expected=days_expected(since, now - grace, at) if since is not None else None,
        )


@dataclass(frozen=True)
class Look(RecentDays):
    """The state of pairs whose days are built from ticks."""

    def at_pairs(self, warehouse: Warehouse, pairs: Sequence[TradingPair]) -> list[PairState]:
        """The recent state of every pair; pairs that are not in the database yet are left out."""
        from market_platform.warehouse.reference import load_pairs

        with warehouse.connect() as connection:
            rows = {row.name: row for row in load_pairs(connection)}
            return [self._at_pair(connection, pair, rows[pair.name]) for pair in pairs if pair.name in rows]

    def _at_pair(self, connection: Connection, pair: TradingPair, row: PairRow) -> PairState:
        from market_platform.warehouse.lake_days import load_lake_days
        from market_platform.warehouse.reference import load_instrument

        starts = {each: complete_periods(each, self.first, self.last) for each in period_intervals(pair)}
        manifests = load_lake_days(connection, row.id, self.first, self.last)
        instrument = load_instrument(connection, row.id) if row.instrument else None
        days = days_between(self.first, self.last)
        return PairState(
            pair=pair.name,
            first=self.first,
            last=self.last,
            intervals=day_intervals(pair),
            periods=period_intervals(pair),
            expected=self.expected,
            ticks={
                day: Recorded(each.condition, each.written_at, each.content_hash)
                for day, each in manifests.items()
                if each.written_at is not None
            },
            candles=self._candles(connection, pair, row, starts),
            states=self._states(pair, days, starts),
            closed=frozenset(day for day in days if instrument and not instrument.calendar.is_open_on(day)),
            in_flight=self._in_flight(pair, starts),
        )

    def _candles(
        self, connection: Connection, pair: TradingPair, row: PairRow, starts: Mapping[Interval, Sequence[date]]
    ) -> dict[str, dict[date, Recorded]]:
        """What is stored, by interval; 1d since the first day of the periods that are built from it."""
        from market_platform.warehouse.candle_days import load_candle_days

        def stored(interval: Interval, since: date, until: date) -> dict[date, Recorded]:
            found = load_candle_days(connection, row.starlistings[interval.name], since, until)
            return {
                day: Recorded(each.condition, each.written_at, each.data_version, each.input_version)
                for day, each in found.items()
            }

        earliest = min([self.first, *(start for each in starts.values() for start in each)])
        candles = {
            each.name: stored(each, earliest if each.name == "1d" else self.first, self.last)
            for each in day_intervals(pair)
        }
        return candles | {each.name: stored(each, periods[0], periods[-1]) for each, periods in starts.items()}

    def _states(
        self, pair: TradingPair, days: Sequence[date], starts: Mapping[Interval, Sequence[date]]
    ) -> dict[str, dict[date, str]]:
        """Dagster's view of ticks, of the first and the last candle layer of a day, and of the periods."""
        intervals = day_intervals(pair)
        keys = {TICKS: dg.AssetKey(asset_path(pair, TICKS))}
        keys |= {each.name: candle_key(pair, each) for each in (intervals[0], intervals[-1])}
        states = {name: partition_states(self.instance, key, self.partitions.days, days) for name, key in keys.items()}
        for interval, periods in starts.items():
            definition = self.partitions.of_period(interval)
            states[interval.name] = partition_states(self.instance, candle_key(pair, interval), definition, periods)
        return states

    def _in_flight(self, pair: TradingPair, starts: Mapping[Interval, Sequence[date]]) -> frozenset[date] | None:
        """Days (and days of periods) that a run is to materialise; None while a backfill may still ask for any."""
        keys = {dg.AssetKey(asset_path(pair, layer)) for layer in day_layers(pair)}
        keys |= {candle_key(pair, interval) for interval in starts}
        if keys & self.backfilled:
            return None
        days: set[date] = set()
        for run in self.active:
            selected = run.asset_selection or (keys if run.job_name in ASSET_JOBS else set())
            if not keys & selected:
                continue
            of_run = run_days(run.tags)
            if of_run is None:
                return None
            days.update(of_run)
            for interval, periods in starts.items():
                if candle_key(pair, interval) in selected:
                    for start in set(periods).intersection(of_run):
                        days.update(days_between(start, period_end(interval, start)))
        return frozenset(days)
