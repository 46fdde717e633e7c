"""Counts requests and carries faults out. Belongs here: that, as pure ASGI. Does not: rules, routes, bodies."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import Coroutine, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from market_platform.replay import bi5
from market_platform.replay.faults import FaultBook, FaultKind, FaultRule

MAX_PATHS = 20_000
OTHER_PATHS = "(other paths)"
EMPTY_FLAG = "replay.empty"
WRONG_TYPES_FLAG = "replay.wrong_types"
ARCHIVE_FLAG = "replay.archive"
"""Holds which of the archive's own faults it is."""
_WISHES: dict[FaultKind, tuple[str, object]] = {
    FaultKind.EMPTY: (EMPTY_FLAG, True),
    FaultKind.WRONG_TYPES: (WRONG_TYPES_FLAG, True),
    **{kind: (ARCHIVE_FLAG, kind) for kind in (FaultKind.REISSUED, FaultKind.WRONG_CHECKSUM, FaultKind.CUT_ZIP)},
}
"""Faults that the application itself carries out, and how it is told of them."""
_ARRAY = re.compile(rb'":\[(\]?)')
_REFUSALS = {429: "too many requests", 418: "banned for too many requests", 503: "service unavailable"}
GARBAGE = b"\x00\xffthis is neither JSON nor bi5\xfe<html>"


class RequestLog:
    """How often each path was asked for, with which answers, and how many requests were under way at once.

    What a client does to the server itself (`/_faults`, `/_requests`, `/healthz`) is not counted.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what was counted; requests under way stay so."""
        self.paths: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.in_flight = getattr(self, "in_flight", 0)
        self.max_in_flight = self.in_flight

    def began(self, path: str) -> None:
        """A request arrived."""
        self.paths[path if path in self.paths or len(self.paths) < MAX_PATHS else OTHER_PATHS] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def ended(self, outcome: str) -> None:
        """It was answered with that status, or `no answer`."""
        self.statuses[outcome] += 1
        self.in_flight -= 1

    def as_json(self) -> dict[str, Any]:
        """What `GET /_requests` shows."""
        return {
            "total": self.paths.total(),
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "statuses": dict(sorted(self.statuses.items())),
            "paths": dict(self.paths.most_common()),
        }


class FaultsMiddleware:
    """Around the application: counts each request, and lets the first rule it meets spoil it."""

    def __init__(self, app: ASGIApp, *, faults: FaultBook, log: RequestLog) -> None:
        self._app = app
        self._faults = faults
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(("/_", "/healthz")):
            await self._app(scope, receive, send)
            return
        query = scope["query_string"].decode("latin-1")
        self._log.began(full := f"{path}?{query}" if query else path)
        outcome = "no answer"

        async def noting(message: Message) -> None:
            nonlocal outcome
            if message["type"] == "http.response.start":
                outcome = str(message["status"])
            await send(message)

        try:
            rule = self._faults.take(full)
            if rule is None:
                await self._app(scope, receive, noting)
            else:
                await self._spoil(rule, scope, receive, noting)
        finally:
            self._log.ended(outcome)

    async def _spoil(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        match rule.kind:
            case FaultKind.SLOW:
                await _stopping(scope, rule.seconds)
                await self._app(scope, receive, send)
            case FaultKind.TOO_MANY | FaultKind.UNAVAILABLE | FaultKind.BANNED:
                status = int(rule.kind)
                headers = {} if rule.seconds is None else {"retry-after": f"{rule.seconds:g}"}
                await PlainTextResponse(_REFUSALS[status], status, headers)(scope, receive, send)
            case FaultKind.ACCEPTED:
                await Response(b"", 202)(scope, receive, send)
            case FaultKind.GARBAGE:
                await Response(GARBAGE, 200, media_type=_media_type(scope))(scope, receive, send)
            case kind if kind in _WISHES:
                await self._app(_flagged(scope, *_WISHES[kind]), receive, send)
            case FaultKind.TRUNCATE:
                await self._app(scope, receive, _Truncated(scope, receive, send))
            case FaultKind.HANG:
                await _either(_disconnected(receive), _stopping(scope, rule.seconds))
                _transport(scope).abort()
                await _disconnected(receive)
            case FaultKind.RESET:
                await _reset(scope, receive)


class _Truncated:
    """A `send` that announces the whole body, passes half of it on, and closes the connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send(message)
            return
        body: bytes = message.get("body", b"")
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        _transport(self._scope).close()
        await _disconnected(self._receive)


def spoil_types(body: bytes, media_type: str) -> bytes:
    """The same body with wrong types: arrays of numbers become arrays of words, bi5 rows lose a byte."""
    if media_type == "application/json":
        return _ARRAY.sub(lambda array: b'":["seven",null' + (b"]" if array[1] else b","), body)
    return bi5.compress(bytes(range(1, 40)))


def _flagged(scope: Scope, flag: str, value: object) -> Scope:
    """The scope with a wish for the application."""
    state: MutableMapping[str, Any] = {**scope.get("state", {}), flag: value}
    return {**scope, "state": state}


def _media_type(scope: Scope) -> str:
    return "application/octet-stream" if scope["path"].endswith(".bi5") else "application/json"


def _transport(scope: Scope) -> asyncio.Transport:
    """The connection itself, which server.py's protocol puts into the state."""
    transport = scope["state"].get("transport")
    assert isinstance(transport, asyncio.Transport), "faults of the connection need the replay exchange's own server"
    return transport


async def _stopping(scope: Scope, seconds: float | None) -> None:
    """Return after so many seconds, or at once when the server is asked to stop."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await (scope["state"].get("stopping") or asyncio.Event()).wait()


async def _either(*waits: Coroutine[Any, Any, None]) -> None:
    """Return when the first of them does; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reset(scope: Scope, receive: Receive) -> None:
    """Close with unsent data thrown away and no waiting, which the other side sees as a reset."""
    transport = _transport(scope)
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _disconnected(receive)
