"""`/ws` on a real server and Postgres: history then live without a hole, resuming, both dialects."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from market_platform_tests.fixtures.api_server import ApiServer
from market_platform_tests.fixtures.live_market import LiveMarket, connected

pytestmark = pytest.mark.anyio


def seqs(messages: list[dict[str, Any]], starlisting_id: int) -> list[int]:
    """Numbers of the final messages of a starlisting."""
    return [
        each["seq"]
        for each in messages
        if each.get("starlisting_id") == starlisting_id
        and each["type"] in ("candle", "funding", "open_interest")
        and each.get("closed", True)
    ]


async def test_history_comes_first_then_every_candle_by_number(market: LiveMarket, api: ApiServer) -> None:
    market.candles(market.btc, 5)
    one = market.id(market.btc)
    async with connected(api.url) as client:
        await client.say(action="subscribe", starlisting_ids=[one], history=3)
        assert await client.next() == {
            "type": "success",
            "message": "Subscribed to 1 starlisting(s)",
            "starlisting_ids": [one],
        }
        history = await client.next()
        rows = history.pop("data")
        assert history == {
            "type": "historical",
            "starlisting_id": one,
            "exchange": "binance",
            "coin": "BTC",
            "quote": "USDT",
            "trading_pair": "BTC/USDT",
            "market_type": "spot",
            "interval": "1m",
            "count": 3,
            "seq": 5,
        }
        assert [row["time"] for row in rows] == [f"2026-11-02T00:0{each}:00+00:00" for each in (2, 3, 4)]
        market.candles(market.btc, 2, "100.5")
        first, second = await client.next(), await client.next()
        assert (first["seq"], second["seq"], second["closed"]) == (6, 7, True)
        assert second["data"] == {
            "time": "2026-11-02T00:06:00+00:00",
            "open": "100.500000000000000000",
            "high": "100.500000000000000000",
            "low": "100.500000000000000000",
            "close": "100.500000000000000000",
            "volume": "3.250000000000000000",
            "num_trades": 7,
        }


async def test_a_perpetual_brings_funding_and_open_interest(market: LiveMarket, api: ApiServer) -> None:
    one = market.id(market.perp)
    market.context(market.perp, 0)
    async with connected(api.url) as client:
        await client.say(action="subscribe", starlisting_ids=[one], history=10)
        await client.next()
        kinds = [await client.next() for _ in range(3)]
        assert [(each["type"], each["count"], each["seq"]) for each in kinds] == [
            ("historical", 0, 2),
            ("historical_funding", 1, 2),
            ("historical_oi", 1, 2),
        ]
        market.context(market.perp, 1, rate="0.00001")
        funding, interest = await client.next(), await client.next()
        assert (funding["type"], funding["seq"], funding["interval"]) == ("funding", 3, "1m")
        assert funding["data"] == {
            "time": "2026-11-02T00:01:00+00:00",
            "funding_rate": "0.000010000000000000",
            "premium": None,
            "mark_price": "100.250000000000000000",
            "index_price": None,
            "oracle_price": None,
            "mid_price": None,
            "next_funding_time": None,
        }
        assert (interest["type"], interest["seq"]) == ("open_interest", 4)
        assert interest["data"]["open_interest"] == "1234.500000000000000000"


async def test_a_forming_candle_has_the_number_that_is_and_never_follows_its_own_close(
    market: LiveMarket, api: ApiServer
) -> None:
    one = market.id(market.btc)
    market.candles(market.btc, 2)
    async with connected(api.url) as client:
        await client.say(action="subscribe", starlisting_ids=[one], history=1)
        await client.until(type="historical")
        market.forming(market.btc, "100.123456789")
        forming = await client.next()
        assert (forming["seq"], forming["closed"], forming["data"]["time"]) == (2, False, "2026-11-02T00:02:00+00:00")
        assert forming["data"]["close"] == "100.123456789000000000"
        assert forming["data"]["volume"] == "3.000000000000000000"
        market.candles(market.btc)
        assert (await client.next())["seq"] == 3
        market.forming(market.btc, "1", minute=2)  # late: that candle is closed
        market.forming(market.btc, "102")
        late = await client.next()
        assert (late["seq"], late["data"]["close"]) == (3, "102.000000000000000000")


async def test_a_writer_beside_many_joining_clients_costs_no_one_a_number(market: LiveMarket, api: ApiServer) -> None:
    one, rounds = market.id(market.btc), 60
    market.candles(market.btc, 10)
    done = asyncio.Event()

    async def write() -> None:
        for _ in range(rounds):
            await asyncio.to_thread(market.candles, market.btc, 3)
        done.set()

    async def follow(history: int) -> list[int]:
        async with connected(api.url) as client:
            await client.say(action="subscribe", starlisting_ids=[one], history=history)
            first = await client.until(type="historical")
            assert first["count"] == min(history, first["seq"])
            assert first["data"][-1]["time"].startswith("2026-11-02T")
            while client.seen[-1]["seq"] != 10 + 3 * rounds:
                await client.next()
            return [first["seq"], *seqs(client.seen, one)]

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        clients: list[asyncio.Task[list[int]]] = []
        while not done.is_set() and len(clients) < 40:
            clients.append(tasks.create_task(follow(5 + len(clients))))
            await asyncio.sleep(0.02)
    for each in clients:
        numbers = each.result()
        assert numbers == list(range(numbers[0], 10 + 3 * rounds + 1))


async def test_since_resumes_after_a_number(market: LiveMarket, api: ApiServer) -> None:
    one, other = market.id(market.btc), market.id(market.eth)
    market.candles(market.btc, 8)
    market.candles(market.eth, 400)
    async with connected(api.url) as client:
        await client.say(action="subscribe", starlisting_ids=[one, other], since={str(one): 5, str(other): 1})
        await client.until(type="candle", starlisting_id=other, seq=400)
        market.candles(market.btc)
        market.candles(market.eth)
        await client.until(type="candle", starlisting_id=other, seq=401)
        assert seqs(client.seen, one) == [6, 7, 8, 9]
        assert seqs(client.seen, other) == list(range(2, 402))
        await client.say(action="subscribe", starlisting_ids=[one], since={str(one): 7})  # from memory, this time
        assert "seq" not in await client.until(type="success")  # the client knows where it begins
        assert [(await client.next())["seq"] for _ in range(2)] == [8, 9]
        await client.say(action="subscribe", starlisting_ids=[one], since={str(one): 9})
        await client.until(type="success")
        market.candles(market.btc)
        assert (await client.next())["seq"] == 10


@pytest.mark.parametrize("since", [2, 9_999_999])
async def test_a_number_that_is_too_old_or_was_never_given_is_answered_by_reading_anew(
    market: LiveMarket, api: ApiServer, since: int
) -> None:
    one = market.id(market.btc)
    market.candles(market.btc, 20)
    with psycopg.connect(market.database_url) as conn:
        conn.execute("DELETE FROM series_changes WHERE seq <= 10")
    async with connected(api.url) as client:
        await client.say(action="subscribe", starlisting_ids=[one], history=4, since={str(one): since})
        await client.until(type="success")
        assert await client.next() == {"type": "resync", "starlisting_id": one, "seq": 20}
        history = await client.next()
        assert (history["type"], history["seq"], history["count"]) == ("historical", 20, 4)
        market.candles(market.btc)
        assert (await client.next())["seq"] == 21


async def test_more_changes_than_can_be_told_one_by_one_are_a_resync(market: LiveMarket, api: ApiServer) -> None:
    one = market.id(market.btc)
    async with connected(api.url) as client, connected(api.url) as plain:
        await client.say(action="subscribe", starlisting_ids=[one], history=2)
        await client.until(type="historical")
        await plain.say(action="subscribe", starlisting_ids=[one])
        await plain.until(type="success")
        market.candles(market.btc, 1001)
        assert await client.next() == {"type": "resync", "starlisting_id": one, "seq": 1}
        history = await client.next()
        assert (history["seq"], history["count"], history["data"][-1]["time"]) == (1, 2, "2026-11-02T16:40:00+00:00")
        market.candles(market.btc)
        assert (await client.next())["seq"] == 2
        assert (await plain.next(), (await plain.next())["seq"]) == (
            {"type": "resync", "starlisting_id": one, "seq": 1},
            2,
        )


async def test_without_a_history_the_answer_says_where_the_numbers_begin(market: LiveMarket, api: ApiServer) -> None:
    one, other = market.id(market.btc), market.id(market.eth)
    market.candles(market.btc, 3)
    async with connected(api.url) as client:
        await client.say(action="subscribe", starlisting_ids=[one, other], since={str(other): 0})
        assert (await client.next())["seq"] == {str(one): 3}
        market.candles(market.btc)
        assert (await client.next())["seq"] == 4


async def test_unsubscribing_ends_the_messages(market: LiveMarket, api: ApiServer) -> None:
    one, other = market.id(market.btc), market.id(market.eth)
    async with connected(api.url) as client:
        await client.say(action="subscribe", starlisting_ids=[one, other])
        await client.until(type="success")
        await client.say(action="unsubscribe", starlisting_ids=[one])
        assert (await client.next())["message"] == "Unsubscribed from 1 starlisting(s)"
        market.candles(market.btc)
        market.candles(market.eth)
        assert (await client.next())["starlisting_id"] == other


async def test_the_symbol_dialect_brings_ticks_and_candles_as_exact_numbers(market: LiveMarket, api: ApiServer) -> None:
    async with connected(api.url) as client:
        request = {"broker": "binance", "symbols": ["btc/usdt"], "types": ["tick", "candle"], "interval": "1m"}
        await client.say(action="subscribe", **request)
        told = await client.next()
        assert (told["type"], told["broker"], told["symbols"]) == ("success", "binance", ["BTCUSDT"])
        market.tick(market.btc, "67123.10")
        market.tick(market.eth, "1")
        assert await client.next() == {
            "type": "data",
            "broker": "binance",
            "symbol": "BTCUSDT",
            "data": {
                "broker": "binance",
                "symbol": "BTCUSDT",
                "type": "tick",
                "timestamp": 1_731_456_000_123,
                "data": {"price": "67123.1", "volume": "0.5", "side": "buy", "bid": "99.9", "ask": "100.1"},
            },
        }
        market.forming(market.btc, "100.10")
        forming = await client.next()
        assert forming["data"]["closed"] is False
        assert forming["data"]["data"]["close"] == "100.1"
        market.candles(market.btc, 1, "123456789012.123456789012345678")
        closed = (await client.next())["data"]
        assert closed == {
            "broker": "binance",
            "symbol": "BTCUSDT",
            "type": "candle",
            "timestamp": 1_793_577_600_000,
            "interval": "1m",
            "seq": 1,
            "closed": True,
            "data": {
                **dict.fromkeys(("open", "high", "low", "close"), "123456789012.123456789012345678"),
                "volume": "3.25",
            },
        }
        await client.say(action="unsubscribe", **{**request, "types": ["tick"]})
        await client.until(type="success")
        market.tick(market.btc, "2")
        market.candles(market.btc)
        assert (await client.next())["data"]["type"] == "candle"


async def test_both_dialects_on_one_socket(market: LiveMarket, api: ApiServer) -> None:
    one = market.id(market.btc)
    async with connected(api.url) as client:
        await client.say(action="subscribe", starlisting_ids=[one], history=1)
        await client.until(type="historical")
        await client.say(action="subscribe", broker="BINANCE", symbols=["BTCUSDT"], types=["candle"])
        await client.until(type="success")
        market.candles(market.btc)
        assert {(await client.next())["type"], (await client.next())["type"]} == {"candle", "data"}


async def test_a_starlisting_that_is_added_can_be_followed_and_one_that_is_deactivated_not(
    market: LiveMarket, api: ApiServer
) -> None:
    one = market.id(market.btc)
    with psycopg.connect(market.database_url, autocommit=True) as conn:
        conn.execute("UPDATE starlistings SET active = false WHERE id = %s", (one,))
        async with connected(api.url) as client:
            while True:
                await client.say(action="subscribe", starlisting_ids=[one])
                if (await client.next())["type"] == "error":
                    break
            assert client.seen[-1]["code"] == "invalid_starlisting"
            conn.execute("UPDATE starlistings SET active = true WHERE id = %s", (one,))
            while True:
                await client.say(action="subscribe", starlisting_ids=[one])
                if (await client.next())["type"] == "success":
                    break
