"""Repair at the replay exchanges, over HTTP: what a stream missed comes back as it really was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from market_platform.domain.clock import from_ms
from market_platform.domain.intervals import MINUTE_MS, bucket_start, parse_interval
from market_platform.exchanges.live import LiveExchange
from market_platform.exchanges.registry import live_exchange
from market_platform.lake.parts import list_parts
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.lake.trade_file import TRADE_FILE
from market_platform.pipeline.gap_outcomes import Outcome
from market_platform.pipeline.gap_takeover import repair_chosen
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.replay.testing import RunningReplay, running_replay
from market_platform.settings import load_settings
from market_platform.warehouse.candles import read_candles
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gaps import Gap, GapFilter, GapRecord, list_gaps, record_gaps
from market_platform_tests.fixtures.live_reference import synced_live_pairs
from market_platform_tests.fixtures.live_replay import made_world

MARKETS = {
    "binance/BTCUSDT": "binance-spot",
    "binance/BTCUSDT.P": "binance-usdm",
    "hyperliquid/BTCUSD": "hyperliquid",
    "oanda/EURUSD": "oanda",
}


@pytest.fixture(scope="module")
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=made_world(1)) as running:
        yield running


class Repairs:
    """A platform beside the replay exchange, and the ledger."""

    def __init__(self, replay: RunningReplay, warehouse: Warehouse, folder: Path) -> None:
        replay.faults.clear()
        self.replay, self.warehouse = replay, warehouse
        self.pairs = synced_live_pairs(warehouse)
        self.settings = load_settings(market="replay", market_data_dir=folder, _env_file=None, **replay.live_urls)
        self.platform = Platform.from_settings(self.settings, warehouse.url, replay.world.clock.now)
        self.now = bucket_start(replay.world.clock.now_ms(), parse_interval("1m"))

    def exchange(self, code: str) -> LiveExchange:
        return live_exchange(code, self.settings, clock=self.replay.world.clock.now)

    def record(self, *gaps: GapRecord) -> None:
        with self.warehouse.begin() as conn:
            record_gaps(conn, gaps)

    def gaps(self) -> list[Gap]:
        with self.warehouse.connect() as conn:
            return sorted(list_gaps(conn, GapFilter()), key=lambda gap: gap.id)

    def repair(self, code: str) -> list[Outcome]:
        outcomes: list[Outcome] = []
        ids = [gap.id for gap in self.gaps()]
        provenance = Provenance("run-1", "repair-1")
        asyncio.run(
            repair_chosen(self.platform, self.exchange(code), ids, provenance, lambda _, each: outcomes.append(each))
        )
        return outcomes

    def stored(self, name: str, interval: str, start: int, end: int) -> list[tuple[int, Decimal, Decimal]]:
        with self.warehouse.connect() as conn:
            frame = read_candles(conn, self.pairs[name].starlistings[interval], start, end)
        return [
            (int(row[0].timestamp() * 1000), row[1], row[2]) for row in frame["time", "close", "volume"].iter_rows()
        ]

    def true(self, name: str, interval: str, start: int, end: int) -> list[tuple[int, Decimal, Decimal]]:
        rows = self.replay.truth.candles(MARKETS[name], self.pairs[name].wire, interval, start, end)
        return [
            (row["time"], Decimal(row["close"]), Decimal(row["volume"]))
            for row in rows
            if row["end"] <= end and row["time"] >= start
        ]


@pytest.fixture
def repairs(replay: RunningReplay, warehouse: Warehouse, tmp_path: Path) -> Iterator[Repairs]:
    made = Repairs(replay, warehouse, tmp_path)
    yield made
    made.platform.close()


@pytest.mark.parametrize("name", list(MARKETS))
def test_candles_of_an_hour_come_back_as_they_were(repairs: Repairs, name: str) -> None:
    pair = repairs.pairs[name]
    start, end = repairs.now - 90 * MINUTE_MS, repairs.now - 10 * MINUTE_MS
    repairs.record(GapRecord(pair.id, "candles", from_ms(start), "disconnect", end=from_ms(end)))
    [outcome] = repairs.repair(pair.exchange)
    assert (outcome.error, outcome.unrepairable, outcome.lost) == (None, None, ())
    assert [gap.state for gap in repairs.gaps()] == ["repaired"]
    true = repairs.true(name, "1m", start, end)
    assert len(true) >= 70
    assert repairs.stored(name, "1m", start, end) == true


def test_trades_of_a_hole_and_of_a_disconnect_come_back_once(repairs: Repairs) -> None:
    name = "binance/BTCUSDT"
    pair, exchange = repairs.pairs[name], repairs.exchange("binance")

    async def newest() -> int:
        async with exchange.rest() as rest:
            last = await rest.last_trade_id(pair)
        assert last is not None
        return last

    last = asyncio.run(newest())
    first = last - 3_000
    moment = from_ms(repairs.now)
    repairs.record(
        GapRecord(pair.id, "trades", moment, "id_hole", end=moment, first_id=first, last_id=first + 2_000),
        GapRecord(pair.id, "trades", moment, "disconnect", end=moment + timedelta(hours=1), first_id=first + 1_500),
    )
    [outcome] = repairs.repair("binance")
    assert (outcome.error, outcome.unrepairable) == (None, None)
    assert [gap.state for gap in repairs.gaps()] == ["repaired", "repaired"]
    found: list[int] = []
    day = from_ms(repairs.now).date()
    for each in (day - timedelta(days=1), day):
        for key in list_parts(TRADE_DAYS, repairs.platform.lake, "binance", "BTCUSDT", each):
            found += TRADE_FILE.decode(repairs.platform.lake.get(key)).trade_id.tolist()
    assert len(found) == len(set(found)) == outcome.rows
    assert sorted(found)[: last - first + 1] == list(range(first, last + 1))


def test_hyperliquid_beyond_its_5000_candles_is_lost_with_the_span_and_the_rest_is_there(repairs: Repairs) -> None:
    name = "hyperliquid/BTCUSD"
    pair = repairs.pairs[name]
    start, end = repairs.now - 5 * 1_440 * MINUTE_MS, repairs.now - MINUTE_MS
    repairs.record(GapRecord(pair.id, "candles", from_ms(start), "start", end=from_ms(end)))
    [outcome] = repairs.repair("hyperliquid")
    assert (outcome.error, outcome.unrepairable) == (None, None)
    whole, lost = repairs.gaps()
    assert (whole.state, lost.state, lost.interval) == ("repaired", "unrepairable", "1m")
    assert lost.end is not None
    served = repairs.stored(name, "1m", start, end)
    assert len(served) in range(4_900, 5_001)
    assert served[0][0] == int(lost.end.timestamp() * 1000)
    assert served == repairs.true(name, "1m", served[0][0], end)
    hourly = repairs.stored(name, "1h", start, end)
    assert len(hourly) >= 119
    assert hourly == repairs.true(name, "1h", hourly[0][0], end)


def test_trades_of_hyperliquid_and_quotes_of_oanda_are_unrepairable(repairs: Repairs) -> None:
    start, end = from_ms(repairs.now - MINUTE_MS), from_ms(repairs.now)
    repairs.record(
        GapRecord(repairs.pairs["hyperliquid/BTCUSD"].id, "trades", start, "disconnect", end=end),
        GapRecord(repairs.pairs["oanda/EURUSD"].id, "quotes", start, "disconnect", end=end),
    )
    repairs.repair("hyperliquid")
    repairs.repair("oanda")
    assert [gap.unrepairable for gap in repairs.gaps()] == [
        "the exchange has no history of trades",
        "no exchange serves the quotes of the past",
    ]


def test_an_exchange_that_answers_nonsense_leaves_the_gap_open_with_the_reason(repairs: Repairs) -> None:
    pair = repairs.pairs["binance/BTCUSDT"]
    start, end = repairs.now - 20 * MINUTE_MS, repairs.now - 10 * MINUTE_MS
    repairs.record(GapRecord(pair.id, "candles", from_ms(start), "disconnect", end=from_ms(end), interval="1m"))
    repairs.replay.fail("klines", "garbage", times=50)
    [outcome] = repairs.repair("binance")
    assert outcome.error is not None
    [gap] = repairs.gaps()
    assert (gap.state, gap.attempts, gap.last_error) == ("open", 1, outcome.error)
    repairs.replay.faults.clear()
    [outcome] = repairs.repair("binance")
    assert outcome.error is None
    assert repairs.stored("binance/BTCUSDT", "1m", start, end) == repairs.true("binance/BTCUSDT", "1m", start, end)
