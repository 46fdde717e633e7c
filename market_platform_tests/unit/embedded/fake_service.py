"""A service to supervise: answers HTTP on a port and behaves as badly as its options say. Standard library only."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _note(pids: Path, name: str) -> None:
    with (pids / name).open("a") as file:
        file.write(f"{os.getpid()}\n")


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pids", type=Path, required=True)
    parser.add_argument("--stubborn", action="store_true", help="ignore SIGTERM")
    parser.add_argument("--orphan", action="store_true", help="leave a stubborn grandchild in a session of its own")
    parser.add_argument("--worker", action="store_true", help="have a child, which ends on SIGTERM and says so")
    parser.add_argument("--fail", action="store_true", help="end at once")
    options = parser.parse_args()
    _note(options.pids, options.name)
    if options.fail:
        sys.exit("no luck today")
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.orphan and os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            _note(options.pids, f"{options.name}-orphan")
            while True:
                time.sleep(60)
        os._exit(0)
    if options.worker and os.fork() == 0:
        signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"worker was told\n"), os._exit(0)))
        _note(options.pids, f"{options.name}-worker")
        while True:
            time.sleep(60)
    server = HTTPServer(("127.0.0.1", options.port), _Answer)
    server.serve_forever()


if __name__ == "__main__":
    main()
