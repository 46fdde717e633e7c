"""A backfill for training goes through a Dagster that keeps training data where the command does, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from market_platform.commands.dagster_api import TRAINING_SCHEDULE, BackfillRefusedError, DagsterApi
from market_platform.defs.jobs import database_name
from market_platform.defs.names import TRAINING
from market_platform.defs.schedules import HISTORY_YESTERDAY


class _Webserver(BaseHTTPRequestHandler):
    """As much of Dagster's GraphQL as the question needs: its schedules, before a reload and after it."""

    schedules: ClassVar[list[list[str]]]

    def do_POST(self) -> None:
        query = self.rfile.read(int(self.headers["content-length"])).decode()
        if "reloadRepositoryLocation" in query:
            self.schedules.pop(0)
            data: object = {"reloadRepositoryLocation": {"__typename": "WorkspaceLocationEntry"}}
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
