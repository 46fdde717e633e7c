"""Schedules: yesterday every night, last week on Monday, last month on the first; all UTC, all after the exchange's day.

A market that was closed all day is not skipped: its day is recorded as `closed`, which is what makes a week complete. Those
pairs get a run of their own at a lower priority, so that markets that traded come first.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.assets.compaction import compacted_key
from market_platform.defs.jobs import AssetJob, database_name
from market_platform.defs.names import (
    HISTORY_LAYERS,
    PAIR_TAG,
    TRIGGER_TAG,
    asset_path,
    day_layers,
    history_day_layers,
    named_pairs,
)
from market_platform.defs.partitions import last_complete_month, last_complete_week
from market_platform.defs.resources import WAREHOUSE
from market_platform.domain.history import SeriesKind
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair

if TYPE_CHECKING:
    from market_platform.domain.sessions import SessionCalendar
    from market_platform.warehouse.engine import Warehouse

PAIRS_PER_RUN = 25
"""A run costs seconds to start and milliseconds a pair; more pairs than this and one bad pair reddens too much."""
CLOSED_PRIORITY = "-1"
YESTERDAY = "yesterday"
DAILY_AT = time(2)
HISTORY_YESTERDAY = "history_yesterday"
HISTORY_AT = time(5)
HISTORY_PERIODS_AT = time(5, 45)


@dataclass(frozen=True)
class PeriodsOf:
    """Which weeks and months a schedule is for: a prefix of its name, when, and the keys of their candles."""

    prefix: str
    at: time
    key: Callable[[TradingPair, Interval], dg.AssetKey]


def daily_schedule(pairs: Sequence[TradingPair], job: AssetJob) -> dg.ScheduleDefinition:
    """02:00 UTC: yesterday, for every pair."""

    @dg.schedule(
        name=YESTERDAY,
        cron_schedule="0 2 * * *",
        execution_timezone="UTC",
        job=job,
        required_resource_keys={WAREHOUSE},
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Materialises yesterday's ticks and candles of every pair; closed markets are recorded as closed.",
    )
    def yesterday(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        day = (context.scheduled_execution_time.astimezone(UTC) - timedelta(days=1)).date()
        traded, closed = split_by_sessions(context.resources.warehouse, pairs, day)
        context.log.info(f"{day}: {len(traded)} pairs traded, {len(closed)} were closed")
        yield from daily_requests(day, traded, closed)

    return yesterday


def days_expected(running_since: datetime, now: datetime, at: time = DAILY_AT) -> tuple[date, date]:
    """First and last day that a daily schedule was to bring, if it runs since then."""
    return _day_before_tick_after(running_since, at), _day_before_tick_after(now, at) - timedelta(days=1)


def _day_before_tick_after(moment: datetime, at: time) -> date:
    """The day that the schedule's next tick after the moment brings."""
    return moment.date() if moment.time() >= at else moment.date() - timedelta(days=1)


def daily_requests(day: date, traded: Sequence[TradingPair], closed: Sequence[TradingPair]) -> Iterator[dg.RunRequest]:
    """Runs for one day: as few as `PAIRS_PER_RUN` allows, pairs of one exchange together."""
    for market, group in (("open", traded), ("closed", closed)):
        for exchange in sorted({pair.exchange for pair in group}):
            mine = [pair for pair in group if pair.exchange == exchange]
            for number, chunk in enumerate(batched_pairs(mine)):
                yield dg.RunRequest(
                    run_key=f"yesterday:{day}:{exchange}:{market}:{number}",
                    partition_key=day.isoformat(),
                    asset_selection=[
                        dg.AssetKey(asset_path(pair, layer)) for pair in chunk for layer in day_layers(pair)
                    ],
                    tags={
                        TRIGGER_TAG: "schedule",
                        PAIR_TAG: named_pairs(chunk),
                        "market/session": market,
                        **({"dagster/priority": CLOSED_PRIORITY} if market == "closed" else {}),
                    },
                )


def history_schedule(pairs: Sequence[TradingPair], job: AssetJob, database: str) -> dg.ScheduleDefinition:
    """05:00 UTC: yesterday as the exchanges have it, when they have published it and the night's proof is done.

    Trades are left out: the streamer has them, and a busy day of them is a million requests' worth.
    """
    name = database_name(HISTORY_YESTERDAY, database)

    @dg.schedule(
        name=name,
        cron_schedule=f"{HISTORY_AT.minute} {HISTORY_AT.hour} * * *",
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            "Fetches yesterday's candles, funding rates, open interest, dividends and splits of every pair as its exchange has "
            f"them ({database} database)."
        ),
    )
    def history_yesterday(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        day = (context.scheduled_execution_time.astimezone(UTC) - timedelta(days=1)).date()
        for exchange in sorted({pair.exchange for pair in pairs}):
            for number, chunk in enumerate(batched_pairs([pair for pair in pairs if pair.exchange == exchange])):
                yield dg.RunRequest(
                    run_key=f"{name}:{day}:{exchange}:{number}",
                    partition_key=day.isoformat(),
                    asset_selection=[
                        dg.AssetKey(asset_path(pair, layer)) for pair in chunk for layer in nightly_layers(pair)
                    ],
                    tags={TRIGGER_TAG: "schedule", PAIR_TAG: named_pairs(chunk)},
                )

    return history_yesterday


def nightly_layers(pair: TradingPair) -> list[str]:
    """Layers of the pair's past that are fetched every night."""
    return [layer for layer in history_day_layers(pair) if layer != HISTORY_LAYERS[SeriesKind.TRADES]]


def period_schedule(
    pairs: Sequence[TradingPair], interval: Interval, job: AssetJob, of: PeriodsOf | None = None
) -> dg.ScheduleDefinition:
    """Monday 02:30 for last week, the first 02:45 for last month: after yesterday's day."""
    weekly = interval.name == "1w"
    of = of or PeriodsOf("", time(2, 30) if weekly else time(2, 45), candle_key)
    name = f"{of.prefix}{'last_week' if weekly else 'last_month'}"
    having = [pair for pair in pairs if interval in pair.intervals]

    @dg.schedule(
        name=name,
        cron_schedule=f"{of.at.minute} {of.at.hour} {'* * 1' if weekly else '1 * *'}",
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Builds the {interval} candles of the period that has just ended, for every pair.",
    )
    def period(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        today = context.scheduled_execution_time.astimezone(UTC).date()
        start = last_complete_week(today) if weekly else last_complete_month(today)
        for number, chunk in enumerate(batched_pairs(having)):
            yield dg.RunRequest(
                run_key=f"{name}:{start}:{number}",
                partition_key=start.isoformat(),
                asset_selection=[of.key(pair, interval) for pair in chunk],
                tags={TRIGGER_TAG: "schedule", PAIR_TAG: named_pairs(chunk)},
            )

    return period


def compaction_schedule(pairs: Sequence[TradingPair], job: AssetJob) -> dg.ScheduleDefinition:
    """00:30 UTC: yesterday's parts, of every streamed pair; half an hour is for what the streamer still has in hand."""
    return nightly_schedule(
        "compact_yesterday",
        time(0, 30),
        pairs,
        job,
        compacted_key,
        "Makes one file of each streamed pair's trades or quotes of yesterday, and deletes their parts.",
    )


def nightly_schedule(
    name: str,
    at: time,
    pairs: Sequence[TradingPair],
    job: AssetJob,
    key: Callable[[TradingPair], dg.AssetKey],
    description: str,
) -> dg.ScheduleDefinition:
    """Yesterday of one asset of every pair, at that time (UTC): as few runs as `PAIRS_PER_RUN` allows, an exchange's together."""

    @dg.schedule(
        name=name,
        cron_schedule=f"{at.minute} {at.hour} * * *",
        execution_timezone="UTC",
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        day = (context.scheduled_execution_time.astimezone(UTC) - timedelta(days=1)).date()
        for exchange in sorted({pair.exchange for pair in pairs}):
            for number, chunk in enumerate(batched_pairs([pair for pair in pairs if pair.exchange == exchange])):
                yield dg.RunRequest(
                    run_key=f"{job.name}:{day}:{exchange}:{number}",
                    partition_key=day.isoformat(),
                    asset_selection=[key(pair) for pair in chunk],
                    tags={TRIGGER_TAG: "schedule", PAIR_TAG: named_pairs(chunk)},
                )

    return nightly


def statistics_schedule(job: AssetJob) -> dg.ScheduleDefinition:
    """Every morning at 05:00 UTC, when the night's runs and their repairs are done."""
    return dg.ScheduleDefinition(
        name="lake_statistics",
        job=job,
        cron_schedule="0 5 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Counts what the lake holds, and looks for partitions left failed.",
    )


def batched_pairs(pairs: Sequence[TradingPair]) -> list[Sequence[TradingPair]]:
    """The pairs in groups of `PAIRS_PER_RUN`."""
    return [pairs[start : start + PAIRS_PER_RUN] for start in range(0, len(pairs), PAIRS_PER_RUN)]


def split_by_sessions(
    warehouse: "Warehouse", pairs: Sequence[TradingPair], day: date
) -> tuple[list[TradingPair], list[TradingPair]]:
    """Pairs whose market was open on the day, and those whose own calendar says it was closed all day.

    A pair whose calendar is not known yet counts as open: asking is how it becomes known.
    """
    calendars = stored_calendars(warehouse, pairs)
    closed = [pair for pair in pairs if pair.name in calendars and not calendars[pair.name].is_open_on(day)]
    names = {pair.name for pair in closed}
    return [pair for pair in pairs if pair.name not in names], closed


def stored_calendars(warehouse: "Warehouse", pairs: Sequence[TradingPair]) -> "Mapping[str, SessionCalendar]":
    """Session calendars by pair name, of those pairs whose instrument was ever fetched."""
    from market_platform.warehouse.reference import load_instrument, load_pairs

    names = {pair.name for pair in pairs}
    found: dict[str, SessionCalendar] = {}
    with warehouse.connect() as connection:
        for row in load_pairs(connection):
            instrument = load_instrument(connection, row.id) if row.name in names and row.instrument else None
            if instrument is not None:
                found[row.name] = instrument.calendar
    return found
