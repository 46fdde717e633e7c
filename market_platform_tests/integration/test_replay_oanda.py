"""The replay exchange's OANDA: lines, heartbeats, candles, weekends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.events import Control, Quote
from market_platform.exchanges.oanda.wire import parse_candles, parse_instruments, parse_line, time_ms
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, clock_from, running_replay
from market_platform_tests.fixtures.live_replay import RECEIVE_S, WEDNESDAY, made_world

HEADERS = {"authorization": "Bearer any"}
STREAM = "/v3/accounts/101/pricing/stream"
UTC_DAYS = {"dailyAlignment": "0", "alignmentTimezone": "UTC", "weeklyAlignment": "Monday"}


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=made_world(1)) as running:
        yield running


@pytest.fixture
def client(replay: RunningReplay) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=replay.live_url("oanda_rest"), headers=HEADERS, timeout=RECEIVE_S) as made:
        yield made


def lines(client: httpx.Client, count: int, instruments: str = "EUR_USD") -> list[str]:
    """The first lines of a stream."""
    got: list[str] = []
    with client.stream("GET", STREAM, params={"instruments": instruments}) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            got.append(line)
            if len(got) == count:
                break
    return got


def test_quotes_are_ticks_of_the_market_at_most_four_a_second(replay: RunningReplay, client: httpx.Client) -> None:
    got = [event for line in lines(client, 25) for event in parse_line(line)]
    quotes = [event for event in got if isinstance(event, Quote)]
    assert {type(event) for event in got} == {Quote, Control}
    times = [quote.time_ms or 0 for quote in quotes]
    assert times == sorted(set(times))
    assert len(times) <= 2 + (times[-1] - times[0]) // 200
    rows = replay.truth.candles("oanda", "EUR_USD", "1m", times[0] // 60_000 * 60_000, times[-1] + 1)
    assert rows
    for quote in quotes:
        row = next(row for row in rows if row["time"] <= (quote.time_ms or 0) < row["end"])
        assert float(row["low"]) - 1e-5 <= float(quote.bid + quote.ask) / 2 <= float(row["high"]) + 1e-5


def test_a_closed_market_beats_and_quotes_nothing() -> None:
    saturday = datetime(2026, 11, 21, 12, tzinfo=UTC)
    world = World(7, ExchangeClock(1, clock_from(saturday)))
    with running_replay(world=world) as replay, httpx.Client(base_url=replay.live_url("oanda_rest")) as client:
        client.headers.update(HEADERS)
        snapshot, beat = lines(client, 2)
        assert orjson.loads(snapshot)["tradeable"] is False
        assert parse_line(snapshot) == ()
        (heartbeat,) = parse_line(beat)
        assert isinstance(heartbeat, Control)
        assert heartbeat == Control("heartbeat", time_ms=time_ms(orjson.loads(beat)["time"], "heartbeat"))
        day = {"granularity": "M1", "from": "2026-11-21T00:00:00Z", "count": "500"}
        assert client.get("/v3/instruments/EUR_USD/candles", params=day).json()["candles"] == []


@pytest.mark.parametrize(
    ("granularity", "interval", "count"), [("M1", "1m", 90), ("H4", "4h", 9), ("D", "1d", 12), ("W", "1w", 3)]
)
def test_complete_candles_are_those_that_happened(
    replay: RunningReplay, client: httpx.Client, granularity: str, interval: str, count: int
) -> None:
    asked = {"granularity": granularity, "count": str(count), "price": "M", **UTC_DAYS}
    body = client.get("/v3/instruments/USD_JPY/candles", params=asked).content
    complete, forming = parse_candles(body, "USD_JPY", granularity, interval)
    assert len(complete) + len(forming) == count
    rows = replay.truth.candles("oanda", "USD_JPY", interval, complete[0].open_ms, complete[-1].end_ms)
    told = [(each.open_ms, str(each.open), str(each.high), str(each.low), str(each.close)) for each in complete]
    assert told == [(row["time"], row["open"], row["high"], row["low"], row["close"]) for row in rows]
    assert [each.num_trades for each in complete] == [row["num_trades"] for row in rows]


def test_pages_go_on_where_the_last_one_ended(client: httpx.Client) -> None:
    path, asked = "/v3/instruments/EUR_USD/candles", {"granularity": "M1", "price": "M"}
    start = "2026-11-18T09:00:00.000000000Z"
    whole = client.get(path, params={**asked, "from": start, "to": "2026-11-18T13:00:00Z"}).json()["candles"]
    pages: list[dict[str, Any]] = []
    cursor, first = start, "true"
    while len(pages) < len(whole):
        more = {**asked, "from": cursor, "count": "100", "includeFirst": first}
        page = client.get(path, params=more).json()["candles"]
        pages += [candle for candle in page if not pages or candle["time"] > pages[-1]["time"]]
        cursor = pages[-1]["time"]
    assert pages[: len(whole)] == whole
    assert whole[0]["time"] == start


def test_days_begin_at_five_in_new_york_unless_told_otherwise(client: httpx.Client) -> None:
    path = "/v3/instruments/EUR_USD/candles"
    usual = client.get(path, params={"granularity": "D", "count": "5"}).json()["candles"]
    assert {candle["time"][11:19] for candle in usual} == {"22:00:00"}
    weeks = client.get(path, params={"granularity": "W", "count": "3"}).json()["candles"]
    assert {datetime.fromisoformat(candle["time"][:19]).weekday() for candle in weeks} == {4}
    months = client.get(path, params={"granularity": "M", "count": "2", **UTC_DAYS}).json()["candles"]
    assert [candle["time"][8:19] for candle in months] == ["01T00:00:00"] * 2
    assert [candle["complete"] for candle in months] == [True, False]


def test_the_same_seed_answers_the_same_after_a_restart() -> None:
    bodies = []
    for _ in range(2):
        with running_replay(world=made_world(1)) as replay:
            asked = {"granularity": "M5", "from": "2026-11-16T00:00:00Z", "to": "2026-11-18T00:00:00Z", "price": "MBA"}
            url = f"{replay.live_url('oanda_rest')}/v3/instruments/EUR_JPY/candles"
            bodies.append(httpx.get(url, params=asked, headers=HEADERS).content)
    assert bodies[0] == bodies[1]
    assert len(bodies[0]) > 50_000


def test_prices_and_instruments_are_told(replay: RunningReplay, client: httpx.Client) -> None:
    body = client.get("/v3/accounts/101/instruments").content
    assert {"EUR_USD", "USD_JPY", "XAU_USD"} <= parse_instruments(body)
    prices = client.get("/v3/accounts/101/pricing", params={"instruments": "EUR_USD,XAU_USD"}).json()["prices"]
    assert [price["instrument"] for price in prices] == ["EUR_USD", "XAU_USD"]
    assert replay.world.clock.now_ms() >= to_ms(WEDNESDAY)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v3/instruments/FOO_BAR/candles", 400),
        ("/v3/instruments/EUR_USD/candles?granularity=M7", 400),
        ("/v3/instruments/EUR_USD/candles?granularity=M1&count=5001", 400),
        ("/v3/instruments/EUR_USD/candles?granularity=M1&from=2026-11-18T09:00:00Z&to=2036-11-18T09:00:00Z", 400),
        ("/v3/instruments/EUR_USD/candles?granularity=M1&from=soon", 400),
        (f"{STREAM}?instruments=FOO_BAR", 400),
    ],
)
def test_wrong_requests_are_refused_with_a_message(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.json()["errorMessage"]


def test_nobody_is_served_without_a_token(replay: RunningReplay) -> None:
    assert httpx.get(f"{replay.live_url('oanda_rest')}/v3/accounts/1/instruments").status_code == 401


@pytest.mark.parametrize("kind", ["drop", "close_1006", "half_open"])
def test_a_stream_breaks(replay: RunningReplay, client: httpx.Client, kind: str) -> None:
    replay.fail("GBP_USD", kind, seconds=0.3)
    with pytest.raises(httpx.TransportError):
        lines(client, 100, "GBP_USD")
    assert replay.faults.rules[-1].hits == 1


def test_a_stream_is_cut_in_good_order(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("AUD_USD", "cut")
    assert len(lines(client, 100, "AUD_USD")) < 100


def test_a_stream_is_refused(replay: RunningReplay, client: httpx.Client) -> None:
    replay.fail("NZD_USD", "refuse")
    assert client.get(STREAM, params={"instruments": "NZD_USD"}).status_code == 503
