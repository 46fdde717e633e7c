"""`kill -9` at random points: what was committed before arrives exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from market_platform.domain.intervals import MINUTE_MS
from market_platform.domain.trades import Trades
from market_platform.lake.store import Lake
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.compaction import compact_day
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.reference import load_pair
from market_platform_tests.fixtures.live_sink import (
    DAY,
    NOON_MS,
    lake_trades,
    running_sink,
    stored_candles,
    synced_pairs,
    trade,
)

KILLS = 20


def test_what_was_committed_before_a_kill_arrives_exactly_once(
    tmp_path: Path, warehouse: Warehouse, database_url: str
) -> None:
    pair = synced_pairs(warehouse)["BTCUSDT"]
    lake = Lake.open((tmp_path / "lake").as_uri())
    seed = random.SystemRandom().randrange(1_000_000)
    dice = random.Random(seed)
    arguments = [tmp_path / "journal", lake.url, database_url, pair.id, pair.starlistings["1m"]]
    command = [sys.executable, "-m", "market_platform_tests.fixtures.killed_streamer", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        durable = 0
        for _ in range(KILLS):
            nursery.stdin.write("another\n")
            child = int(nursery.stdout.readline())
            for _ in range(dice.randrange(1, 40)):
                durable = int(nursery.stdout.readline())
            os.kill(child, signal.SIGKILL)
            for line in iter(nursery.stdout.readline, "end\n"):
                durable = int(line)  # said before it died
        nursery.stdin.close()

    async def deliver() -> int | None:
        async with running_sink(tmp_path / "journal", lake, warehouse) as sink:
            assert await sink.delivered(60)
            return sink.last_trade_id(pair)

    last = asyncio.run(deliver())
    assert last is not None
    assert last >= durable, f"seed {seed}"
    assert set(lake_trades(lake).trade_id.tolist()) == set(range(1, last + 1)), f"seed {seed}"
    platform = Platform(lake, warehouse, lambda _: pytest.fail("no exchange is asked"))
    with warehouse.connect() as conn:
        row = load_pair(conn, "binance", "BTCUSDT")
    report = compact_day(platform, row, DAY, "trades", Provenance("test", "1"))
    assert report.object_key is not None
    whole = TRADE_DAYS.read(lake, report.object_key, report.content_hash)
    expected = Trades.from_events([trade(each, NOON_MS + each) for each in range(1, last + 1)])
    assert whole.content_hash() == expected.content_hash(), f"seed {seed}"
    minutes = [time for time, _ in stored_candles(database_url, pair.starlistings["1m"])]
    assert minutes == [
        datetime.fromtimestamp((NOON_MS + each * MINUTE_MS) // 1000, UTC) for each in range(1, last // 10 + 1)
    ], f"seed {seed}"
