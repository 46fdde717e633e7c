"""Questions that tell whether a service is ready. Each answers within two seconds and never raises.

Belongs here: the questions. Does not: when to ask them.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT_S = 2.0
_LOCATIONS = (
    "{workspaceOrError{__typename ... on Workspace{locationEntries{loadStatus locationOrLoadError{__typename}}}}}"
)
_LOAD_ERRORS = "{workspaceOrError{... on Workspace{locationEntries{locationOrLoadError{... on PythonError{message causes{message}}}}}}}"
_DAEMONS = "{instance{daemonHealth{allDaemonStatuses{required lastHeartbeatTime}}}}"


def tcp_open(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_S):
            return True
    except OSError:
        return False


def http_ok(url: str) -> bool:
    """Whether a GET is answered with 200."""
    return _ask(urllib.request.Request(url)) is not None  # noqa: S310 - our own http:// addresses


def dagster_locations_load(url: str) -> bool:
    """Whether the Dagster UI answers and has loaded every code location (or says why it can't: then it is up, too)."""
    workspace = _graphql(url, _LOCATIONS).get("workspaceOrError", {})
    entries = workspace.get("locationEntries") or []
    return bool(entries) and all(
        entry["loadStatus"] == "LOADED"
        and (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
        for entry in entries
    )


def dagster_load_error(url: str) -> str | None:
    """Why the Dagster UI could not load a code location, in one line; None while it does not answer or all is well."""
    workspace = _graphql(url, _LOAD_ERRORS).get("workspaceOrError") or {}
    for entry in workspace.get("locationEntries") or []:
        error = entry.get("locationOrLoadError") or {}
        if "message" in error:
            told = [error["message"], *(each["message"] for each in error.get("causes") or [])]
            lines = [text.strip().splitlines()[0] for text in reversed(told) if text and text.strip()]
            return str(lines[0]) if lines else "no reason given"
    return None


def dagster_daemon_beats(url: str, age_s: float) -> bool:
    """Whether the Dagster UI at `url` has heard from a daemon that was started `age_s` seconds ago."""
    health = (_graphql(url, _DAEMONS).get("instance") or {}).get("daemonHealth") or {}
    beats = [
        float(each["lastHeartbeatTime"] or 0) for each in health.get("allDaemonStatuses") or [] if each["required"]
    ]
    return any(beat >= time.time() - age_s for beat in beats)


def _graphql(url: str, query: str) -> dict[str, Any]:
    body = _ask(
        urllib.request.Request(  # noqa: S310 - our own http:// addresses
            f"{url}/graphql", data=json.dumps({"query": query}).encode(), headers={"Content-Type": "application/json"}
        )
    )
    with contextlib.suppress(ValueError, AttributeError):
        data = json.loads(body or b"{}").get("data")
        return data if isinstance(data, dict) else {}
    return {}


def _ask(request: urllib.request.Request) -> bytes | None:
    """The body of a 200, else None."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # localhost is never behind the user's proxy
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return bytes(answer.read()) if answer.status == 200 else None
    except (OSError, urllib.error.URLError, ValueError):
        return None
