"""Partitions: days, weeks from Monday, months; all UTC, all ending with the last complete one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg

from market_platform.defs.names import (
    FIRST_LIVE_WEEK,
    FIRST_MONTH,
    FIRST_WEEK,
    HISTORY_STARTS,
    LIVE_STARTS,
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
)
from market_platform.domain.clock import days_between
from market_platform.domain.intervals import Interval


@dataclass(frozen=True)
class Partitions:
    """The partitions definitions that all pairs share: a job and a run need that their assets have the very same one.

    The live ones hold the day, week and month that is going on, too.
    """

    days: dg.DailyPartitionsDefinition
    weeks: dg.WeeklyPartitionsDefinition
    months: dg.MonthlyPartitionsDefinition
    live_days: dg.DailyPartitionsDefinition
    live_weeks: dg.WeeklyPartitionsDefinition
    live_months: dg.MonthlyPartitionsDefinition
    streamed_days: dg.DailyPartitionsDefinition

    @classmethod
    def standard(cls) -> Partitions:
        """Since the oldest history, or the first stream, until yesterday, last week, last month (live: until now)."""
        return cls(
            dg.DailyPartitionsDefinition(start_date=HISTORY_STARTS.isoformat()),
            dg.WeeklyPartitionsDefinition(start_date=FIRST_WEEK.isoformat(), day_offset=1),
            dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH.isoformat()),
            dg.DailyPartitionsDefinition(start_date=LIVE_STARTS.isoformat(), end_offset=1),
            dg.WeeklyPartitionsDefinition(start_date=FIRST_LIVE_WEEK.isoformat(), day_offset=1, end_offset=1),
            dg.MonthlyPartitionsDefinition(start_date=LIVE_STARTS.isoformat(), end_offset=1),
            dg.DailyPartitionsDefinition(start_date=LIVE_STARTS.isoformat()),
        )

    def of_period(self, interval: Interval) -> dg.TimeWindowPartitionsDefinition:
        """Partitions of the candles of `1w` or `1M`."""
        return self.weeks if interval.name == "1w" else self.months

    def of_live(self, interval: Interval) -> dg.TimeWindowPartitionsDefinition:
        """Partitions of streamed candles: days up to `1d`, then periods."""
        if interval.is_intraday:
            return self.live_days
        return self.live_weeks if interval.name == "1w" else self.live_months


def from_days() -> dg.TimeWindowPartitionMapping:
    """How a week or a month depends on its days (the first month begins before the first day)."""
    return dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)


def partition_dates(context: dg.AssetExecutionContext) -> list[date]:
    """First days of the partitions a run is for, in order: each day, or each period's Monday or first of the month."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def run_days(tags: Mapping[str, str]) -> list[date] | None:
    """Days a run with these tags is for; None when it names none."""
    first = tags.get(RANGE_START_TAG) or tags.get(PARTITION_TAG)
    last = tags.get(RANGE_END_TAG) or tags.get(PARTITION_TAG)
    if first is None or last is None:
        return None
    return days_between(date.fromisoformat(first), date.fromisoformat(last))


def range_tags(first: date, last: date) -> dict[str, str]:
    """Tags of a run for all partitions from `first` to `last`."""
    return {RANGE_START_TAG: first.isoformat(), RANGE_END_TAG: last.isoformat()}


def last_complete_week(today: date) -> date:
    """Monday of the last week that is over."""
    return today - timedelta(days=today.weekday() + 7)


def last_complete_month(today: date) -> date:
    """First of the last month that is over."""
    return (today.replace(day=1) - timedelta(days=1)).replace(day=1)
