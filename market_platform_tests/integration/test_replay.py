"""The replay exchange over real HTTP: what a client of Dukascopy's hosts would meet."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from market_platform.replay.generator import GeneratorSource
from market_platform.replay.recordings import RecordingsSource
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.recordings import needs_recordings, recordings_dir
from market_platform_tests.unit.replay.conftest import clock
from market_platform_tests.unit.replay.wire import bi5_ticks, candles_of, json_candles, json_ticks, ms


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(GeneratorSource(7, clock)) as running:
        yield running


@pytest.fixture(scope="module")
def client(replay: RunningReplay) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{replay.url}/dukascopy", timeout=30) as made:
        yield made


def test_a_day_of_ticks_arrives_on_both_transports_and_makes_the_exchanges_candles(client: httpx.Client) -> None:
    ticks = []
    for hour in range(24):
        answer = client.get(f"/v1/ticks/AUD-USD/2024/7/3/{hour}")
        file = client.get(f"/datafeed/AUDUSD/2024/06/03/{hour:02d}h_ticks.bi5")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert (file.status_code, file.headers["content-type"]) == (200, "application/octet-stream")
        assert json_ticks(answer.content) == bi5_ticks(file.content, ms(2024, 7, 3, hour))
        ticks += json_ticks(answer.content)
    for side in ("BID", "ASK"):
        candles = client.get(f"/v1/candles/minute/AUD-USD/{side}/2024/7/3").content
        assert json_candles(candles) == candles_of(ticks, side, 60_000)


def test_an_empty_hour_is_an_answer_without_ticks(client: httpx.Client) -> None:
    saturday = client.get("/v1/ticks/EUR-USD/2024/7/6/10")
    assert saturday.status_code == 200
    assert json_ticks(saturday.content) == []
    file = client.get("/datafeed/EURUSD/2024/06/06/10h_ticks.bi5")
    assert (file.status_code, file.content, file.headers["content-length"]) == (200, b"", "0")


def test_an_unfinished_period_is_asked_for_by_its_beginning(client: httpx.Client) -> None:
    day = client.get("/v1/candles/minute/EUR-USD/BID", params={"from": ms(2026, 11, 19)})
    assert day.content == client.get("/v1/candles/minute/EUR-USD/BID/2026/11/19").content
    assert client.get("/v1/ticks/EUR-USD", params={"from": "soon"}).status_code == 400
    assert client.get("/v1/ticks/EUR-USD", params={"from": ms(2026, 11, 19) + 1}).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v1/ticks/FOO-USD/2024/7/3/10",
        "/v1/instruments/FOO-USD",
        "/v1/ticks/EUR-USD/2024/07/3/10",
        "/v1/ticks/EUR-USD/2024/7/32/10",
        "/v1/nothing",
        "/datafeed/FOOUSD/2024/06/03/10h_ticks.bi5",
        "/datafeed/EURUSD/2024/12/03/10h_ticks.bi5",
        "/datafeed/EURUSD/2024/06/03/10h_ticks.csv",
    ],
)
def test_what_the_exchange_does_not_know_is_404_and_says_so(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"].endswith(f"/dukascopy{path}")


def test_instruments_are_listed_and_described(client: httpx.Client) -> None:
    listed = client.get("/v1/instruments").json()["instruments"]
    assert len(listed) == 12
    for row in listed:
        described = client.get(f"/v1/instruments/{row['code']}").json()
        assert (described["code"], described["priceScale"]) == (row["code"], row["priceScale"])


def test_requests_are_counted_by_path_and_by_how_many_were_under_way(replay: RunningReplay) -> None:
    httpx.delete(f"{replay.url}/_requests")
    replay.fail("ticks/NZD-USD", "slow", times=4, seconds=0.5)
    urls = [f"{replay.json_url}/ticks/NZD-USD/2024/7/3/{hour}" for hour in (1, 2, 3, 3)] + [
        f"{replay.json_url}/nothing"
    ]
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda url: httpx.get(url, timeout=30).status_code, urls))
    assert statuses == [200, 200, 200, 200, 404]
    counted = httpx.get(f"{replay.url}/_requests").json()
    assert counted["total"] == 5
    assert counted["max_in_flight"] == 4
    assert counted["in_flight"] == 0
    assert counted["statuses"] == {"200": 4, "404": 1}
    assert counted["paths"]["/dukascopy/v1/ticks/NZD-USD/2024/7/3/3"] == 2
    assert httpx.delete(f"{replay.url}/_requests").json()["total"] == 0


def test_health_says_what_is_served(replay: RunningReplay) -> None:
    health = httpx.get(f"{replay.url}/healthz").json()
    assert (health["status"], health["source"]) == ("ok", "generator, seed 7")
    assert (health["live"]["seed"], health["live"]["speed"]) == (7, 1.0)


def test_answers_on_a_kept_connection_do_not_wait_for_each_other(client: httpx.Client) -> None:
    client.get("/v1/instruments")
    fastest = min(client.get("/v1/instruments").elapsed.total_seconds() for _ in range(50))
    assert fastest < 0.03  # 0.04 would be a delayed ACK


@needs_recordings
def test_recordings_are_served_as_they_are() -> None:
    root = recordings_dir() / "dukascopy"
    with running_replay(RecordingsSource(recordings_dir(), clock)) as replay, httpx.Client(timeout=30) as client:
        for path in (
            "EURUSD/2019/01/04/09h_ticks.bi5",
            "EURUSD/2019/BID_candles_day_1.bi5",
            "GBPJPY/2012/11/01/00h_ticks.bi5",
        ):
            assert client.get(f"{replay.bi5_url}/{path}").content == (root / path).read_bytes()
        recorded = (root / "json_api" / "ticks-BTC-USD-2023-2-20-12.json").read_bytes()
        assert client.get(f"{replay.json_url}/ticks/BTC-USD/2023/2/20/12").content == recorded


def test_a_broken_recording_is_an_error_that_names_it(tmp_path: Path) -> None:
    hour = tmp_path / "dukascopy" / "EURUSD" / "2024" / "00" / "02"
    hour.mkdir(parents=True)
    (hour / "03h_ticks.bi5").write_bytes(b"no bi5")
    with running_replay(RecordingsSource(tmp_path, clock)) as replay:
        answer = httpx.get(f"{replay.json_url}/ticks/EUR-USD/2024/1/2/3")
        assert answer.status_code == 500
        assert "EURUSD/2024/00/02/03h_ticks.bi5" in answer.json()["error"]
        assert httpx.get(f"{replay.bi5_url}/EURUSD/2024/00/02/03h_ticks.bi5").content == b"no bi5"
