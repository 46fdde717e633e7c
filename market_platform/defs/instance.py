"""What a Dagster instance needs besides dagster.yaml: limits of pools, which YAML can't set one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

STEPS_AT_ONCE = 2
"""Steps that may ask one exchange at once, all runs together. Each keeps to the client's own limit of requests in flight."""


def configure_instance(instance: dg.DagsterInstance, pools: Mapping[str, int]) -> list[str]:
    """Set the limit of each pool that has none of its own; returns what changed, for people.

    A limit that somebody set (`dagster instance concurrency set`, or the UI) stays.
    """
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return []
    chosen = {pool.name for pool in storage.get_pool_limits() if not pool.from_default}
    added = {name: limit for name, limit in pools.items() if name not in chosen}
    for name, limit in added.items():
        storage.set_concurrency_slots(name, limit)
    return [f"pool {name}: {limit} steps at once" for name, limit in added.items()]


def exchange_pools(exchanges: Sequence[str]) -> dict[str, int]:
    """The limit of each exchange's pool."""
    return dict.fromkeys(exchanges, STEPS_AT_ONCE)
