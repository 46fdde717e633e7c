"""The repository's own dagster.yaml on a real Postgres, and what an instance needs besides it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import yaml
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_postgres.event_log import PostgresEventLogStorage
from sqlalchemy import Engine, event

from market_platform.defs import storage
from market_platform.defs.assets.layers import Results, Step
from market_platform.defs.assets.results import Made, layer_result
from market_platform.defs.event_log import BatchedEventLog
from market_platform.defs.housekeeping import delete_compute_logs, prune_job
from market_platform.defs.instance import STEPS_AT_ONCE, configure_instance, exchange_pools
from market_platform.defs.orphans import code_server_start, command_tags, fail_killed_commands, fail_orphaned_runs
from market_platform.defs.partitions import partition_dates
from market_platform.defs.policies import Policies
from market_platform.defs.resources import PLATFORM, resources
from market_platform.embedded.services import child_environment
from market_platform.settings import load_settings
from market_platform.starlistings import configured_pairs
from market_platform.warehouse.engine import create_warehouse
from market_platform_tests.fixtures.defs_world import dagster_environment, dagster_on_postgres
from market_platform_tests.recordings import PROJECT_ROOT


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dagster_on_postgres(load_settings(_env_file=None, market_data_dir=tmp_path), database_url) as made:
        yield made


def query(database_url: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(text.encode()).fetchall()


def test_an_event_is_stored_and_announced_through_the_real_dagster_yaml(
    instance: dg.DagsterInstance, database_url: str
) -> None:
    """SQLAlchemy must use psycopg2: what dagster-postgres sends for NOTIFY is refused through psycopg 3."""
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute("LISTEN run_events")
        instance.report_runless_asset_event(
            dg.AssetMaterialization(["dukascopy", "EURUSD", "ticks"], partition="2024-03-04")
        )
        announced = list(listener.notifies(timeout=10, stop_after=1))
    assert len(announced) == 1
    [(schema, rows)] = query(
        database_url,
        "SELECT (SELECT table_schema FROM information_schema.tables WHERE table_name = 'event_logs'), count(*) FROM dagster.event_logs",
    )
    assert (schema, rows) == ("dagster", 1)
    assert query(database_url, "SELECT to_regclass('public.event_logs')") == [(None,)]


def test_the_instance_is_what_the_file_says(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 4
    assert list(queue.tag_concurrency_limits or []) == [{"key": "dagster/backfill", "limit": 3}]
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries == 2
    assert instance.run_retries_retry_on_asset_or_op_failure is False
    assert instance.telemetry_enabled is False
    assert instance.nux_enabled is False


def test_every_value_of_the_file_has_its_reason() -> None:
    lines = (PROJECT_ROOT / "dagster.yaml").read_text().splitlines()
    document = yaml.safe_load("\n".join(lines))
    for section in document:
        start = next(number for number, line in enumerate(lines) if line.startswith(f"{section}:"))
        block = [line for line in lines[start : start + 40] if line.strip()]
        end = next(
            (n for n, line in enumerate(block[1:], 1) if not line.startswith(" ") and not line.startswith("#")), 40
        )
        assert any("#" in line for line in block[:end]), section


def test_kept_connections_survive_a_server_that_drops_them(
    instance: dg.DagsterInstance, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "IDLE_S", 0.0)  # as if the process had been idle since
    event = dg.AssetMaterialization(["a", "b"])
    instance.report_runless_asset_event(event)
    ended = query(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert ended, "a connection is kept"
    instance.report_runless_asset_event(event)
    assert query(database_url, "SELECT count(*) FROM dagster.event_logs") == [(2,)]


def test_an_instance_gives_its_connections_back(database_url: str, tmp_path: Path) -> None:
    with dagster_on_postgres(load_settings(_env_file=None, market_data_dir=tmp_path), database_url) as made:
        made.report_runless_asset_event(dg.AssetMaterialization(["a"]))
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert query(database_url, open_ones) == [(0,)]


def test_pools_get_a_limit_and_a_chosen_one_stays(instance: dg.DagsterInstance) -> None:
    assert configure_instance(instance, exchange_pools(["dukascopy"])) == [
        f"pool dukascopy: {STEPS_AT_ONCE} steps at once"
    ]
    assert configure_instance(instance, exchange_pools(["dukascopy"])) == []
    instance.event_log_storage.set_concurrency_slots("dukascopy", 1)
    assert configure_instance(instance, exchange_pools(["dukascopy", "other"])) == ["pool other: 2 steps at once"]
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert limits == {"dukascopy": 1, "other": 2}


def test_setup_prepares_the_instance_of_the_environment(database_url: str, tmp_path: Path) -> None:
    settings = load_settings(_env_file=None, market_data_dir=tmp_path)
    settings.dagster_home.mkdir(parents=True)
    (settings.dagster_home / "dagster.yaml").symlink_to(PROJECT_ROOT / "dagster.yaml")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "market_platform.defs.setup"],
        cwd=PROJECT_ROOT,
        env=child_environment(settings, database_url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    exchanges = sorted({pair.exchange for pair in configured_pairs(settings)})
    assert {"binance", "dukascopy"} < set(exchanges)
    told = "".join(f"pool {each}: 2 steps at once\n" for each in exchanges)
    assert (done.returncode, done.stdout) == (0, told), done.stderr
    limits = 'SELECT concurrency_key, "limit" FROM dagster.concurrency_limits ORDER BY 1'
    assert query(database_url, limits) == [(each, 2) for each in exchanges]


def test_the_workspace_finds_the_code_server_by_environment(tmp_path: Path) -> None:
    settings = load_settings(_env_file=None, market_data_dir=tmp_path, code_location_port=4999)
    with dagster_environment(settings, "postgresql://u:p@127.0.0.1:5432/market"):
        [origin] = WorkspaceFileTarget([str(PROJECT_ROOT / "workspace.yaml")]).create_origins()
    assert origin.location_name == "market_platform"
    assert (getattr(origin, "host", None), getattr(origin, "port", None)) == ("127.0.0.1", 4999)


# ---------------------------------------------------------------------------------------------------------------- orphans


@dg.op
def nothing() -> None:
    """A step, so that there is a job."""


@dg.job
def some_job() -> None:
    nothing()


def started_run(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    """A run that a code server launched and that never ended."""
    run = instance.create_run_for_job(some_job, tags=tags, status=dg.DagsterRunStatus.STARTING)
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name), run_id=run.run_id
    )
    return run.run_id


def test_runs_of_an_earlier_code_server_are_failed_and_others_left_alone(instance: dg.DagsterInstance) -> None:
    launched = {".dagster/grpc_info": '{"host": "127.0.0.1", "port": 4266}'}
    ours = started_run(instance, launched)
    direct = started_run(instance, {"market/trigger": "direct"})
    before = datetime.now(UTC) - timedelta(minutes=5)
    assert fail_orphaned_runs(instance, before) == [], "launched by the code server that runs now"
    later = datetime.now(UTC) + timedelta(minutes=5)
    assert fail_orphaned_runs(instance, later) == [ours]
    statuses = {run_id: instance.get_run_by_id(run_id) for run_id in (ours, direct)}
    assert {run_id: run.status for run_id, run in statuses.items() if run} == {
        ours: dg.DagsterRunStatus.FAILURE,
        direct: dg.DagsterRunStatus.STARTED,
    }
    assert fail_orphaned_runs(instance, later) == []


def test_an_orphan_is_started_again_by_dagster(instance: dg.DagsterInstance) -> None:
    """Its tag says so: the daemon retries runs whose process died, not those whose steps failed."""
    run_id = started_run(instance, {".dagster/grpc_info": "{}"})
    fail_orphaned_runs(instance, datetime.now(UTC) + timedelta(minutes=5))
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags["dagster/will_retry"] == "true"


def killed_process() -> str:
    """What the tag says of a command that is no more."""
    code = "from market_platform.defs.orphans import command_tags; print(command_tags()['market/process'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_runs_of_killed_commands_are_failed_and_give_back_their_places(instance: dg.DagsterInstance) -> None:
    dead = {**command_tags(), "market/process": killed_process()}
    killed, living = started_run(instance, dead), started_run(instance, command_tags())
    elsewhere = started_run(instance, {**dead, "market/process": "another-machine 1 1@0"})
    unknown = started_run(instance, {"market/trigger": "direct"})
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("binance")
    for run_id in (killed, living):
        assert storage.claim_concurrency_slot("binance", run_id, "history").is_claimed
    assert not storage.claim_concurrency_slot("binance", "another run", "history").is_claimed
    assert fail_killed_commands(instance) == [killed]
    assert storage.get_concurrency_info("binance").active_run_ids == {living}
    runs = {run_id: instance.get_run_by_id(run_id) for run_id in (killed, living, elsewhere, unknown)}
    started = dg.DagsterRunStatus.STARTED
    assert [run.status for run in runs.values() if run] == [dg.DagsterRunStatus.FAILURE, started, started, started]
    run = runs[killed]
    assert run is not None
    assert run.tags.get("dagster/will_retry") != "true", "Dagster can't start a command again"
    assert fail_killed_commands(instance) == []


def test_the_code_server_started_before_now() -> None:
    assert code_server_start() <= datetime.now(UTC)


# ----------------------------------------------------------------------------------------------------------- housekeeping


def test_pruning_keeps_what_partitions_are_judged_by(instance: dg.DagsterInstance, database_url: str) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization(["dukascopy", "EURUSD", "ticks"], partition="2024-03-04")
    )
    job = prune_job(90)
    opened = resources(
        lambda: pytest.fail("the platform is not needed"), lambda: create_warehouse(database_url, pool_size=1)
    )
    first = job.execute_in_process(instance=instance, resources=opened, op_selection=["prune_event_log"])
    assert first.success
    query_old = "SELECT count(*) FROM dagster.event_logs WHERE timestamp < now() - interval '90 days'"
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE dagster.event_logs SET timestamp = timestamp - interval '200 days'")
    before = query(database_url, query_old)[0][0]
    second = job.execute_in_process(instance=instance, resources=opened, op_selection=["prune_event_log"])
    assert second.success
    after = query(database_url, query_old)[0][0]
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert 0 < after < before
    partitions = dg.DailyPartitionsDefinition("2024-03-01")
    key = dg.AssetKey(["dukascopy", "EURUSD", "ticks"])
    states = instance.get_status_by_partition(key, ["2024-03-04"], partitions) or {}
    assert [state.value for state in states.values() if state] == ["MATERIALIZED"]


def test_what_streams_leave_behind_is_pruned(instance: dg.DagsterInstance, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO dead_letters (received_at, exchange, channel, reason, payload)"
            " SELECT now() - age, 'binance', 'spot-1', 'not JSON', '{'"
            " FROM unnest(ARRAY[interval '1 day', interval '31 days']) AS age"
        )
    opened = resources(
        lambda: pytest.fail("the platform is not needed"), lambda: create_warehouse(database_url, pool_size=1)
    )
    assert (
        prune_job(90)
        .execute_in_process(instance=instance, resources=opened, op_selection=["prune_stream_records"])
        .success
    )
    assert query(database_url, "SELECT count(*) FROM dead_letters") == [(1,)]


def test_old_compute_logs_go_and_new_ones_stay(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = some_job.execute_in_process(instance=instance)
    folder = tmp_path / "dagster" / "storage" / run.run_id
    assert list(folder.rglob("*.err")), "what the step printed is kept"
    now = datetime.now(UTC)
    assert delete_compute_logs(instance, now - timedelta(days=1)) == 0
    assert folder.exists()
    assert delete_compute_logs(instance, now + timedelta(days=1)) == 1
    assert not folder.exists()


# ---------------------------------------------------------------------------------------------------------------- storage


def stored_events(instance: dg.DagsterInstance, database_url: str) -> list[list[tuple[object, ...]]]:
    """What a run over two days of two assets plans and does, as the tables have it (without times and ids)."""

    @dg.multi_asset(
        specs=[dg.AssetSpec("one", skippable=True), dg.AssetSpec("two", skippable=True, deps=["one"])],
        check_specs=[dg.AssetCheckSpec("fine", asset="one")],
        partitions_def=dg.DailyPartitionsDefinition("2024-03-01"),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(31),
    )
    def both() -> Iterator[dg.MaterializeResult[None]]:
        fine = dg.AssetCheckResult(passed=True, check_name="fine")
        yield dg.MaterializeResult("one", metadata={"rows": 1}, check_results=[fine])
        yield dg.MaterializeResult("two", metadata={"rows": 2}, data_version=dg.DataVersion("v2"))

    job = dg.Definitions(assets=[both]).resolve_implicit_global_asset_job_def()
    tags = {"dagster/asset_partition_range_start": "2024-03-04", "dagster/asset_partition_range_end": "2024-03-05"}
    run_id = "00000000-0000-0000-0000-000000000001"
    assert job.execute_in_process(instance=instance, tags=tags, run_id=run_id).success
    message = "event::json->>'user_message'"
    metadata = "event::json->'dagster_event'->'event_specific_data'->'materialization'->'metadata_entries'->0->'entry_data'->>'value'"
    return [
        query(
            database_url,
            f"SELECT run_id, dagster_event_type, step_key, asset_key, partition, {message}, {metadata}"
            " FROM dagster.event_logs WHERE asset_key IS NOT NULL OR dagster_event_type LIKE 'ASSET_%'"
            " ORDER BY dagster_event_type, asset_key, partition, 6",
        ),
        query(
            database_url,
            "SELECT asset_key, last_run_id, last_materialization::json->'event_log_entry'->>'user_message'"
            " FROM dagster.asset_keys ORDER BY 1",
        ),
        query(
            database_url,
            "SELECT asset_key, check_name, partition, run_id, execution_status, evaluation_event::json->>'user_message',"
            " evaluation_event_timestamp IS NULL, evaluation_event_storage_id IN (SELECT id FROM dagster.event_logs)"
            " FROM dagster.asset_check_executions ORDER BY 1, 2, 3",
        ),
        query(
            database_url,
            "SELECT t.asset_key, l.partition, key, value FROM dagster.asset_event_tags t JOIN dagster.event_logs l ON l.id = event_id"
            " WHERE key NOT LIKE '%pointer%' ORDER BY 1, 2, 3",
        ),
    ]


def test_events_stored_together_are_what_dagster_stores_one_by_one(
    make_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for batch in ("500", "0"):
        database_url = make_database()
        settings = load_settings(_env_file=None, market_data_dir=tmp_path / batch)
        with dagster_on_postgres(settings, database_url, DAGSTER_EVENT_BATCH_SIZE=batch) as instance:
            found.append(stored_events(instance, database_url))
        theirs = PostgresEventLogStorage._store_asset_check_evaluation_planned
        monkeypatch.setattr(BatchedEventLog, "_store_asset_check_evaluation_planned", theirs)
    together, one_by_one = found
    assert [len(rows) for rows in together] == [2 * 2 * 2 + 2, 2, 3, 4]
    assert together == one_by_one


def test_a_run_over_more_days_takes_no_more_statements_and_tells_each_day(instance: dg.DagsterInstance) -> None:
    key = dg.AssetKey("counted")

    def work(context: dg.AssetExecutionContext) -> Results:
        days = partition_dates(context)
        made = [Made(day, {"day": dg.MetadataValue.int(day.day)}, str(day)) for day in days]
        yield layer_result(context, key, made)

    spec = dg.AssetSpec(key, partitions_def=dg.DailyPartitionsDefinition("2024-03-01"))
    step = Step([spec], work, PLATFORM).as_assets(Policies.standard(99))
    nothing = {PLATFORM: dg.ResourceDefinition.none_resource()}
    job = dg.Definitions(assets=[step], resources=nothing).resolve_implicit_global_asset_job_def()

    def statements(first: str, last: str) -> int:
        seen: list[str] = []

        def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(Engine, "before_cursor_execute", count)
        try:
            tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
            assert job.execute_in_process(instance=instance, tags=tags).success
        finally:
            event.remove(Engine, "before_cursor_execute", count)
        return len(seen)

    statements("2024-03-01", "2024-03-02")  # what is asked once is asked
    assert statements("2024-03-03", "2024-03-04") == statements("2024-03-05", "2024-04-20")
    records = instance.fetch_materializations(key, limit=100).records
    told = {
        each.partition_key: each.asset_materialization.metadata["day"].value
        for each in records
        if each.asset_materialization
    }
    assert len(told) == 2 + 2 + 47
    assert all(day is not None and date.fromisoformat(day).day == value for day, value in told.items())
