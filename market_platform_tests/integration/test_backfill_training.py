"""A backfill for training goes through a Dagster that keeps training data where the command does, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from market_platform.commands.dagster_api import TRAINING_SCHEDULE, BackfillRefusedError, DagsterApi
from market_platform.commands.databases import describe_to_runs
from market_platform.defs.assets.layers import layer_key
from market_platform.defs.build import accept_beta, build_defs
from market_platform.defs.jobs import database_name
from market_platform.defs.names import DATABASE_TAG, TRAINING
from market_platform.defs.partitions import range_tags
from market_platform.defs.policies import Policies
from market_platform.defs.schedules import HISTORY_YESTERDAY
from market_platform.domain.databases import DATABASES, Database
from market_platform.embedded.databases import sync_database
from market_platform.replay.testing import running_replay
from market_platform.settings import Settings, get_settings
from market_platform.starlistings import configured_pairs
from market_platform.warehouse.urls import shown_url
from market_platform_tests.fixtures.export_commands import Run, command_line
from market_platform_tests.fixtures.history_world import past_world
from market_platform_tests.fixtures.two_databases import TwoDatabases, row_counts


class _Webserver(BaseHTTPRequestHandler):
    """As much of Dagster's GraphQL as a launch needs: its schedules, before a reload and after it; every asset is known."""

    schedules: ClassVar[list[list[str]]]
    launched: ClassVar[list[dict[str, Any]]]

    def do_POST(self) -> None:
        query = self.rfile.read(int(self.headers["content-length"])).decode()
        asked = json.loads(query)["variables"]
        if "reloadRepositoryLocation" in query:
            self.schedules.pop(0)
            data: object = {"reloadRepositoryLocation": {"__typename": "WorkspaceLocationEntry"}}
        elif "launchPartitionBackfill" in query:
            self.launched.append(asked["params"])
            data = {"launchPartitionBackfill": {"__typename": "LaunchBackfillSuccess", "backfillId": "b1"}}
        elif "assetNodes" in query:
            data = {"assetNodes": [{"assetKey": key} for key in asked["keys"]]}
        else:
            named = [{"name": name} for name in self.schedules[0]]
            data = {"repositoriesOrError": {"nodes": [{"schedules": named}]}}
        body = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep the tests' output quiet."""


@pytest.fixture
def api() -> Iterator[DagsterApi]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Webserver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        api = DagsterApi(f"http://127.0.0.1:{server.server_port}")
        _Webserver.launched = []
        try:
            yield api
        finally:
            api.close()
            server.shutdown()
            thread.join()


def test_the_schedule_is_the_one_that_dagster_has() -> None:
    assert database_name(HISTORY_YESTERDAY, TRAINING) == TRAINING_SCHEDULE


@pytest.mark.parametrize("own", [True, False])
def test_settings_that_agree_pass(api: DagsterApi, own: bool) -> None:
    _Webserver.schedules = [[TRAINING_SCHEDULE] if own else [HISTORY_YESTERDAY]]
    api.require_training(own=own)


def test_a_training_database_that_was_set_since_the_start_is_found_by_a_reload(api: DagsterApi) -> None:
    _Webserver.schedules = [[], [TRAINING_SCHEDULE]]
    api.require_training(own=True)


@pytest.mark.parametrize("own", [True, False])
def test_settings_that_differ_launch_nothing(api: DagsterApi, own: bool) -> None:
    _Webserver.schedules = [[] if own else [TRAINING_SCHEDULE]] * 2
    with pytest.raises(BackfillRefusedError, match="nothing was launched"):
        api.require_training(own=own)


@pytest.fixture
def two(make_database: Callable[[], str], tmp_path: Path) -> TwoDatabases:
    """Both, synced."""
    made = TwoDatabases(make_database(), make_database(), tmp_path)
    made.sync()
    return made


@pytest.fixture
def run(
    api: DagsterApi,
    two: TwoDatabases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Command lines whose Dagster is the scripted one."""
    monkeypatch.setenv("DAGSTER_PORT", api.url.rpartition(":")[2])
    monkeypatch.setenv("TRAINING_DATABASE_URL", two.training_url or "")
    monkeypatch.setenv("STARLISTINGS_FILE", str(tmp_path / "realtime.yaml"))
    monkeypatch.setenv("TRAINING_STARS_FILE", str(tmp_path / "training.yaml"))
    yield command_line(two.realtime_url, tmp_path, monkeypatch, capsys)
    get_settings.cache_clear()


NOWHERE = "postgresql://nobody@127.0.0.1:9/nowhere"
BACKFILL = (
    "backfill",
    "binance/BTCUSDT",
    "--from",
    "2026-11-16",
    "--to",
    "2026-11-16",
    "--intervals",
    "1h",
    "--no-wait",
)


def test_a_launch_says_which_database_it_means_when_it_can_be_asked(
    run: Run, two: TwoDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Webserver.schedules = [[TRAINING_SCHEDULE]]
    assert run(*BACKFILL, "--database", "training")[0] == 0
    assert run(*BACKFILL)[0] == 0
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    assert run(*BACKFILL)[0] == 0
    launched = [{each["key"]: each["value"] for each in one["tags"]} for one in _Webserver.launched]
    assert [tags.get(DATABASE_TAG) for tags in launched] == [
        describe_to_runs(two.settings, "training"),
        describe_to_runs(two.settings, "realtime"),
        None,
    ]


@pytest.mark.parametrize("database", DATABASES)
def test_nothing_is_launched_for_a_database_that_is_the_other_one(
    run: Run, two: TwoDatabases, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    _Webserver.schedules = [[TRAINING_SCHEDULE]]
    monkeypatch.setenv("DATABASE_URL", two.training_url or "")
    monkeypatch.setenv("TRAINING_DATABASE_URL", two.realtime_url)
    code, _, said = run(*BACKFILL, "--database", database)
    assert (code, _Webserver.launched) == (1, [])
    assert f"was opened as the {database} one" in said


def test_nothing_is_launched_for_a_training_database_that_does_not_answer(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Webserver.schedules = [[TRAINING_SCHEDULE]]
    monkeypatch.setenv("TRAINING_DATABASE_URL", NOWHERE)
    code, _, said = run(*BACKFILL, "--database", "training")
    assert (code, _Webserver.launched) == (1, [])
    assert "127.0.0.1:9/nowhere can't be used" in said


def materialise(settings: Settings, database: Database, described: str | None) -> tuple[bool, str]:
    """What Dagster does with a launched day, by its own settings: whether it succeeded, and the failure."""
    accept_beta()
    pairs = [each for each in configured_pairs(settings) if (each.database, each.symbol) == (database, "BTCUSDT")]
    definitions = build_defs(pairs, settings, policies=Policies.standard(31, retry_delay_s=0))
    day = date(2026, 11, 16)
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[layer_key(pairs[0], "history_candles_1h")],
            tags={**range_tags(day, day), DATABASE_TAG: described or ""},
            raise_on_error=False,
        )
        failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
        restarts = [event for event in result.all_events if event.is_step_up_for_retry]
    assert not restarts, "a retry can't help"
    told = [data.user_failure_data.description or "" for data in failures if data.user_failure_data]
    return result.success, "".join(told)


@pytest.mark.slow
@pytest.mark.parametrize("database", DATABASES)
def test_a_run_writes_to_the_database_that_the_command_meant_and_to_no_other(
    two: TwoDatabases, make_database: Callable[[], str], database: Database
) -> None:
    elsewhere = make_database()
    urls = {"realtime": two.realtime_url, "training": two.training_url or ""}
    shell = two.with_urls(*(urls | {database: elsewhere}).values())
    sync_database(shell, database)
    with running_replay(world=past_world()) as exchange:
        dagster = two.with_urls(*urls.values(), **exchange.live_urls)
        exchange.log.clear()
        before = (two.contents(), row_counts(elsewhere))
        success, failure = materialise(dagster, database, describe_to_runs(shell, database))
        assert not success
        assert f"launched for the database at {shown_url(elsewhere)}" in failure
        assert f"another one, at {shown_url(urls[database])}, so nothing was written" in failure
        assert ("TRAINING_DATABASE_URL" in failure) == (database == "training")
        assert (two.contents(), row_counts(elsewhere)) == before
        assert not exchange.log.paths, "nothing is fetched for it"
        assert materialise(dagster, database, describe_to_runs(two.settings, database)) == (True, "")
        assert exchange.log.paths
    assert {name: each["candles"] for name, each in two.contents().items()} == {
        **dict.fromkeys(DATABASES, 0),
        database: 24,
    }


def describe(settings: Settings) -> str:
    """The training database."""
    return describe_to_runs(settings, "training") or ""


def test_a_database_is_known_by_any_address_and_its_copy_is_another(two: TwoDatabases, postgres_url: str) -> None:
    url = two.training_url or ""
    name = urlsplit(url).path.lstrip("/")
    same = two.with_urls(two.realtime_url, url.replace("127.0.0.1", "localhost"))
    identity = describe(two.settings).partition(" ")[0]
    assert describe(same).partition(" ")[0] == identity
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(f"{name}_copy"), sql.Identifier(name))
        )
    try:
        copy = two.with_urls(two.realtime_url, f"{url}_copy")
        assert describe(copy).partition(" ")[0] != identity
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(f"{name}_copy")))
