"""What the Dagster UI says of a code location, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from market_platform.embedded.probes import dagster_load_error

CAUSE = "market_platform.domain.errors.ConfigError: dukascopy/EURUSD: add 1d to its intervals\n"
OUTER = (
    "dagster._core.errors.DagsterUserCodeLoadError: Error occurred during the loading of Dagster definitions in\nx=y\n"
)


@contextmanager
def webserver(location: Any) -> Iterator[str]:
    """A server that answers every query with one code location in this state."""
    data = {"data": {"workspaceOrError": {"locationEntries": [{"locationOrLoadError": location}]}}}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(data).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_cause_of_a_location_that_does_not_load_is_one_line() -> None:
    with webserver({"message": OUTER, "causes": [{"message": CAUSE}]}) as url:
        assert dagster_load_error(url) == CAUSE.strip()
    with webserver({"message": OUTER, "causes": []}) as url:
        assert dagster_load_error(url) == OUTER.splitlines()[0]


def test_a_location_that_loads_or_is_still_loading_is_no_trouble() -> None:
    with webserver({}) as url:
        assert dagster_load_error(url) is None
    with webserver(None) as url:
        assert dagster_load_error(url) is None
    assert dagster_load_error("http://127.0.0.1:1") is None
