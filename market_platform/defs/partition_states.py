"""What Dagster thinks of partitions: materialised, failed, never attempted.

The places where Dagster has no public name for what is needed are here, and tested against the installed version. They
are imported when used: it costs definitions a sixth of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg


def partition_states(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    definition: dg.TimeWindowPartitionsDefinition,
    days: Sequence[date],
) -> dict[date, str]:
    """State of each partition that was ever attempted: `MATERIALIZED`, `FAILED` or `IN_PROGRESS`."""
    states = instance.get_status_by_partition(key, [day.isoformat() for day in days], definition) or {}
    return {date.fromisoformat(name): state.value for name, state in states.items() if state is not None}


def failed_partitions(
    instance: dg.DagsterInstance, key: dg.AssetKey, definition: dg.TimeWindowPartitionsDefinition
) -> list[str]:
    """Every partition of the asset whose last attempt failed; costs the same for a week and for twenty years."""
    from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

    status = get_and_update_asset_status_cache_value(instance, key, definition)
    if status is None:
        return []
    return sorted(status.deserialize_failed_partition_subsets(definition).get_partition_keys())


def running_since(instance: dg.DagsterInstance, schedule: str) -> datetime | None:
    """Since when the daemon evaluates the schedule; None when it is switched off or was never seen by a daemon."""
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.scheduler.instigation import ScheduleInstigatorData

    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        data = state.instigator_data
        if state.name == schedule and state.is_running and isinstance(data, ScheduleInstigatorData):
            return datetime.fromtimestamp(data.start_timestamp, UTC) if data.start_timestamp else None
    return None


def keys_being_backfilled(instance: dg.DagsterInstance) -> frozenset[dg.AssetKey]:
    """Assets of backfills that may still request runs."""
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    statuses = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING]
    backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=statuses))
    return frozenset(key for backfill in backfills for key in backfill.asset_selection or ())
