"""How assets are backfilled, retried and judged fresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import dagster as dg


@dataclass(frozen=True)
class Policies:
    """What every asset of a platform is given.

    `backfill`: a launched run costs seconds, so a run takes many days. `retry`: for errors that a retry may help; all
    others end the step at once (see failures.py).
    """

    backfill: dg.BackfillPolicy
    retry: dg.RetryPolicy

    @classmethod
    def standard(cls, days_per_run: int, retry_delay_s: float = 20.0) -> Policies:
        """Retries after about 20, 40 and 80 seconds: longer than a restart or a short outage, shorter than a person's patience."""
        return cls(
            backfill=dg.BackfillPolicy.multi_run(days_per_run),
            retry=dg.RetryPolicy(
                max_retries=3, delay=retry_delay_s, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
            ),
        )


@cache
def daily_freshness() -> dg.FreshnessPolicy:
    """Stale when nothing came for three and a half days: a weekend with a holiday on Monday is not an alarm."""
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=84), warn_window=timedelta(hours=36))


@cache
def weekly_freshness() -> dg.FreshnessPolicy:
    """Stale a day and a half after a week's candle should have been there."""
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=9), warn_window=timedelta(days=8))


@cache
def monthly_freshness() -> dg.FreshnessPolicy:
    """Stale three days after a month's candle should have been there."""
    return dg.FreshnessPolicy.time_window(fail_window=timedelta(days=35), warn_window=timedelta(days=33))


@cache
def stream_freshness(interval: timedelta, *, round_the_clock: bool) -> dg.FreshnessPolicy:
    """Stale when the sensor, which reports a day in progress every hour, has had nothing new of the stream to report.

    `interval` is how far apart the asset's rows are. Markets that close get a weekend with a holiday on Monday on top.
    """
    closed = timedelta(0) if round_the_clock else timedelta(hours=82)
    return dg.FreshnessPolicy.time_window(
        fail_window=interval * 2 + closed + timedelta(hours=3), warn_window=interval + closed + timedelta(hours=2)
    )
