"""The replay exchange's Hyperliquid: what the stream says, what /info says and what happened are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from market_platform.domain.events import Candle, Control, Funding, OpenInterest, Trade
from market_platform.exchanges.hyperliquid.wire import parse_message, parse_meta, parse_snapshot
from market_platform.replay.live.limits import LiveLimits
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.live_replay import RECEIVE_S, listen, made_world, read_until

MINUTE = 60_000


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    limits = LiveLimits(hyperliquid_connects_per_minute=1000)
    with running_replay(world=made_world(), limits=limits) as running:
        yield running


@pytest.fixture
def socket(replay: RunningReplay) -> Iterator[ClientConnection]:
    with listen(replay.live_url("hyperliquid_stream")) as made:
        assert made.recv(RECEIVE_S) == "Websocket connection established."
        yield made


@pytest.fixture
def info(replay: RunningReplay) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=replay.live_url("hyperliquid_rest"), timeout=RECEIVE_S) as client:
        yield client


def subscribe(socket: ClientConnection, method: str = "subscribe", **subscription: str) -> None:
    socket.send(orjson.dumps({"method": method, "subscription": subscription}).decode())


def data_of(messages: list[bytes], channel: str) -> list[Any]:
    return [said["data"] for message in messages if (said := orjson.loads(message))["channel"] == channel]


def test_trades_are_those_that_happened_each_once_and_the_first_message_goes_back(
    replay: RunningReplay, socket: ClientConnection
) -> None:
    subscribe(socket, type="trades", coin="BTC")
    got = read_until(socket, lambda messages: len(messages) > 40)
    batches = data_of(got, "trades")
    trades = [trade for batch in batches for trade in batch]
    assert batches[0][-1]["time"] - batches[0][0]["time"] > 10_000
    assert trades[-1]["time"] > batches[0][-1]["time"]
    truth = replay.truth.trades("hyperliquid", "BTC", trades[0]["time"], trades[-1]["time"] + 1)
    told = [(trade["tid"], trade["px"], trade["sz"], trade["time"], trade["side"]) for trade in trades]
    happened = [
        (row["id"], row["price"], row["quantity"], row["time"], "B" if row["side"] == "buy" else "A") for row in truth
    ]
    start = happened.index(told[0])
    assert told == happened[start : start + len(told)]
    tids = [trade["tid"] for trade in trades]
    assert len(set(tids)) == len(tids)
    assert tids != sorted(tids)


def test_a_candle_never_says_that_it_is_closed_but_its_last_message_is_what_info_says(
    replay: RunningReplay, socket: ClientConnection, info: httpx.Client
) -> None:
    subscribe(socket, type="candle", coin="SOL", interval="1m")
    got = read_until(socket, lambda messages: len({each["t"] for each in data_of(messages, "candle")}) >= 4)
    last = {candle["t"]: candle for candle in data_of(got, "candle")}
    first_open, *opens = sorted(last)[:-1]
    wanted = {"coin": "SOL", "interval": "1m", "startTime": first_open, "endTime": opens[-1]}
    body = info.post("/info", json={"type": "candleSnapshot", "req": wanted}).content
    served = {candle["t"]: candle for candle in orjson.loads(body)}
    assert [last[each] for each in opens] == [served[each] for each in opens]
    assert len(parse_snapshot(body, "SOL", "1m")) == len(opens) + 1
    for row in replay.truth.candles("hyperliquid", "SOL", "1m", opens[0], opens[-1] + 1):
        candle = served[row["time"]]
        assert (row["open"], row["high"], row["low"], row["close"]) == tuple(candle[key] for key in "ohlc")
        assert (row["volume"], row["num_trades"]) == (candle["v"], candle["n"])


def test_everything_it_sends_is_understood(socket: ClientConnection) -> None:
    for coin in ("BTC", "ETH", "SOL"):
        subscribe(socket, type="trades", coin=coin)
        subscribe(socket, type="activeAssetCtx", coin=coin)
        subscribe(socket, type="candle", coin=coin, interval="1m")
        subscribe(socket, type="candle", coin=coin, interval="1d")
    socket.send('{"method":"ping"}')
    met: set[type] = set()
    for _ in range(400):
        met |= {type(event) for event in parse_message(read_until(socket, any)[0])}
    assert met == {Trade, Funding, OpenInterest, Candle, Control}


def test_a_ping_a_duplicate_and_nonsense_are_answered(socket: ClientConnection) -> None:
    socket.send('{"method":"ping"}')
    assert read_until(socket, any) == [b'{"channel":"pong"}']
    subscribe(socket, type="candle", coin="BTC", interval="1d")
    assert b"subscriptionResponse" in read_until(socket, any)[0]
    subscribe(socket, type="candle", coin="BTC", interval="1d")
    errors = data_of(read_until(socket, lambda got: bool(data_of(got, "error"))), "error")
    assert errors[0].startswith("Already subscribed")
    subscribe(socket, "unsubscribe", type="candle", coin="BTC", interval="1d")
    answers = read_until(socket, lambda got: bool(data_of(got, "subscriptionResponse")))
    assert data_of(answers, "subscriptionResponse")[0]["method"] == "unsubscribe"
    socket.send("nonsense")
    assert data_of(read_until(socket, any), "error")[0].startswith("Error parsing JSON")


@pytest.mark.parametrize(
    "wanted",
    [
        {"type": "trades", "coin": "btc"},
        {"type": "trades", "coin": "NOPE"},
        {"type": "candle", "coin": "BTC", "interval": "7m"},
    ],
)
def test_an_unknown_coin_or_interval_ends_the_connection_without_a_word(
    socket: ClientConnection, wanted: dict[str, str]
) -> None:
    subscribe(socket, type="candle", coin="BTC", interval="1d")
    read_until(socket, any)
    subscribe(socket, **wanted)
    with pytest.raises(ConnectionClosed) as closed:
        read_until(socket, lambda _: False)
    assert closed.value.rcvd is None


def test_a_connection_to_which_nothing_is_sent_is_closed() -> None:
    limits = LiveLimits(silent_s=0.4)
    with (
        running_replay(world=made_world(1), limits=limits) as replay,
        listen(replay.live_url("hyperliquid_stream")) as socket,
        pytest.raises(ConnectionClosed) as closed,
    ):
        read_until(socket, lambda _: False)
    assert closed.value.rcvd is not None


def test_one_address_has_so_many_connections_and_no_more() -> None:
    limits = LiveLimits(hyperliquid_connections=1)
    with running_replay(world=made_world(1), limits=limits) as replay:
        url = replay.live_url("hyperliquid_stream")
        with listen(url), pytest.raises(InvalidStatus) as refused:
            connect(url)
        assert refused.value.response.status_code == 429


def test_info_serves_the_newest_5000_candles_and_no_older_ones(replay: RunningReplay, info: httpx.Client) -> None:
    now = replay.world.clock.now_ms()
    wanted = {"coin": "BTC", "interval": "1m", "startTime": now - 7_000 * MINUTE, "endTime": now}
    rows = info.post("/info", json={"type": "candleSnapshot", "req": wanted}).json()
    assert 4_990 <= len(rows) <= 5_000
    assert rows[0]["t"] > now - 5_001 * MINUTE
    assert [row["t"] for row in rows] == list(range(rows[0]["t"], rows[-1]["t"] + 1, MINUTE))


def test_info_answers_meta_funding_and_mids(replay: RunningReplay, info: httpx.Client) -> None:
    assert parse_meta(info.post("/info", json={"type": "meta"}).content) == dict.fromkeys(("BTC", "ETH", "SOL"), True)
    start = replay.world.clock.now_ms() - 50 * 60 * MINUTE
    rows = info.post("/info", json={"type": "fundingHistory", "coin": "ETH", "startTime": start}).json()
    assert len(rows) in (49, 50, 51)
    assert any(row["time"] % 60_000 for row in rows), "funding is paid some milliseconds late"
    assert {row["time"] // 3_600_000 for row in rows} == set(
        range(rows[0]["time"] // 3_600_000, rows[-1]["time"] // 3_600_000 + 1)
    )
    assert set(info.post("/info", json={"type": "allMids"}).json()) == {"BTC", "ETH", "SOL"}


def test_info_tells_markets_with_their_state_and_the_time(replay: RunningReplay, info: httpx.Client) -> None:
    meta, states = info.post("/info", json={"type": "metaAndAssetCtxs"}).json()
    assert [each["name"] for each in meta["universe"]] == ["BTC", "ETH", "SOL"]
    assert all(float(each["markPx"]) > 0 for each in states)
    assert info.post("/info", json={"type": "spotMeta"}).json()["tokens"][0]["name"] == "USDC"
    before = replay.world.clock.now_ms()
    assert before <= info.post("/info", json={"type": "exchangeStatus"}).json()["time"] <= replay.world.clock.now_ms()


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"type": "nonsense"}, 422),
        ({"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "7m", "startTime": 0}}, 422),
        ({"type": "candleSnapshot", "req": {"coin": "NOPE", "interval": "1m", "startTime": 0}}, 500),
    ],
)
def test_wrong_requests_are_answered_as_the_exchange_does(
    info: httpx.Client, asked: dict[str, Any], status: int
) -> None:
    assert info.post("/info", json=asked).status_code == status
