"""The replay exchange's Binance: what the stream says, what REST says and what happened are the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection

from market_platform.domain.events import Candle, Funding, Quote, Trade
from market_platform.exchanges.binance.config import BinanceConfig
from market_platform.exchanges.binance.dialect import BinanceDialect
from market_platform.replay.live.limits import LiveLimits
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform_tests.fixtures.live_replay import RECEIVE_S, listen, made_world, of_stream, read_until

MINUTE = 60_000


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=made_world()) as running:
        yield running


@pytest.fixture
def spot(replay: RunningReplay) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=replay.live_url("binance_spot_rest"), timeout=RECEIVE_S) as client:
        yield client


def stream(replay: RunningReplay, *names: str, market: str = "spot") -> str:
    root = replay.live_url("binance_spot_stream" if market == "spot" else "binance_usdm_stream")
    if market == "public":
        root = root.replace("/market", "/public")
    return f"{root}/stream?streams={'/'.join(names)}"


def flood(socket: ClientConnection) -> None:
    """Four messages at once, and whatever is answered to them."""
    for _ in range(4):
        socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
    while True:
        socket.recv(RECEIVE_S)


def closed(messages: list[bytes], name: str) -> list[dict[str, Any]]:
    return [data["k"] for data in of_stream(messages, name) if data["k"]["x"]]


def test_trades_of_the_stream_have_no_hole_and_are_those_of_rest_and_of_the_truth(
    replay: RunningReplay, spot: httpx.Client
) -> None:
    with listen(stream(replay, "btcusdt@aggTrade")) as socket:
        got = read_until(socket, lambda messages: len(messages) >= 500)
    trades = of_stream(got, "btcusdt@aggTrade")
    ids = [trade["a"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert all(later["f"] == earlier["l"] + 1 for earlier, later in pairwise(trades))

    rows: list[dict[str, Any]] = []
    while len(rows) < len(ids):
        page = spot.get("/api/v3/aggTrades", params={"symbol": "BTCUSDT", "fromId": ids[0] + len(rows), "limit": 1000})
        rows += page.json()
    assert rows[: len(ids)] == [{key: trade[key] for key in "apqflTmM"} for trade in trades]

    truth = replay.truth.trades("binance-spot", "BTCUSDT", trades[0]["T"], trades[-1]["T"] + 1)
    by_id = {row["id"]: row for row in truth}
    for trade in trades:
        row = by_id[trade["a"]]
        assert (row["price"], row["quantity"], row["time"]) == (trade["p"], trade["q"], trade["T"])
        assert row["side"] == ("sell" if trade["m"] else "buy")


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_closed_candles_of_the_stream_are_those_of_rest_and_the_sums_of_the_trades(
    replay: RunningReplay, market: str
) -> None:
    names = ("ethusdt@kline_1m", "ethusdt@kline_3m")
    with listen(stream(replay, *names, market=market)) as socket:
        got = read_until(
            socket, lambda messages: len(closed(messages[-1:], names[1])) == 1 and len(closed(messages, names[0])) > 3
        )
    candles = closed(got, names[0]) + closed(got, names[1])
    root = replay.live_url("binance_spot_rest" if market == "spot" else "binance_usdm_rest")
    path = "/api/v3/klines" if market == "spot" else "/fapi/v1/klines"
    with httpx.Client(base_url=root) as client:
        for candle in candles:
            asked = {"symbol": "ETHUSDT", "interval": candle["i"], "startTime": candle["t"], "endTime": candle["T"]}
            keys = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
            assert client.get(path, params=asked).json() == [[candle[key] for key in keys]]
    for candle in candles:
        trades = replay.truth.trades(f"binance-{market}", "ETHUSDT", candle["t"], candle["T"] + 1)
        assert (trades[0]["first_id"], trades[-1]["last_id"]) == (candle["f"], candle["L"])
        assert candle["n"] == candle["L"] - candle["f"] + 1
        assert (trades[0]["price"], trades[-1]["price"]) == (candle["o"], candle["c"])
        prices = [(float(trade["price"]), trade["price"]) for trade in trades]
        assert (max(prices)[1], min(prices)[1]) == (candle["h"], candle["l"])
        told = replay.truth.candles(f"binance-{market}", "ETHUSDT", candle["i"], candle["t"], candle["T"])
        assert [row["volume"] for row in told] == [candle["v"]]


def test_candles_close_one_after_the_other_and_form_in_between(replay: RunningReplay) -> None:
    name = "btcusdt@kline_1m"
    with listen(stream(replay, name)) as socket:
        got = read_until(socket, lambda messages: len(closed(messages, name)) >= 3)
    candles = [data["k"] for data in of_stream(got, name)]
    opens = [candle["t"] for candle in candles if candle["x"]]
    assert opens == [opens[0], opens[0] + MINUTE, opens[0] + 2 * MINUTE]
    forming = [candle for candle in candles if not candle["x"]]
    assert forming
    assert all(later["L"] >= earlier["L"] for earlier, later in pairwise(candles))


def test_a_restarted_exchange_and_another_one_say_the_same() -> None:
    world = made_world(1)
    answers = []
    for _ in range(2):
        with running_replay(world=made_world(1)) as running, httpx.Client(base_url=running.url) as client:
            since = world.clock.now_ms() - 40 * 3_600_000
            since -= since % MINUTE
            asked: list[tuple[str, dict[str, str | int]]] = [
                ("spot/api/v3/klines", {"interval": "1m", "startTime": since, "limit": 700}),
                ("spot/api/v3/aggTrades", {"startTime": since + 777, "limit": 1000}),
                ("usdm/fapi/v1/klines", {"interval": "4h", "startTime": since, "limit": 5}),
                ("spot/api/v3/historicalTrades", {"fromId": 998_000_000, "limit": 500}),
            ]
            answers.append(
                [client.get(f"/binance/{path}", params={"symbol": "BTCUSDT", **more}).content for path, more in asked]
            )
    assert answers[0] == answers[1]
    assert all(len(answer) > 500 for answer in answers[0])


def test_single_trades_sum_to_their_aggregates(spot: httpx.Client) -> None:
    aggregates = spot.get("/api/v3/aggTrades", params={"symbol": "SOLUSDT", "limit": 40}).json()
    first, last = aggregates[0]["f"], aggregates[-1]["l"]
    singles = spot.get(
        "/api/v3/historicalTrades", params={"symbol": "SOLUSDT", "fromId": first, "limit": last - first + 1}
    ).json()
    assert [single["id"] for single in singles] == list(range(first, last + 1))
    for aggregate in aggregates:
        parts = [single for single in singles if aggregate["f"] <= single["id"] <= aggregate["l"]]
        assert sum(int(part["qty"].replace(".", "")) for part in parts) == int(aggregate["q"].replace(".", ""))
        assert {(part["price"], part["time"]) for part in parts} == {(aggregate["p"], aggregate["T"])}


def test_everything_it_sends_is_understood(replay: RunningReplay) -> None:
    dialect = BinanceDialect(BinanceConfig())
    spot_names = ("btcusdt@aggTrade", "btcusdt@kline_1m", "btcusdt@bookTicker", "coin010usdt@kline_1m", "btcusdt@trade")
    wanted = {
        "spot": (spot_names, {Trade, Candle, Quote}),
        "usdm": (("solusdt@aggTrade", "solusdt@kline_5m", "solusdt@markPrice@1s"), {Trade, Candle, Funding}),
        "public": (("solusdt@bookTicker",), {Quote}),
    }
    for market, (names, kinds) in wanted.items():
        with listen(stream(replay, *names, market=market)) as socket:
            got = 0
            met: set[type] = set()
            streams: set[str] = set()
            while got < 40 or met != kinds or streams != set(names):
                message = read_until(socket, any)[0]
                met |= {type(event) for event in dialect.parse(message, "spot-1")}
                streams.add(orjson.loads(message)["stream"])
                got += 1


def test_subscriptions_of_an_open_connection(replay: RunningReplay) -> None:
    with listen(f"{replay.live_url('binance_spot_stream')}/ws") as socket:

        def ask(method: str, *params: str) -> Any:
            socket.send(orjson.dumps({"method": method, "params": params, "id": method}).decode())
            got = read_until(socket, lambda messages: bool(messages) and b'"id"' in messages[-1])
            return orjson.loads(got[-1])

        assert ask("SUBSCRIBE", "btcusdt@aggTrade", "nosuchcoin@aggTrade", "BTCUSDT@aggTrade")["result"] is None
        assert b'"e":"aggTrade"' in read_until(socket, any)[0]
        assert len(ask("LIST_SUBSCRIPTIONS")["result"]) == 3
        assert ask("UNSUBSCRIBE", "btcusdt@aggTrade")["result"] is None
        assert ask("LIST_SUBSCRIPTIONS")["result"] == ["nosuchcoin@aggTrade", "BTCUSDT@aggTrade"]
        assert ask("NONSENSE")["error"]["code"] == 2


def test_more_than_the_limits_is_refused() -> None:
    limits = LiveLimits(spot_streams=2, spot_messages_per_s=3, spot_weight=9)
    with running_replay(world=made_world(1), limits=limits) as replay:
        with (
            listen(stream(replay, "a@trade", "b@trade", "c@trade")) as socket,
            pytest.raises(ConnectionClosedError) as refused,
        ):
            socket.recv(RECEIVE_S)
        assert refused.value.rcvd is not None
        assert refused.value.rcvd.code == 1008
        with (
            listen(f"{replay.live_url('binance_spot_stream')}/ws") as socket,
            pytest.raises(ConnectionClosedError),
        ):
            flood(socket)
        with httpx.Client(base_url=replay.live_url("binance_spot_rest")) as client:
            answers = [client.get("/api/v3/aggTrades", params={"symbol": "BTCUSDT"}) for _ in range(14)]
        served = answers[0]
        if time.gmtime().tm_sec < 50 or answers[2].status_code == 429:
            assert served.headers["x-mbx-used-weight-1m"] == "4"
            assert [answer.status_code for answer in answers[:4]] == [200, 200, 429, 429]
            assert answers[-1].status_code == 418
            assert int(answers[2].headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v3/klines?symbol=NOPE&interval=1m", -1121),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m", -1120),
        ("/api/v3/klines?interval=1m", -1102),
        ("/api/v3/aggTrades?symbol=BTCUSDT&fromId=x", -1100),
        ("/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&startTime=2", -1128),
    ],
)
def test_wrong_requests_are_answered_with_binances_codes(spot: httpx.Client, path: str, code: int) -> None:
    answer = spot.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_it_lists_its_markets_and_a_perpetuals_other_numbers(replay: RunningReplay, spot: httpx.Client) -> None:
    listed = {each["symbol"] for each in spot.get("/api/v3/exchangeInfo").json()["symbols"]}
    assert {"BTCUSDT", "ETHUSDT", "SOLUSDT", "COIN001USDT", "COIN100USDT"} <= listed
    with httpx.Client(base_url=replay.live_url("binance_usdm_rest")) as usdm:
        interest = usdm.get("/fapi/v1/openInterest", params={"symbol": "BTCUSDT"}).json()
        premium = usdm.get("/fapi/v1/premiumIndex", params={"symbol": "BTCUSDT"}).json()
        clock = usdm.get("/fapi/v1/time").json()["serverTime"]
    assert float(interest["openInterest"]) > 1000
    assert -0.01 < float(premium["lastFundingRate"]) < 0.01
    assert premium["nextFundingTime"] % (8 * 3_600_000) == 0
    assert 0 <= clock - premium["time"] < 60 * MINUTE
