"""Which pairs are streamed, and until when their candles are known, with Postgres and without."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from market_platform.domain.clock import to_ms
from market_platform.domain.live import LivePair
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import Warehouse, create_warehouse
from market_platform_tests.fixtures.fake_stream import eventually
from market_platform_tests.fixtures.live_reference import synced_live_pairs, wire_symbol
from market_platform_tests.fixtures.ports import free_port
from market_platform_tests.fixtures.stored_candles import frame, hours
from streamer.pairs import PAIRS_FILE, Pairs

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def store_minute(warehouse: Warehouse, pair: LivePair) -> None:
    """The candle of noon."""
    candles = frame(hours(NOON, 1))
    write = CandleWrite(pair.starlistings["1m"], NOON.date(), candles, None, CandleRank.EXCHANGE, replace=False)
    with warehouse.begin() as conn:
        write_candle_days(conn, [write], run_id="test", code_version="1")


def pairs_of(warehouse: Warehouse, folder: Path) -> Pairs:
    return Pairs(warehouse, ["binance", "oanda"], wire_symbol, 5.0, folder / PAIRS_FILE)


def test_a_start_without_postgres_knows_the_pairs_and_until_when_they_were_stored(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.pairs.POLL_S", 0.05)
    live = synced_live_pairs(warehouse)
    nowhere = create_warehouse(f"postgresql://nobody:nothing@127.0.0.1:{free_port()}/market", timeout_s=0.2)
    told: list[list[LivePair]] = []

    def on_pairs(pairs: Sequence[LivePair]) -> None:
        told.append(list(pairs))

    async def scenario() -> None:
        pairs = pairs_of(warehouse, tmp_path)
        running = asyncio.create_task(pairs.run(on_pairs))
        await pairs.loaded.wait()
        assert pairs.known_until(live["oanda/EURUSD"]) is None, "nothing was stored when it was loaded"
        await asyncio.to_thread(store_minute, warehouse, live["oanda/EURUSD"])
        end_ms = to_ms(NOON) + 60_000
        await eventually(lambda: str(end_ms) in (tmp_path / PAIRS_FILE).read_text())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        later = pairs_of(nowhere, tmp_path)
        running = asyncio.create_task(later.run(on_pairs))
        await later.loaded.wait()
        assert later.known_until(live["oanda/EURUSD"]) == end_ms
        assert later.known_until(live["binance/BTCUSDT"]) is None
        assert told[-1] == told[0]
        assert later.problem is not None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 60))
    nowhere.close()
