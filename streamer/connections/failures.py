"""What the end of a connection means: try again soon, or is it no use before somebody does something?

Belongs here: that judgement, in one function. Does not: delays that grow (backoff.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException

from streamer.sink import IntakeStoppedError

_HOPELESS_S = 300.0
_POLITE_S = 30.0
_LONGEST_S = 3_600.0


class StreamEndedError(Exception):
    """The exchange ended a stream of lines without saying why."""


class SilentError(Exception):
    """A connection said nothing for so long that it counts as dead."""


class StaleError(Exception):
    """Subscriptions say nothing though their connection lives, even after subscribing again."""


class RefusedError(Exception):
    """A stream over HTTP was answered with something else than 200."""

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        super().__init__(f"HTTP {status}: {text[:200]}" if text else f"HTTP {status}")
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fatal`: the same attempt will fail again until a person acts, so wait long and raise an alarm with `text`.

    `wait_s` is the least to wait before the next attempt. `ours` is False when the exchange is to blame.
    """

    text: str
    fatal: bool = False
    wait_s: float = 0.0
    ours: bool = False


def judge(error: BaseException) -> Verdict:  # noqa: C901, PLR0911 - one case after the other, nothing else
    """What to do after `error` ended a connection, or an attempt at one."""
    if isinstance(error, InvalidStatus):
        body = bytes(error.response.body or b"").decode("utf-8", "replace").strip()
        return _status(error.response.status_code, error.response.headers, body)
    if isinstance(error, RefusedError):
        return _status(error.status, error.headers, str(error))
    if isinstance(error, ConnectionClosed):
        return _closed(error)
    if isinstance(error, IntakeStoppedError):
        return Verdict("the journal takes nothing more, so reading has stopped", ours=True)
    if isinstance(error, SilentError | StaleError | StreamEndedError):
        return Verdict(str(error))
    if isinstance(error, ssl.SSLCertVerificationError):
        return Verdict(f"its certificate is not to be trusted: {error}", fatal=True, wait_s=_HOPELESS_S)
    if isinstance(error, InvalidURI | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return Verdict(f"its address is wrong: {error}", fatal=True, wait_s=_HOPELESS_S)
    if isinstance(error, socket.gaierror):
        return Verdict(f"its name can't be looked up: {error.strerror}")
    if isinstance(error, asyncio.TimeoutError | httpx.TimeoutException):
        return Verdict("no answer in time")
    if isinstance(error, OSError | httpx.HTTPError | InvalidHandshake | WebSocketException | EOFError):
        return Verdict(str(error) or type(error).__name__)
    return Verdict(f"a fault of ours: {type(error).__name__}: {error}", wait_s=_POLITE_S, ours=True)


def _status(status: int, headers: Mapping[str, str], text: str) -> Verdict:
    text = f"HTTP {status}" + (f": {text[:200]}" if text and not text.startswith("HTTP") else text[8:] if text else "")
    asked = _retry_after(headers)
    if status == 429:
        return Verdict(f"too many requests ({text})", wait_s=_POLITE_S if asked is None else asked)
    if status == 418:
        wait_s = _HOPELESS_S if asked is None else asked
        return Verdict(f"this address is banned for a while ({text})", fatal=True, wait_s=wait_s)
    if status in (401, 403):
        return Verdict(
            f"it refuses us ({text}); check the key and the account", fatal=True, wait_s=asked or _HOPELESS_S
        )
    if status == 451:
        return Verdict(f"it serves nobody from here ({text})", fatal=True, wait_s=_HOPELESS_S)
    if 400 <= status < 500:
        return Verdict(f"it does not understand us ({text}); check its address", fatal=True, wait_s=_HOPELESS_S)
    return Verdict(f"it has troubles of its own ({text})", wait_s=asked or 0.0)


def _closed(error: ConnectionClosed) -> Verdict:
    if error.rcvd is None:
        return Verdict("cut without a word (1006)" if error.sent is None else f"closed by us: {error.sent}")
    code, reason = (
        error.rcvd.code,
        f"closed with {error.rcvd.code}{f' {error.rcvd.reason}' if error.rcvd.reason else ''}",
    )
    if code == 1008:
        return Verdict(f"{reason}: we broke a rule of its", wait_s=_POLITE_S)
    if code in (1002, 1003, 1007, 1009, 1010):
        return Verdict(f"{reason}: it does not understand what we send", fatal=True, wait_s=_POLITE_S)
    return Verdict(reason, wait_s=_POLITE_S if code == 1013 else 0.0)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    with contextlib.suppress(KeyError, ValueError):
        return min(_LONGEST_S, max(0.0, float(headers["Retry-After"])))
    return None
