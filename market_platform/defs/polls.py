"""Stocks in session: the bars of the day in progress, every quarter of an hour while the exchange is open.

Belongs here: the job and its schedule. Does not: what is asked (pipeline/history_candles.py), when exchanges are open
(exchanges/yahoo/sessions.py). The day in progress is no partition: its rows are there and its condition is pending, until the
night fetches the day whole.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

import dagster as dg

from market_platform.defs.cron import SCHEDULED, Requests, requesting
from market_platform.defs.names import day_intervals
from market_platform.defs.resources import PLATFORM
from market_platform.domain.errors import MarketPlatformError
from market_platform.domain.pairs import TradingPair
from market_platform.pipeline.versions import HISTORY_VERSION

POLL = "poll_stocks"
_SETTLING = timedelta(minutes=35)
"""So long after a session's end its last bars are still asked for."""
_AMERICAN_HOURS = (time(13, 30), time(21, 35))
"""UTC, the widest over the year's clock changes."""


def poll_job(pairs: Sequence[TradingPair]) -> dg.JobDefinition:
    """The job for all stocks that are fetched."""

    @dg.op(
        name="fetch_bars_so_far",
        required_resource_keys={PLATFORM},
        description="Fetches today's finished bars of every stock whose exchange is open, or has just closed.",
    )
    def fetch(context: dg.OpExecutionContext) -> None:
        from market_platform.pipeline.history_candles import build_history_candles
        from market_platform.pipeline.platform import Provenance

        platform = context.resources.platform
        now = platform.clock().astimezone(UTC)
        provenance = Provenance(context.run_id, HISTORY_VERSION)
        failures: list[str] = []
        for pair in open_pairs(pairs, now):
            intervals = [each for each in day_intervals(pair) if each.name != "1d"]
            try:
                reports = build_history_candles(
                    platform, pair, [now.date()], intervals, provenance, lambda _report: None
                )
            except MarketPlatformError as error:
                failures.append(str(error))
            else:
                context.log.info(f"{pair.name}: {sum(each.changed_rows for each in reports):,} rows of today changed")
        if failures:
            raise dg.Failure("\n".join(failures), allow_retries=False)

    @dg.job(name=POLL, description="The bars so far of stocks in session.")
    def poll_stocks() -> None:
        fetch()

    return poll_stocks


def poll_schedule(pairs: Sequence[TradingPair], job: dg.JobDefinition, minutes: int) -> dg.ScheduleDefinition:
    """Every so many minutes, but not when no exchange can be open."""

    def requests(_context: dg.ScheduleEvaluationContext, now: datetime) -> Requests:
        if any(may_be_open(pair, now) for pair in pairs):
            yield dg.RunRequest(run_key=f"{POLL}:{now.isoformat()}", tags=SCHEDULED)
        else:
            yield dg.SkipReason("no stock exchange is open at this hour")

    return requesting(
        POLL,
        f"*/{minutes} * * * *",
        job,
        f"Every {minutes} minutes while stock exchanges may be open; the run itself knows their holidays.",
        requests,
    )


def may_be_open(pair: TradingPair, now: datetime) -> bool:
    """Whether the pair's exchange may be in session: a guess that costs no calendar, never wrongly no."""
    if "." in pair.symbol and pair.symbol.rpartition(".")[2] not in ("A", "B"):
        return now.weekday() < 5 or now.weekday() == 6  # Sydney's Monday begins on Sunday
    first, last = _AMERICAN_HOURS
    return now.weekday() < 5 and first <= now.time() <= last


def open_pairs(pairs: Sequence[TradingPair], now: datetime) -> list[TradingPair]:
    """Pairs whose exchange is in session by its own calendar, or was a moment ago."""
    from market_platform.exchanges.yahoo.sessions import exchange_of, is_open

    def is_asked(pair: TradingPair) -> bool:
        exchange = exchange_of(pair.symbol)
        return is_open(exchange, now) or is_open(exchange, now - _SETTLING)

    return [pair for pair in pairs if may_be_open(pair, now) and is_asked(pair)]
