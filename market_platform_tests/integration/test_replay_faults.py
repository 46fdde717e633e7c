"""Every fault over real HTTP, as a client meets it, and that it ends when its times are over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from market_platform.replay.generator import GeneratorSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.unit.replay.conftest import clock
from market_platform_tests.unit.replay.wire import bi5_candles, bi5_ticks, json_candles, json_ticks, ms, unpack

JSON = "/v1/ticks/EUR-USD/2024/7/3/10"
FILE = "/datafeed/EURUSD/2024/06/03/10h_ticks.bi5"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(7, clock)) as replay:
        yield replay


@pytest.fixture
def replay(running: RunningReplay) -> Iterator[RunningReplay]:
    yield running
    running.faults.clear()


@pytest.fixture
def client(replay: RunningReplay) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{replay.url}/dukascopy", timeout=10) as made:
        yield made


def is_good(client: httpx.Client) -> bool:
    """Whether both transports answer as they should."""
    answer, file = client.get(JSON), client.get(FILE)
    ticks = json_ticks(answer.content)
    return answer.status_code == 200 and bool(ticks) and ticks == bi5_ticks(file.content, ms(2024, 7, 3, 10))


def test_slow_answers_late_and_right(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "slow", seconds=0.4)
    began = time.monotonic()
    assert json_ticks(client.get(JSON).content)
    assert time.monotonic() - began >= 0.4
    assert is_good(client)


def test_429_says_when_to_come_back(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "429", times=2, seconds=3)
    for _ in range(2):
        answer = client.get(JSON)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert is_good(client)


def test_503_comes_with_and_without_retry_after(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "503")
    replay.fail("ticks", "503", seconds=0.5)
    first, second = client.get(FILE), client.get(FILE)
    assert (first.status_code, second.status_code) == (503, 503)
    assert "retry-after" not in first.headers
    assert second.headers["retry-after"] == "0.5"
    assert is_good(client)


@pytest.mark.parametrize("path", [JSON, FILE])
def test_truncate_announces_more_than_it_sends(replay: RunningReplay, client: httpx.Client, path: str) -> None:
    whole = len(client.get(path).content)
    replay.fail("ticks", "truncate")
    received = b""
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):  # noqa: SIM117, PT012
        with client.stream("GET", path) as answer:
            assert (answer.status_code, answer.headers["content-length"]) == (200, str(whole))
            for part in answer.iter_raw():
                received += part
    assert len(received) == whole // 2
    assert is_good(client)


def test_202_has_no_body(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "accepted_202_empty")
    answer = client.get(JSON)
    assert (answer.status_code, answer.content) == (202, b"")
    assert is_good(client)


def test_an_hour_is_empty_once_and_full_the_next_time(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "empty_once", times=2)
    answer = client.get(JSON)
    assert (answer.status_code, json_ticks(answer.content)) == (200, [])
    assert json.loads(answer.content)["timestamp"] == ms(2024, 7, 3, 10)
    file = client.get(FILE)
    assert (file.status_code, file.content) == (200, b"")
    assert is_good(client)


def test_candles_are_empty_once_too(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("candles", "empty_once", times=2)
    paths = ("/v1/candles/minute/EUR-USD/BID/2024/7/3", "/datafeed/EURUSD/2024/06/03/BID_candles_min_1.bi5")
    assert json_candles(client.get(paths[0]).content) == []
    assert bi5_candles(client.get(paths[1]).content, 0) == []
    assert json_candles(client.get(paths[0]).content)
    assert bi5_candles(client.get(paths[1]).content, 0)


def test_garbage_is_neither_json_nor_bi5(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "garbage", times=2)
    answer, file = client.get(JSON), client.get(FILE)
    assert (answer.status_code, file.status_code) == (200, 200)
    with pytest.raises(ValueError, match="decode"):
        json.loads(answer.content)
    assert file.content[:1] != b"\x5d"
    assert is_good(client)


def test_wrong_types_are_well_formed_and_wrong(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks|instruments", "wrong_types", times=4)
    assert json.loads(client.get(JSON).content)["times"][:2] == ["seven", None]
    assert json.loads(client.get("/v1/ticks/EUR-USD/2024/7/6/10").content)["asks"] == ["seven", None]
    assert json.loads(client.get("/v1/instruments/EUR-USD").content)["holidays"][0] == "seven"
    assert len(unpack(client.get(FILE).content)) % 20
    assert is_good(client)


def test_hang_never_answers(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "hang", times=2)
    with pytest.raises(httpx.ReadTimeout):
        client.get(JSON, timeout=0.3)
    with pytest.raises(httpx.ReadTimeout):
        client.get(FILE, timeout=0.3)
    assert is_good(client)


def test_hang_ends_after_its_seconds_by_closing(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "hang", seconds=0.2)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get(JSON)
    assert is_good(client)


def test_reset_breaks_the_connection(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("ticks", "reset")
    with pytest.raises(httpx.ReadError, match="reset"):
        client.get(JSON)
    assert is_good(client)
    statuses = client.get(f"{replay.url}/_requests").json()["statuses"]
    assert statuses["no answer"] >= 1


def test_rules_are_made_seen_and_taken_back_over_http(replay: RunningReplay, client: httpx.Client) -> None:
    url = f"{replay.url}/_faults"
    made = client.post(url, json=[{"match": "EUR-USD", "kind": 503, "times": 3}, {"kind": "slow", "seconds": 0}])
    assert made.status_code == 201
    assert client.get(JSON).status_code == 503
    assert client.get("/v1/ticks/GBP-USD/2024/7/3/10").status_code == 200
    assert [(rule["kind"], rule["hits"], rule["left"]) for rule in client.get(url).json()["rules"]] == [
        ("503", 1, 2),
        ("slow", 1, 0),
    ]
    assert client.delete(url).json() == {"rules": []}
    assert is_good(client)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "rules must be JSON"),
        (b'{"kind": "teapot"}', "rule 1: kind must be one of slow, 429, 503, truncate"),
        (b'[{"kind": "slow"}, {"kind": "slow", "match": "["}]', "rule 2: match '[' is no regular expression"),
        (b'{"kind": "slow", "times": -2}', "times must be a whole number of at least 1"),
    ],
)
def test_a_wrong_rule_is_422_with_the_reason_and_changes_nothing(
    replay: RunningReplay, client: httpx.Client, body: bytes, message: str
) -> None:
    answer = client.post(f"{replay.url}/_faults", content=body)
    assert answer.status_code == 422
    assert message in answer.json()["error"]
    assert replay.faults.rules == []


def test_a_rule_matches_the_query_too_and_never_the_controls(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail(r"from=\d+$", "429")
    replay.fail("_requests|healthz", "503")
    assert client.get("/v1/ticks/EUR-USD", params={"from": ms(2024, 7, 3, 10)}).status_code == 429
    assert client.get(f"{replay.url}/_requests").status_code == 200
    assert client.get(f"{replay.url}/healthz").status_code == 200
