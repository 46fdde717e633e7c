"""What is counted of HTTP requests.

Belongs here: names, meanings, and which path a request is counted under. Does not: serving them (routes.py).
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Scope

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """The measurements, registered in `registry`. `path` is a route's template, so there are few of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "market_http_requests", "Requests answered", ["method", "path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "market_http_request_seconds",
            "From a request's head to the end of its answer",
            ["path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._bytes = Counter("market_http_response_bytes", "Bytes of answers' bodies", ["path"], registry=registry)
        self._kept: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter]] = {}

    def answered(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        """A request was answered, or (status 0) its client went away before."""
        key = (scope["method"], _path(scope), status)
        children = self._kept.get(key)
        if children is None:
            method = key[0] if key[0] in _METHODS else "other"
            children = (
                self._requests.labels(method, key[1], str(status)),
                self._seconds.labels(key[1]),
                self._bytes.labels(key[1]),
            )
            if method != "other":
                self._kept[key] = children
        requests, took, sent = children
        requests.inc()
        took.observe(seconds)
        sent.inc(size)


def _path(scope: Scope) -> str:
    fast: str | None = scope.get("fast_path")
    if fast is not None:
        return fast
    route: Any = scope.get("route")
    return str(getattr(route, "path", "other"))
