"""`/ws/{symbol}` and `/ws/subscribe` on a real server: the newest bars, then at most one update a second."""

from __future__ import annotations

from time import monotonic

import pytest

from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.fixtures.api_server import ApiServer, wait_for
from market_platform_tests.fixtures.live_market import LIVE_STARLISTINGS, LiveMarket, connected

SAME_SYMBOL = LIVE_STARLISTINGS + "    BTCUSDT: {coin: BTC, quote: USDT, market_type: perps}\n"

pytestmark = pytest.mark.anyio


async def test_a_chart_begins_with_a_hundred_bars_and_follows_once_a_second(market: LiveMarket, api: ApiServer) -> None:
    market.candles(market.btc, 120)
    async with connected(api.url, "/ws/BTCUSDT?token=abc", greeted=False) as client:
        initial = await client.next()
        began = monotonic()
        assert (initial["type"], initial["symbol"], initial["timeframe"]) == ("initial", "BTCUSDT", "1m")
        assert initial["indicators"] == {}
        assert len(initial["bars"]) == 100
        assert initial["bars"][-1] == {
            "time": 1_793_577_600 + 119 * 60,
            **dict.fromkeys(("open", "high", "low", "close"), "100.5"),
            "volume": "3.25",
        }
        for close in range(1, 30):
            market.forming(market.btc, f"{close}")
        market.candles(market.btc, 1, "7.5")
        market.forming(market.btc, "8.5")
        bars: dict[int, str] = {}
        updates = 0
        while bars.get(1_793_577_600 + 121 * 60) != "8.5":
            update = await client.next()
            assert update["type"] == "update"
            bars.update({each["time"]: each["close"] for each in update["bars"]})
            updates += 1
        assert bars[1_793_577_600 + 120 * 60] == "7.5"
        assert updates <= monotonic() - began + 1


async def test_a_client_says_which_charts_it_wants(market: LiveMarket, api: ApiServer) -> None:
    market.candles(market.btc, 1)
    market.candles(market.perp, 2, interval="15m")
    async with connected(api.url, "/ws/subscribe", greeted=False) as client:
        await client.say(action="subscribe", symbol="btc/usdt")
        assert (await client.next())["symbol"] == "BTCUSDT"
        await client.say(action="subscribe", symbol="BTCUSD", timeframe="15m", exchange="hyperliquid")
        initial = await client.next()
        assert (initial["symbol"], len(initial["bars"])) == ("BTCUSD", 2)
        market.candles(market.btc)
        assert (await client.next())["symbol"] == "BTCUSDT"
        await client.say(action="unsubscribe", symbol="BTCUSDT")
        assert (await client.until(type="success"))["symbol"] == "BTCUSDT"
        await client.say(action="subscribe", symbol="NOPE")
        assert (await client.next())["code"] == "invalid_starlisting"
        await client.say(action="dance")
        assert (await client.next())["code"] == "unknown_action"
        await client.say(action="ping")
        assert (await client.next())["type"] == "pong"


async def test_a_symbol_means_the_same_exchange_as_in_rest(market: LiveMarket, api: ApiServer) -> None:
    with market.warehouse.begin() as conn:
        sync_reference(conn, parse_starlistings(SAME_SYMBOL))
        later = load_pair(conn, "hyperliquid", "BTCUSDT")
    for pair, exchange in ((later, "hyperliquid"), (market.btc, "binance")):
        market.candles(pair)

        def meant(exchange: str = exchange) -> bool:
            listed = api.get("/api/metadata", symbol="BTCUSDT")
            rows = api.get("/api/candles/BTCUSDT/1m", from_=1_793_577_600, to=1_793_577_600)
            return (
                listed.headers.get("x-exchange") == rows.headers["x-exchange"] == exchange
                and rows.headers["x-data-available"] == "true"
            )

        wait_for(meant)
        async with connected(api.url, "/ws/BTCUSDT", greeted=False) as client:
            initial = await client.next()
            assert (initial["type"], initial["exchange"], len(initial["bars"])) == ("initial", exchange, 1)
            market.candles(pair)
            update = await client.until(type="update")
            assert (update["symbol"], update["exchange"]) == ("BTCUSDT", exchange)
            await client.say(action="subscribe", symbol="BTCUSDT", exchange="HyperLiquid")
            assert (await client.until(type="initial"))["exchange"] == "hyperliquid"


async def test_a_chart_that_is_not_there_is_closed_with_1008(api: ApiServer) -> None:
    for path in ("/ws/NOPE", "/ws/BTCUSDT?timeframe=7m", "/ws/BTCUSDT?exchange=nasdaq"):
        async with connected(api.url, path, greeted=False) as client:
            assert (await client.next())["code"] == "invalid_starlisting"
            assert await client.closed() == (1008, "invalid_starlisting")


async def test_a_chart_reads_anew_when_changes_can_not_be_told(market: LiveMarket, api: ApiServer) -> None:
    async with connected(api.url, "/ws/BTCUSDT", greeted=False) as client:
        assert (await client.next())["bars"] == []
        market.candles(market.btc, 1001)
        again = await client.until(type="initial")
        assert len(again["bars"]) == 100
