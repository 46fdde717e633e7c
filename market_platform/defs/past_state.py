"""What is known of the recent past of pairs whose days are fetched, and which of those days are ill.

Belongs here: one look at the database and at Dagster, and what is wrong with which layer. Does not: asking again
(history_repair.py). A day that an exchange does not have (`missing`, `degraded`) is its answer, and is not asked for again
without a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from market_platform.defs.assets.layers import layer_key
from market_platform.defs.names import (
    HISTORY_LAYERS,
    day_intervals,
    history_candle_layer,
    history_day_layers,
    shown_name,
)
from market_platform.defs.partition_states import partition_states
from market_platform.defs.partitions import run_days
from market_platform.defs.recent import RecentDays
from market_platform.defs.repair import Need, Symptom
from market_platform.defs.schedules import nightly_layers
from market_platform.defs.symptoms import FAILED, MATERIALIZED
from market_platform.domain.clock import days_between
from market_platform.domain.conditions import Condition
from market_platform.domain.history import SeriesKind
from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from market_platform.warehouse.engine import Warehouse
    from market_platform.warehouse.history_days import DaySeries

_RECORDED: dict[SeriesKind, DaySeries] = {
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


@dataclass(frozen=True)
class PastLook(RecentDays):
    """The state of pairs whose past is fetched."""

    def at_pairs(self, warehouse: Warehouse, pairs: Sequence[TradingPair]) -> list[PastState]:
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
            layer: partition_states(self.instance, layer_key(pair, layer), self.partitions.days, days)
            for layer in history_day_layers(pair)
        }

    def _pending(
        self, connection: Connection, pair: TradingPair, pair_id: int, starlistings: Mapping[str, int]
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
        keys = {layer_key(pair, layer) for layer in history_day_layers(pair)}
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
