"""A file of the archive that is published again: found by its checksum, fetched anew, a new data version, both hashes kept."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from market_platform.domain.clock import days_between
from market_platform.domain.intervals import parse_interval
from market_platform.domain.pairs import TradingPair
from market_platform.exchanges.binance.dumps.client import BinanceDumps
from market_platform.exchanges.binance.dumps.config import DumpsConfig
from market_platform.lake.store import Lake
from market_platform.pipeline.history_candles import build_history_candles
from market_platform.pipeline.history_reports import HistoryCandleReport
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.pipeline.reissues import find_reissued
from market_platform.replay.live.clock import ExchangeClock
from market_platform.replay.live.world import World
from market_platform.replay.testing import RunningReplay, clock_from, running_replay
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.history_inputs import Reissue
from market_platform.warehouse.reference import sync_reference
from market_platform_tests.fixtures.reference import small_config

STARLISTINGS = """
exchanges: {binance: {name: Binance, licence: public, candle_price: mid}}
coins: {COIN010: A quiet one}
quote_currencies: {USDT: Tether}
market_types: {spot: Spot}
starlistings:
  binance:
    COIN010USDT: {coin: COIN010, quote: USDT, intervals: [1m, 1h]}
"""
NOW = datetime(2026, 11, 18, 13, 30, tzinfo=UTC)
HOUR = parse_interval("1h")
DAYS = days_between(date(2026, 10, 30), date(2026, 11, 2))
FILE = "data/spot/daily/klines/COIN010USDT/1h/COIN010USDT-1h-2026-10-31.zip"


@pytest.fixture
def replay() -> Iterator[RunningReplay]:
    with running_replay(world=World(7, ExchangeClock(1.0, clock_from(NOW)))) as running:
        yield running


class Desk:
    """A platform whose history is the archive alone."""

    def __init__(self, replay: RunningReplay, warehouse: Warehouse, folder: Path) -> None:
        config = small_config(STARLISTINGS)
        with warehouse.begin() as connection:
            sync_reference(connection, config)
        [self.pair] = config.pairs()
        self._replay = replay
        self.platform = Platform(
            Lake.open(folder.as_uri()),
            warehouse,
            lambda _: pytest.fail("no ticks"),
            replay.world.clock.now,
            lambda _: self.dumps(),
        )

    def dumps(self) -> BinanceDumps:
        return BinanceDumps(DumpsConfig(base_url=self._replay.live_url("binance_dumps")), self._replay.world.clock.now)

    def build(self, days: list[date], run: str) -> list[HistoryCandleReport]:
        reports: list[HistoryCandleReport] = []
        build_history_candles(self.platform, self.pair, days, [HOUR], Provenance(run, "test-1"), reports.append)
        return reports

    def reissued(self, series: str = "candles_1h") -> list[Reissue]:
        async def run() -> list[Reissue]:
            async with self.dumps() as dumps:
                return await find_reissued(self.platform, self.pair, series, DAYS, dumps.checksums)

        return asyncio.run(run())


def test_a_reissued_file_is_found_and_its_days_get_a_new_version(
    replay: RunningReplay, warehouse: Warehouse, tmp_path: Path
) -> None:
    desk = Desk(replay, warehouse, tmp_path)
    before = {each.day: each for each in desk.build(DAYS, "run-1")}
    assert desk.reissued() == []
    asked = replay.log.paths.copy()
    assert all(path.endswith((".zip", ".CHECKSUM")) for path in asked)

    replay.fail("COIN010USDT-1h-2026-10-31", "reissued", times=100)
    (found,) = desk.reissued()
    assert (found.day, found.name, found.earlier_sha256) == (
        date(2026, 10, 31),
        FILE,
        before[found.day].inputs[0].sha256,
    )
    assert desk.reissued() == [found]  # as long as it was not fetched anew
    assert {path for path in replay.log.paths if replay.log.paths[path] > asked[path]} == {
        f"/binance/dumps/{each.inputs[0].name}.CHECKSUM" for each in before.values()
    }

    after = {each.day: each for each in desk.build(DAYS, "run-2")}
    assert desk.reissued() == []
    for day in DAYS:
        changed = day == found.day
        assert (after[day].data_version != before[day].data_version) == changed
        assert (after[day].input_version != before[day].input_version) == changed
        assert after[day].changed_rows == int(changed)
    with warehouse.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT day, sha256, earlier_sha256, run_id FROM history_inputs WHERE earlier_sha256 IS NOT NULL"
        ).all()
    assert [tuple(row) for row in rows] == [(found.day, found.sha256, found.earlier_sha256, "run-2")]


def test_what_is_gone_or_was_never_a_file_is_not_reissued(
    replay: RunningReplay, warehouse: Warehouse, tmp_path: Path
) -> None:
    desk = Desk(replay, warehouse, tmp_path)
    desk.build(DAYS, "run-1")
    pair: TradingPair = desk.pair

    async def gone(names: Collection[str]) -> Mapping[str, str | None]:
        return dict.fromkeys(names)

    assert asyncio.run(find_reissued(desk.platform, pair, "candles_1h", DAYS, gone)) == []

    async def nothing_to_ask(names: Collection[str]) -> Mapping[str, str | None]:
        pytest.fail(f"asked for {names}")

    assert asyncio.run(find_reissued(desk.platform, pair, "candles_1m", DAYS, nothing_to_ask)) == []
    with warehouse.begin() as connection:
        connection.exec_driver_sql("UPDATE history_inputs SET name = '/api/v3/klines?symbol=COIN010USDT'")
    assert asyncio.run(find_reissued(desk.platform, pair, "candles_1h", DAYS, nothing_to_ask)) == []
