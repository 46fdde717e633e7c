"""Housekeeping: what Dagster and the lake keep for ever and nobody reads again, a job removes every night."""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from datetime import datetime, time, timedelta

import dagster as dg

from market_platform.defs.cron import cron, launching
from market_platform.defs.resources import PLATFORM, WAREHOUSE
from market_platform.domain.clock import utc_now

_RESUMABLE = timedelta(days=1)
"""A client that was away for longer reads its series anew."""
_RESUMABLE_CHANGES = 1_000
"""Quiet series keep this many changes however old they are."""
_DEAD_LETTERS = timedelta(days=30)
_SWEPT = timedelta(days=14)
"""A night looks at no more than this of the past; two weeks without a night are no loss."""


def prune_job(retention_days: int) -> dg.JobDefinition:
    """A job that deletes old events, except those that say which partitions are materialised, and replaced day files."""

    @dg.op(
        name="prune_event_log",
        required_resource_keys={WAREHOUSE},
        description=f"Deletes what Dagster logged more than {retention_days} days ago; partitions keep their state.",
    )
    def prune(context: dg.OpExecutionContext) -> None:
        from market_platform.warehouse.housekeeping import prune_event_log

        with context.resources.warehouse.begin() as connection:
            deleted = prune_event_log(connection, timedelta(days=retention_days))
        context.log.info(f"{deleted:,} events older than {retention_days} days deleted")

    @dg.op(
        name="prune_stream_records",
        required_resource_keys={WAREHOUSE},
        description=(
            "Deletes numbered changes that nobody resumes from any more, dead letters of more than 30 days ago, and gaps that were "
            f"repaired more than {retention_days} days ago."
        ),
    )
    def prune_stream(context: dg.OpExecutionContext) -> None:
        from market_platform.warehouse.dead_letters import prune_dead_letters
        from market_platform.warehouse.gaps import prune_gaps
        from market_platform.warehouse.series import prune_changes

        with context.resources.warehouse.begin() as connection:
            changes = prune_changes(connection, _RESUMABLE, _RESUMABLE_CHANGES)
            letters = prune_dead_letters(connection, _DEAD_LETTERS)
            gaps = prune_gaps(connection, timedelta(days=retention_days))
        context.log.info(f"{changes:,} numbered changes, {letters:,} dead letters and {gaps:,} repaired gaps deleted")

    @dg.op(
        name="sweep_superseded_files",
        required_resource_keys={PLATFORM},
        description="Deletes day files of the lake that a later one replaced more than a day ago.",
    )
    def sweep(context: dg.OpExecutionContext) -> None:
        from market_platform.pipeline.sweep import sweep_superseded

        count = sweep_superseded(context.resources.platform, lambda key: context.log.info(f"deleted {key}"))
        context.log.info(f"{count:,} superseded files deleted")

    @dg.op(
        name="delete_compute_logs",
        description=f"Deletes what steps of runs printed that ended more than {retention_days} days ago.",
    )
    def delete_logs(context: dg.OpExecutionContext) -> None:
        runs = delete_compute_logs(context.instance, utc_now() - timedelta(days=retention_days))
        context.log.info(f"compute logs of {runs:,} runs deleted")

    @dg.job(name="housekeeping", description="Keeps Dagster's own storage and the lake free of what nobody reads.")
    def housekeeping() -> None:
        prune()
        prune_stream()
        sweep()
        delete_logs()

    return housekeeping


def delete_compute_logs(instance: dg.DagsterInstance, ended_before: datetime) -> int:
    """Delete the compute logs of runs that ended in the fortnight before that moment; returns how many runs."""
    runs = instance.get_runs(
        filters=dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
            updated_before=ended_before,
            updated_after=ended_before - _SWEPT,
        )
    )
    for run in runs:
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
    return len(runs)


def prune_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Every night at 04:15 UTC."""
    return launching(
        "prune_event_log",
        cron(time(4, 15)),
        job,
        "Prunes the event log, old compute logs and replaced day files, when nothing else is going on.",
    )
