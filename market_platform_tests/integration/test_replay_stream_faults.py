"""Each fault of a stream does what faults.py says it does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from market_platform.domain.errors import BadPayloadError
from market_platform.exchanges.binance.parse import parse
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.live_replay import RECEIVE_S, listen, made_world, read_until

NAME = "btcusdt@aggTrade"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningReplay]:
    with running_replay(world=made_world()) as replay:
        yield replay


@pytest.fixture
def replay(running: RunningReplay) -> Iterator[RunningReplay]:
    yield running
    running.faults.clear()


@pytest.fixture
def socket(replay: RunningReplay) -> Iterator[ClientConnection]:
    url = f"{replay.live_url('binance_spot_stream')}/stream?streams={NAME}"
    with listen(url) as made:
        made.recv(RECEIVE_S)
        yield made


def ids(messages: list[bytes]) -> list[int]:
    return [orjson.loads(message)["data"]["a"] for message in messages]


def end_of(socket: ClientConnection) -> tuple[int | None, list[bytes]]:
    """The code that the connection was closed with (None: none was sent, which is 1006), and the messages before it."""
    got: list[bytes] = []
    while True:
        try:
            got += read_until(socket, any)
        except ConnectionClosed as error:
            return (None if error.rcvd is None else error.rcvd.code), got


@pytest.mark.parametrize(("kind", "code"), [("drop", None), ("close_1006", None), ("cut", 1000)])
def test_a_connection_ends(replay: RunningReplay, socket: ClientConnection, kind: str, code: int | None) -> None:
    replay.fail(NAME, kind)
    assert end_of(socket)[0] == code
    assert replay.faults.rules[0].hits == 1


def test_a_shutdown_is_announced_before_the_cut(replay: RunningReplay, socket: ClientConnection) -> None:
    replay.fail(NAME, "server_shutdown", seconds=0.3)
    code, got = end_of(socket)
    said = [orjson.loads(message) for message in got]
    notices = [number for number, message in enumerate(said) if message["stream"] == "!serverShutdown"]
    assert code == 1000
    assert len(notices) == 1
    assert said[notices[0]]["data"]["e"] == "serverShutdown"
    assert any(message["stream"] == NAME for message in said[notices[0] :]), "it goes on until the cut"
    assert [event.kind for event in parse(got[notices[0]])] == ["shutdown"]  # type: ignore[union-attr]


def test_a_half_open_connection_says_nothing_and_hears_nothing(replay: RunningReplay, socket: ClientConnection) -> None:
    replay.fail(NAME, "half_open", seconds=1.5)
    silent = threading.Event()
    pong = None
    while not silent.is_set():
        try:
            socket.recv(0.5)
        except TimeoutError:
            silent.set()
            pong = socket.ping()
    assert pong is not None
    assert end_of(socket) == (None, [])
    assert socket.latency == 0, "no pong ever came"


def test_a_ping_is_not_answered_while_the_stream_goes_on(replay: RunningReplay, socket: ClientConnection) -> None:
    assert socket.ping().wait(RECEIVE_S)
    replay.fail(NAME, "ping_timeout", seconds=3.0)
    while not replay.faults.rules[0].hits:
        socket.recv(RECEIVE_S)
    pong = socket.ping()
    got = [read_until(socket, any)[0] for _ in range(5)]
    assert not pong.is_set()
    assert len(got) == 5
    while not pong.wait(0.01):
        socket.recv(RECEIVE_S)


def test_delayed_messages_come_all_at_once_and_none_is_lost(replay: RunningReplay, socket: ClientConnection) -> None:
    before = ids([read_until(socket, any)[0]])
    replay.fail(NAME, "delay", seconds=0.7)
    got = before + ids(read_until(socket, lambda messages: len(messages) >= 300))
    assert all(later == earlier + 1 for earlier, later in pairwise(got))
    assert replay.faults.rules[0].hits == 1


def test_messages_are_doubled_swapped_and_left_out(replay: RunningReplay, socket: ClientConnection) -> None:
    for kind, times in (("duplicate", 2), ("reorder", 2), ("hole", 5)):
        replay.faults.clear()
        before = ids(read_until(socket, any))
        replay.fail(NAME, kind, times=times)
        got = before + ids(read_until(socket, lambda messages: len(messages) >= 60))
        steps = [later - earlier for earlier, later in pairwise(got)]
        if kind == "duplicate":
            assert steps.count(0) == 2
        elif kind == "reorder":
            assert sorted(got) == list(range(min(got), min(got) + len(got)))
            assert min(steps) < 0
        else:
            assert 6 in steps
        assert replay.faults.rules[0].hits == times


def test_a_corrupt_message_does_not_parse_and_the_next_one_does(
    replay: RunningReplay, socket: ClientConnection
) -> None:
    replay.fail(NAME, "corrupt", times=3)
    good = bad = 0
    while good < 20 or bad < 3:
        try:
            good += len(parse(read_until(socket, any)[0]))
        except BadPayloadError:
            bad += 1
    assert bad == 3


def test_a_rule_names_one_stream_of_many(replay: RunningReplay) -> None:
    url = f"{replay.live_url('binance_spot_stream')}/stream?streams={NAME}/ethusdt@aggTrade"
    replay.fail("ethusdt", "hole", times=100_000)
    with listen(url) as socket:
        got = read_until(socket, lambda messages: len(messages) >= 60)
    assert {orjson.loads(message)["stream"] for message in got} == {NAME}


def test_a_handshake_is_refused(replay: RunningReplay) -> None:
    httpx.post(f"{replay.url}/_faults", json={"match": "/binance/spot/ws", "kind": "refuse", "status": 429, "times": 1})
    url = f"{replay.live_url('binance_spot_stream')}/ws/{NAME}"
    with pytest.raises(InvalidStatus) as refused:
        connect(url)
    assert refused.value.response.status_code == 429
    with listen(url) as again:
        assert parse(read_until(again, any)[0])


def test_rest_is_refused_with_429_and_418(replay: RunningReplay) -> None:
    replay.fail("api/v3/time", "418", seconds=7)
    replay.fail("api/v3/time", "429", seconds=2)
    with httpx.Client(base_url=replay.live_url("binance_spot_rest")) as client:
        answers = [client.get("/api/v3/time") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [418, 429, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == ["7", "2", None]
    assert replay.log.statuses["418"] == 1


def test_what_a_rule_may_say_is_checked(replay: RunningReplay) -> None:
    for wrong in ({"kind": "refuse", "status": 200}, {"kind": "nonsense"}, {"kind": "drop", "seconds": -1}):
        answer = httpx.post(f"{replay.url}/_faults", json=wrong)
        assert answer.status_code == 422, wrong
