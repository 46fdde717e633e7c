"""What happens around every request, as pure ASGI middleware: request id, security headers, metrics, access log, last resort.

Belongs here: what no resource should think of. Does not: what kinds of problem there are (problems.py).
"""

from __future__ import annotations

import itertools
import os
import re
from time import perf_counter

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_service.logs import REQUEST_ID
from api_service.problems import problem_response

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'"),
]
_QUIET = {"/livez", "/readyz", "/health", "/metrics"}


class RequestMiddleware:
    """Gives each request an id (the client's `X-Request-ID`, if it is a plain one), counts and logs it, and answers what nobody caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = structlog.get_logger()
        self._prefix = os.urandom(6).hex()
        self._count = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or f"{self._prefix}-{next(self._count)}"
        REQUEST_ID.set(request_id)
        headers = [(b"x-request-id", request_id.encode()), *_SECURITY]
        began = perf_counter()
        status, sent = 0, 0

        async def watch(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *headers]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            self._log.exception("request failed", path=scope["path"])
            if status:
                raise  # too late for another answer: the connection is cut, so that the client knows
            detail = f"{type(error).__name__}; the log of request {request_id} says more"
            await problem_response("internal_error", detail, scope["path"])(scope, receive, watch)
        finally:
            took = perf_counter() - began
            scope["state"]["requests"].answered(scope, status, sent, took)
            log = self._log.debug if scope["path"] in _QUIET and status == 200 else self._log.info
            log(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                bytes=sent,
                ms=round(took * 1000, 2),
                client=scope["client"][0] if scope.get("client") else None,
            )


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            given: str = value.decode()
            return given
    return None
