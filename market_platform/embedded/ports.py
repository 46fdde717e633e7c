"""TCP ports: whether we could listen on one, and who does.

Belongs here: asking. Does not: which ports we need (services.py), what to tell the user (preflight.py).
"""

from __future__ import annotations

import errno
import socket
import time

import psutil

_PASSING_S = 4.0


def why_not_free(host: str, port: int) -> str | None:
    """None when we could listen there, else the reason: `address already in use; postgres (pid 4711) has it`.

    A port on which nobody listens, but which some outgoing connection happens to use at its own end, is waited for.
    """
    deadline = time.monotonic() + _PASSING_S
    while True:
        reason, passing = _try(host, port)
        if not passing or time.monotonic() > deadline:
            return reason
        time.sleep(0.1)


def _try(host: str, port: int) -> tuple[str | None, bool]:
    """The reason, and whether it may pass by itself in a moment."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno != errno.EADDRINUSE:
            return reason, False
        who = listener(port)
        return f"{reason}; {who or 'an outgoing connection'} has it", who is None
    return None, False


def listener(port: int) -> str | None:
    """Who listens on a TCP port: `postgres (pid 4711)`, `another user's program`; None when nobody does."""
    found = None
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if getattr(connection.laddr, "port", None) != port or connection.status != psutil.CONN_LISTEN:
                continue
            if connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            found = "another user's program"
    except (psutil.Error, OSError):
        return found or "another program"
    return found
