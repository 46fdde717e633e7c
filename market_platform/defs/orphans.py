"""Runs whose process is gone: a sensor marks them as failed, so that they neither block repairs nor hold a place.

A run's process is a child of the code server, and Dagster learns of its end from there. When the code server itself was
ended (`kill -9`, a power cut, a container replaced), nobody tells, and the run would stay "started" for ever. The sensor
is evaluated inside the code server, so it knows the one thing that matters: a run launched before this code server started
has no process any more.

A run in the process of a command (`backfill --direct`) names that process in a tag. When it was killed, the next such command
and the sensor find out, on the same machine; without that, two kills would stop an exchange for good, because their places
in its pool were never given back. Of a command in a container that was replaced nobody knows: its run ends when
`run_monitoring` in dagster.yaml finds that it takes too long.
"""

# no `from __future__ import annotations`: Dagster reads the annotations of decorated functions

from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import gethostname

import dagster as dg
import psutil

from market_platform.defs.names import TRIGGER_TAG
from market_platform.embedded.processes import identity

DIRECT = "direct"
"""Value of `TRIGGER_TAG` of runs in the process of a command."""
_PROCESS_TAG = "market/process"
_LAUNCHED_BY_CODE_SERVER = ".dagster/grpc_info"
_EVERY_S = 30
_CLOCKS_DIFFER = timedelta(seconds=2)


def orphan_sensor() -> dg.SensorDefinition:
    """Looks every half a minute; a look is one query."""

    @dg.sensor(
        name="orphaned_runs",
        minimum_interval_seconds=_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Marks runs as failed whose process ended together with an earlier code server, and those of commands that were "
            "killed. Their finished days are kept; Dagster starts the former again by itself, the latter its user does."
        ),
    )
    def orphaned_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        failed = [*fail_orphaned_runs(context.instance, code_server_start()), *fail_killed_commands(context.instance)]
        return dg.SkipReason(f"marked as failed: {', '.join(failed)}" if failed else "every run has its process")

    return orphaned_runs


def fail_orphaned_runs(instance: dg.DagsterInstance, server_start: datetime) -> list[str]:
    """Mark the runs that a code server launched before `server_start` and that are not over; returns their ids."""
    failed = []
    records = instance.get_run_records(
        filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    )
    for record in records:
        run = record.dagster_run
        if _LAUNCHED_BY_CODE_SERVER not in run.tags:
            continue
        launched = record.start_time or instance.get_run_stats(run.run_id).launch_time
        if launched is None or datetime.fromtimestamp(launched, UTC) >= server_start - _CLOCKS_DIFFER:
            continue
        instance.report_run_failed(
            run,
            "The code server ended while this run was going on, and the run's process with it. Its finished days are kept.",
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        failed.append(run.run_id)
    return failed


def command_tags() -> dict[str, str]:
    """Tags of a run in this process. Dagster can't start such a run again, and does not say that it will."""
    ours = identity(psutil.Process().pid)
    process = {} if ours is None else {_PROCESS_TAG: f"{gethostname()} {ours.pid} {ours.started}"}
    return {TRIGGER_TAG: DIRECT, "dagster/max_retries": "0", **process}


def fail_killed_commands(instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs of this machine's commands that were killed; returns their ids."""
    active = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    failed = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=active, tags={TRIGGER_TAG: DIRECT})):
        if _was_killed(run.tags.get(_PROCESS_TAG, "")):
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            instance.report_run_failed(
                run, "The command that this run was part of was killed. Its finished days are kept; run it again."
            )
            failed.append(run.run_id)
    return failed


def _was_killed(process: str) -> bool:
    host, _, rest = process.partition(" ")
    pid, _, started = rest.partition(" ")
    if host != gethostname() or not pid.isdecimal():
        return False
    found = identity(int(pid))
    return found is None or found.started != started


def code_server_start() -> datetime:
    """When the outermost Dagster process that we are part of started: it outlives reloads of the code."""
    process = psutil.Process()
    started = process.create_time()
    for parent in process.parents():
        if not _is_dagster(parent):
            break
        started = parent.create_time()
    return datetime.fromtimestamp(started, UTC)


def _is_dagster(process: psutil.Process) -> bool:
    try:
        return any(Path(word).name.startswith("dagster") for word in process.cmdline()[:4])
    except psutil.Error:
        return False
