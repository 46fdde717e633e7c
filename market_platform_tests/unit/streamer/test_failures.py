"""Retry and fatal told apart, in one function."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import Close
from websockets.http11 import Response

from streamer.connections.failures import RefusedError, SilentError, StaleError, StreamEndedError, judge
from streamer.sink import IntakeStoppedError


def refused(status: int, **headers: str) -> InvalidStatus:
    given = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return InvalidStatus(Response(status, "", given, b""))


def closed(code: int | None, reason: str = "") -> ConnectionClosedError:
    return ConnectionClosedError(None if code is None else Close(code, reason), None)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "refused"),
        ConnectionResetError(104, "reset"),
        socket.gaierror(-3, "Temporary failure in name resolution"),
        TimeoutError(),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        InvalidHandshake("half an answer"),
        refused(500),
        refused(503),
        closed(None),
        closed(1001, "going away"),
        closed(1006),
        closed(1011),
        closed(1012),
        SilentError("silent for 60 s"),
        StaleError("btcusdt@trade"),
        StreamEndedError("ended"),
    ],
)
def test_what_may_pass_is_tried_again_soon(error: Exception) -> None:
    verdict = judge(error)
    assert not verdict.fatal
    assert verdict.wait_s == 0
    assert verdict.text


@pytest.mark.parametrize(
    "error",
    [
        refused(401),
        refused(403),
        refused(404),
        refused(451),
        refused(418),
        RefusedError(401, {}, "Insufficient authorization"),
        ssl.SSLCertVerificationError(1, "self-signed certificate"),
        InvalidURI("http//", "no scheme"),
        httpx.UnsupportedProtocol("no scheme"),
    ],
)
def test_what_needs_a_person_waits_long_and_alarms(error: Exception) -> None:
    verdict = judge(error)
    assert verdict.fatal
    assert verdict.wait_s >= 300


def test_the_exchange_s_own_wish_counts() -> None:
    assert judge(refused(429, Retry_After="7")).wait_s == 7
    assert judge(refused(429)).wait_s == 30
    assert judge(refused(418, Retry_After="120")).wait_s == 120
    assert judge(refused(503, Retry_After="2")).wait_s == 2
    assert judge(refused(429, Retry_After="soon")).wait_s == 30
    assert judge(refused(429, Retry_After="1000000")).wait_s == 3600


def test_a_broken_rule_is_not_broken_again_at_once() -> None:
    verdict = judge(closed(1008, "Too many requests"))
    assert (verdict.fatal, verdict.wait_s) == (False, 30)
    assert "Too many requests" in verdict.text


def test_a_full_disk_and_a_bug_are_not_the_exchange_s_fault() -> None:
    assert judge(IntakeStoppedError("full")).ours
    verdict = judge(KeyError("x"))
    assert verdict.ours
    assert "KeyError" in verdict.text
