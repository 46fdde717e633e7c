"""The journal sink on real parts: SQLite on disk, Postgres, a lake in a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from market_platform.domain.ranks import CandleRank
from market_platform.lake.store import Lake
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.live_sink import (
    candle,
    lake_trades,
    running_sink,
    stored_candles,
    synced_pairs,
    trade,
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open((tmp_path / "lake").as_uri())


def test_what_is_handed_in_arrives(tmp_path: Path, warehouse: Warehouse, database_url: str, lake: Lake) -> None:
    pair = synced_pairs(warehouse)["BTCUSDT"]

    async def scenario() -> None:
        async with running_sink(tmp_path / "journal", lake, warehouse) as sink:
            sink.trades(pair, [trade(each) for each in range(1, 2501)])
            sink.candles(pair, [candle(0), candle(1)], CandleRank.EXCHANGE)
            await sink.committed()
            assert sink.last_trade_id(pair) == 2500
            assert await sink.delivered(20)
            assert sink.state().journal_rows == 0

    asyncio.run(scenario())
    assert lake_trades(lake).trade_id.tolist() == list(range(1, 2501))
    assert len(stored_candles(database_url, pair.starlistings["1m"])) == 2
