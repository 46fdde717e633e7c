"""How every pair is doing, and which runs failed: what `market-platform status` shows, gathered.

Belongs here: putting together what the database and Dagster say. Does not: how it is shown (status_output.py), SQL
(warehouse/), Dagster's API (dagster_api.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from market_platform.domain.clock import days_between, from_ms, to_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.intervals import bucket_end, parse_interval
from market_platform.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from market_platform.warehouse.lake_days import LakeStatistics
    from market_platform.warehouse.reference import PairRow


@dataclass(frozen=True, slots=True)
class PairStatus:
    """A pair's newest days, `first` to `last`: condition by day, gaps, the newest tick and candle, all its ticks.

    `last_candle` is when the newest candle opened, `known_to` up to when the newest tick or candle tells of the market.
    """

    name: str
    conditions: Mapping[date, Condition]
    gaps: Sequence[date]
    last_tick: datetime | None
    last_candle: datetime | None
    known_to: datetime | None
    ticks: int
    first: date
    last: date

    @property
    def newest(self) -> datetime | None:
        """The newest of what there is: of a pair that is streamed, mostly a candle."""
        return max((each for each in (self.last_tick, self.last_candle) if each), default=None)


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A failed run: for which pairs and days, and where to look."""

    run_id: str
    pairs: str
    days: str


def pair_statuses(url: str, timeout_s: float, now: datetime, days: int) -> list[PairStatus]:
    """Every active pair's state, from the database alone."""
    from market_platform.warehouse.engine import create_warehouse
    from market_platform.warehouse.lake_days import lake_statistics
    from market_platform.warehouse.reference import load_pairs

    warehouse = create_warehouse(url, pool_size=1, timeout_s=timeout_s)
    try:
        with warehouse.connect() as connection:
            ticks: dict[str, list[LakeStatistics]] = {}
            for each in lake_statistics(connection):
                ticks.setdefault(f"{each.exchange}/{each.symbol}", []).append(each)
            return [
                _pair_status(connection, row, ticks.get(row.name, []), now, days)
                for row in load_pairs(connection)
                if row.active
            ]
    finally:
        warehouse.close()


def _pair_status(
    connection: Connection, row: PairRow, ticks: Sequence[LakeStatistics], now: datetime, days: int
) -> PairStatus:
    from market_platform.exchanges.codes import TICK_EXCHANGES
    from market_platform.warehouse.candle_days import load_candle_days
    from market_platform.warehouse.lake_days import load_lake_days

    yesterday = now.date() - timedelta(days=1)
    window = timedelta(days=days - 1)
    last_tick = max((each.last_time for each in ticks if each.last_time), default=None)
    if row.exchange in TICK_EXCHANGES:
        newest = last_tick.date() if last_tick else yesterday
        lake = load_lake_days(connection, row.id, newest - window, yesterday)
        last = max(lake, default=yesterday)
        lake = {day: each for day, each in lake.items() if day >= last - window}
    else:  # a stream's newest day is today; its gaps are in the ledger (`market-platform gaps`)
        lake, last = {}, now.date()
    candles: dict[date, Condition] = {}
    last_candle = candle_end = None
    for name, starlisting_id in row.starlistings.items():  # the shortest first: its condition is the day's
        interval = parse_interval(name)
        if not interval.is_intraday:
            continue
        for day, each in load_candle_days(connection, starlisting_id, last - window, last).items():
            candles.setdefault(day, each.condition)
            if each.last_time is None:
                continue
            end = from_ms(bucket_end(to_ms(each.last_time), interval))
            if candle_end is None or end > candle_end:
                last_candle, candle_end = each.last_time, end
    return PairStatus(
        name=row.name,
        conditions={day: each.condition for day, each in lake.items()} or candles,
        gaps=[day for day in _open_days(connection, row, lake) if day not in lake],
        last_tick=last_tick,
        last_candle=last_candle,
        known_to=max((each for each in (last_tick, candle_end) if each), default=None),
        ticks=sum(each.rows for each in ticks),
        first=last - window,
        last=last,
    )


def _open_days(connection: Connection, row: PairRow, lake: Collection[date]) -> list[date]:
    """Days on which the market was open, from the first to the last that was fetched."""
    from market_platform.warehouse.reference import load_instrument

    if not lake:
        return []
    instrument = load_instrument(connection, row.id) if row.instrument else None
    between = days_between(min(lake), max(lake))
    return [day for day in between if instrument is None or instrument.calendar.is_open_on(day)]


def failed_runs(settings: Settings, since: datetime) -> list[FailedRun] | None:
    """Runs that failed since then, newest first; None when Dagster does not answer."""
    from market_platform.commands.dagster_api import DagsterApi, DagsterUnavailableError, webserver_url
    from market_platform.defs.names import PAIR_TAG, PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG

    api = DagsterApi(webserver_url(settings))
    try:
        failures = []
        for run in api.failed_runs(since.timestamp()):
            if run.tags.get("dagster/will_retry") == "true":
                continue  # its process died, and Dagster started it again
            first = run.tags.get(RANGE_START_TAG) or run.tags.get(PARTITION_TAG, "")
            last = run.tags.get(RANGE_END_TAG) or first
            days = f"{first} to {last}" if first != last else first
            failures.append(FailedRun(run.run_id, run.tags.get(PAIR_TAG, ""), days))
        return failures
    except DagsterUnavailableError:
        return None
    finally:
        api.close()
