"""Schedules: yesterday every night, last week on Monday, last month on the first; all UTC, all after the exchange's day.

A market that was closed all day is not skipped: its day is recorded as `closed`, which is what makes a week complete. Those
pairs get a run of their own at a lower priority, so that markets that traded come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import dagster as dg

from market_platform.defs.assets.candles import candle_key
from market_platform.defs.assets.compaction import compacted_key
from market_platform.defs.assets.layers import layer_key
from market_platform.defs.cron import Requests, batched_by_exchange, batched_pairs, cron, launching, requesting, run_of
from market_platform.defs.jobs import AssetJob, database_name
from market_platform.defs.names import HISTORY_LAYERS, day_layers, history_day_layers
from market_platform.defs.partitions import last_complete_month, last_complete_week
from market_platform.defs.resources import WAREHOUSE
from market_platform.defs.sessions import split_by_sessions
from market_platform.domain.history import SeriesKind
from market_platform.domain.intervals import Interval
from market_platform.domain.pairs import TradingPair

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

    def requests(context: dg.ScheduleEvaluationContext, now: datetime) -> Requests:
        day = _yesterday(now)
        traded, closed = split_by_sessions(context.resources.warehouse, pairs, day)
        context.log.info(f"{day}: {len(traded)} pairs traded, {len(closed)} were closed")
        yield from daily_requests(day, traded, closed)

    return requesting(
        YESTERDAY,
        cron(DAILY_AT),
        job,
        "Materialises yesterday's ticks and candles of every pair; closed markets are recorded as closed.",
        requests,
        [WAREHOUSE],
    )


def days_expected(running_since: datetime, now: datetime, at: time = DAILY_AT) -> tuple[date, date]:
    """First and last day that a daily schedule was to bring, if it runs since then."""
    return _day_before_tick_after(running_since, at), _day_before_tick_after(now, at) - timedelta(days=1)


def _day_before_tick_after(moment: datetime, at: time) -> date:
    """The day that the schedule's next tick after the moment brings."""
    return moment.date() if moment.time() >= at else moment.date() - timedelta(days=1)


def daily_requests(day: date, traded: Sequence[TradingPair], closed: Sequence[TradingPair]) -> Iterator[dg.RunRequest]:
    """Runs for one day: as few as `PAIRS_PER_RUN` allows, pairs of one exchange together."""
    for market, group in (("open", traded), ("closed", closed)):
        late = {"dagster/priority": CLOSED_PRIORITY} if market == "closed" else {}
        for exchange, number, chunk in batched_by_exchange(group):
            run = run_of(f"yesterday:{day}:{exchange}:{market}:{number}", day, chunk, _keys_of(day_layers))
            yield run.with_replaced_attrs(tags={**run.tags, "market/session": market, **late})


def history_schedule(pairs: Sequence[TradingPair], job: AssetJob, database: str) -> dg.ScheduleDefinition:
    """05:00 UTC: yesterday as the exchanges have it, when they have published it and the night's proof is done.

    Trades are left out: the streamer has them, and a busy day of them is a million requests' worth.
    """
    name = database_name(HISTORY_YESTERDAY, database)
    return nightly_schedule(
        name,
        HISTORY_AT,
        pairs,
        job,
        _keys_of(nightly_layers),
        "Fetches yesterday's candles, funding rates, open interest, dividends and splits of every pair as its exchange has "
        f"them ({database} database).",
        run_keys=name,
    )


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

    def requests(_context: dg.ScheduleEvaluationContext, now: datetime) -> Requests:
        start = (last_complete_week if weekly else last_complete_month)(now.date())
        for number, chunk in enumerate(batched_pairs(having)):
            yield run_of(f"{name}:{start}:{number}", start, chunk, lambda pair: [of.key(pair, interval)])

    return requesting(
        name,
        cron(of.at, "* * 1" if weekly else "1 * *"),
        job,
        f"Builds the {interval} candles of the period that has just ended, for every pair.",
        requests,
    )


def compaction_schedule(pairs: Sequence[TradingPair], job: AssetJob) -> dg.ScheduleDefinition:
    """00:30 UTC: yesterday's parts, of every streamed pair; half an hour is for what the streamer still has in hand."""
    return nightly_schedule(
        "compact_yesterday",
        time(0, 30),
        pairs,
        job,
        lambda pair: [compacted_key(pair)],
        "Makes one file of each streamed pair's trades or quotes of yesterday, and deletes their parts.",
    )


def nightly_schedule(
    name: str,
    at: time,
    pairs: Sequence[TradingPair],
    job: AssetJob,
    keys: Callable[[TradingPair], Sequence[dg.AssetKey]],
    description: str,
    run_keys: str | None = None,
) -> dg.ScheduleDefinition:
    """Yesterday of some assets of every pair, at that time (UTC): as few runs as `PAIRS_PER_RUN` allows, an exchange's together.

    Run keys begin with `run_keys`, the job's name unless told otherwise.
    """

    def requests(_context: dg.ScheduleEvaluationContext, now: datetime) -> Requests:
        day = _yesterday(now)
        for exchange, number, chunk in batched_by_exchange(pairs):
            yield run_of(f"{run_keys or job.name}:{day}:{exchange}:{number}", day, chunk, keys)

    return requesting(name, cron(at), job, description, requests)


def statistics_schedule(job: AssetJob) -> dg.ScheduleDefinition:
    """Every morning at 05:00 UTC, when the night's runs and their repairs are done."""
    return launching(
        "lake_statistics",
        cron(time(5)),
        job,
        "Counts what the lake holds, and looks for partitions left failed.",
    )


def _yesterday(now: datetime) -> date:
    return now.date() - timedelta(days=1)


def _keys_of(layers: Callable[[TradingPair], Sequence[str]]) -> Callable[[TradingPair], list[dg.AssetKey]]:
    return lambda pair: [layer_key(pair, layer) for layer in layers(pair)]
