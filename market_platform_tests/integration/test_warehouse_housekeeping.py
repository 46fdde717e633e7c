"""Pruning Dagster's event log, on tables that dagster-postgres itself made: partitions and checks keep their state."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dagster as dg
import psycopg
import pytest
import yaml
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.housekeeping import prune_event_log

DAYS = dg.DailyPartitionsDefinition(start_date="2019-02-01", end_date="2019-02-06")
BAD = "2019-02-03"


@dg.asset(partitions_def=DAYS, check_specs=[dg.AssetCheckSpec("sane", asset="ticks")])
def ticks(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Fails on one day."""
    if context.partition_key == BAD:
        raise RuntimeError("no data")
    context.log.info("working")
    return dg.MaterializeResult(
        metadata={"rows": 1}, check_results=[dg.AssetCheckResult(check_name="sane", passed=True)]
    )


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance whose storage is the schema `dagster` of the test's database."""
    url = urlsplit(database_url)
    storage = {
        "username": url.username,
        "password": unquote(url.password or ""),
        "hostname": url.hostname,
        "port": url.port,
        "db_name": url.path.lstrip("/"),
        "scheme": "postgresql+psycopg2",
        "params": {"options": "-csearch_path=dagster"},
    }
    config = {"storage": {"postgres": {"postgres_db": storage}}, "telemetry": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def run_partition(instance: dg.DagsterInstance, partition: str) -> str:
    return dg.materialize([ticks], instance=instance, partition_key=partition, raise_on_error=False).run_id


def everything_dagster_derives(instance: dg.DagsterInstance, warehouse: Warehouse) -> Mapping[str, Any]:
    """What the UI shows of the asset, computed from the log anew."""
    key = dg.AssetKey("ticks")
    with psycopg.connect(warehouse.url) as conn:
        conn.execute("UPDATE dagster.asset_keys SET cached_status_data = NULL")
    status = get_and_update_asset_status_cache_value(instance, key, DAYS)
    assert status is not None
    return {
        "materialized": sorted(instance.get_materialized_partitions(key)),
        "failed": sorted(status.deserialize_failed_partition_subsets(DAYS).get_partition_keys()),
        "cached": sorted(status.deserialize_materialized_partition_subsets(DAYS).get_partition_keys()),
        "latest": getattr(instance.get_latest_materialization_event(key), "run_id", None),
        "records": len(instance.fetch_materializations(key, limit=100).records),
        "checks": {
            str(each): record.status.value
            for each, record in instance.event_log_storage.get_latest_asset_check_execution_by_key(
                [dg.AssetCheckKey(key, "sane")]
            ).items()
        },
        "runs": sorted((run.run_id, run.status.value) for run in instance.get_runs()),
        "times": sorted((r.start_time, r.end_time) for r in instance.get_run_records()),
    }


def log_rows(warehouse: Warehouse) -> dict[str, int]:
    with psycopg.connect(warehouse.url) as conn:
        return dict(
            conn.execute(
                "SELECT coalesce(dagster_event_type, 'message'), count(*) FROM dagster.event_logs GROUP BY 1"
            ).fetchall()
        )


def age_everything(warehouse: Warehouse, days: int) -> None:
    with psycopg.connect(warehouse.url) as conn:
        conn.execute("UPDATE dagster.event_logs SET timestamp = timestamp - make_interval(days => %s)", (days,))


def prune(warehouse: Warehouse, older_than_days: int, **limits: int) -> int:
    with warehouse.begin() as conn:
        return prune_event_log(conn, timedelta(days=older_than_days), **limits)


def test_partitions_checks_and_runs_keep_their_state(instance: dg.DagsterInstance, warehouse: Warehouse) -> None:
    run_partition(instance, "2019-02-01")
    run_partition(instance, "2019-02-02")
    run_partition(instance, "2019-02-02")
    run_partition(instance, BAD)
    before, rows = everything_dagster_derives(instance, warehouse), log_rows(warehouse)
    assert before["materialized"] == ["2019-02-01", "2019-02-02"]
    assert before["failed"] == [BAD]
    age_everything(warehouse, 100)
    deleted = prune(warehouse, 90)
    assert everything_dagster_derives(instance, warehouse) == before
    after = log_rows(warehouse)
    assert deleted == sum(rows.values()) - sum(after.values()) > sum(rows.values()) / 2
    assert all(name.startswith(("ASSET_", "PIPELINE_")) for name in after)
    assert prune(warehouse, 90) == 0


def test_young_events_and_those_of_unfinished_runs_stay(
    instance: dg.DagsterInstance, warehouse: Warehouse, make_database: Callable[[], str]
) -> None:
    run_partition(instance, "2019-02-01")
    young = log_rows(warehouse)
    assert prune(warehouse, 90) == 0
    age_everything(warehouse, 100)
    with psycopg.connect(warehouse.url) as conn:
        conn.execute("UPDATE dagster.runs SET status = 'STARTED'")
    assert prune(warehouse, 90) == 0
    assert log_rows(warehouse) == young


def test_a_call_deletes_a_bounded_number(instance: dg.DagsterInstance, warehouse: Warehouse) -> None:
    run_partition(instance, "2019-02-01")
    age_everything(warehouse, 100)
    assert prune(warehouse, 90, batch_rows=2, max_rows=5) == 5
    assert prune(warehouse, 90, batch_rows=2) == 5


def test_without_dagsters_tables_there_is_nothing_to_do(warehouse: Warehouse) -> None:
    assert prune(warehouse, 90) == 0
