"""The platform's own clients at the replay exchange: their plans connect, and all they read is what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import websockets

from market_platform.domain.events import Candle, Event, Trade
from market_platform.domain.intervals import INTERVALS, bucket_start, parse_interval
from market_platform.domain.live import LivePair
from market_platform.exchanges.live import LiveExchange
from market_platform.exchanges.registry import live_exchange
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.settings import load_settings
from market_platform_tests.fixtures.live_replay import made_world

MINUTE = 60_000
MARKETS = [
    ("binance", "BTC", "USDT", "spot", "binance-spot"),
    ("binance", "SOL", "USDT", "perps", "binance-usdm"),
    ("hyperliquid", "BTC", "USD", "perps", "hyperliquid"),
    ("oanda", "EUR", "USD", "spot", "oanda"),
]


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=made_world(1)) as running:
        yield running


def pair_at(replay: RunningReplay, exchange: str, coin: str, quote: str, kind: str) -> tuple[LiveExchange, LivePair]:
    settings = load_settings(market="replay", _env_file=None, **replay.live_urls)
    made = live_exchange(exchange, settings, clock=replay.world.clock.now)
    names = {interval.name: number for number, interval in enumerate(INTERVALS, 1)}
    wire = made.dialect.wire_symbol(coin, quote, kind)
    return made, LivePair(1, exchange, f"{coin}{quote}", coin, quote, kind, wire, names)


def as_row(candle: Candle) -> tuple[Any, ...]:
    return (
        candle.open_ms,
        candle.end_ms,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.num_trades,
    )


def true_row(row: dict[str, Any]) -> tuple[Any, ...]:
    prices = (Decimal(row[name]) for name in ("open", "high", "low", "close", "volume"))
    return (row["time"], row["end"], *prices, row["num_trades"])


@pytest.mark.parametrize(("exchange", "coin", "quote", "kind", "market"), MARKETS, ids=str)
def test_closed_candles_are_the_true_ones(
    replay: RunningReplay, exchange: str, coin: str, quote: str, kind: str, market: str
) -> None:
    made, pair = pair_at(replay, exchange, coin, quote, kind)
    now = replay.world.clock.now_ms()

    async def ask(name: str, start: int) -> list[Candle]:
        async with made.rest() as rest:
            return await rest.candles(pair, parse_interval(name), start, now)

    for name, count in (("1m", 400), ("5m", 30), ("4h", 9), ("1d", 4)):
        interval = parse_interval(name)
        start = bucket_start(now - count * interval.ms, interval)
        candles = asyncio.run(ask(name, start))
        rows = replay.truth.candles(market, pair.wire, name, start, now)
        finished = [true_row(row) for row in rows if row["closed"] and row["end"] <= now]
        assert [as_row(candle) for candle in candles][: len(finished)] == finished[: len(candles)]
        assert len(candles) >= len(finished) - 1, "the newest may count as not settled yet"
        assert all(candle.closed for candle in candles)


@pytest.mark.parametrize(("exchange", "coin", "quote", "kind", "market"), MARKETS[:2], ids=str)
def test_trades_come_back_by_id(
    replay: RunningReplay, exchange: str, coin: str, quote: str, kind: str, market: str
) -> None:
    made, pair = pair_at(replay, exchange, coin, quote, kind)

    async def ask() -> tuple[int | None, list[Trade], list[Any]]:
        async with made.rest() as rest:
            last = await rest.last_trade_id(pair)
            assert last is not None
            return last, await rest.trades(pair, last - 1500, last - 7), list(await rest.context(pair))

    last, trades, context = asyncio.run(ask())
    assert last is not None
    assert [trade.trade_id for trade in trades] == list(range(last - 1500, last - 6))
    rows = replay.truth.trades(market, pair.wire, trades[0].time_ms, trades[-1].time_ms + 1)
    by_id = {row["id"]: row for row in rows}
    for trade in trades:
        row = by_id[trade.trade_id]
        assert (trade.price, trade.quantity) == (Decimal(row["price"]), Decimal(row["quantity"]))
        assert (trade.side, trade.time_ms, trade.first_id, trade.last_id) == (
            row["side"],
            row["time"],
            row["first_id"],
            row["last_id"],
        )
    assert len(context) == (1 if market == "binance-usdm" else 0)


@pytest.mark.parametrize(("exchange", "coin", "quote", "kind", "market"), MARKETS, ids=str)
def test_every_subscription_of_a_plan_is_heard(
    replay: RunningReplay, exchange: str, coin: str, quote: str, kind: str, market: str
) -> None:
    made, pair = pair_at(replay, exchange, coin, quote, kind)
    dialect = made.dialect
    plans = dialect.plan(dialect.subscriptions(pair))

    async def hear() -> None:
        async with asyncio.timeout(60):
            for plan in plans:
                missing = {each.name for each in plan.subscriptions}
                async for message in _messages(plan, dialect):
                    events: list[Event] = list(dialect.parse(message, plan.name))
                    missing -= {dialect.subscription_of(event, plan.name) or "" for event in events}
                    if not missing:
                        break

    asyncio.run(hear())
    known = asyncio.run(_known(made, kind))
    assert pair.wire in known
    assert market


async def _known(made: LiveExchange, kind: str) -> frozenset[str]:
    async with made.rest() as rest:
        return await rest.known_symbols(kind)


async def _messages(plan: Any, dialect: Any) -> Any:
    if plan.transport == "http":
        async with (
            httpx.AsyncClient(headers=plan.headers) as client,
            client.stream("GET", plan.url, timeout=30) as answer,
        ):
            async for line in answer.aiter_lines():
                yield line.encode()
    else:
        async with websockets.connect(plan.url, compression=None) as socket:
            for frame in dialect.subscribe(plan.subscriptions):
                await socket.send(frame)
                await asyncio.sleep(1 / dialect.limits.messages_per_s)
            async for message in socket:
                yield message if isinstance(message, bytes) else message.encode()
