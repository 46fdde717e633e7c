"""Parts of a day become one proved, committed file, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from market_platform.domain.clock import Clock, utc_now
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import BadPayloadError, CorruptObjectError, LakeUnavailableError
from market_platform.domain.quotes import ticks_from_quotes
from market_platform.domain.trades import Trades
from market_platform.lake.parts import list_parts, write_tick_parts, write_trade_parts
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.lake.trade_days import TRADE_DAYS
from market_platform.pipeline.compaction import compact_day
from market_platform.pipeline.platform import Platform, Provenance
from market_platform.pipeline.reports import CompactionReport
from market_platform.pipeline.sweep import sweep_superseded
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.gaps import GapRecord, record_gaps
from market_platform.warehouse.lake_days import LakeDay, load_lake_days
from market_platform.warehouse.reference import PairRow, load_pair
from market_platform_tests.fixtures.live_sink import DAY, NOON_MS, quote, synced_pairs, trade

PROVENANCE = Provenance("run-1", "test-1")
NEXT_DAY = datetime(2026, 3, 3, 6, tzinfo=UTC)
DAY_BEFORE = NOON_MS - 86_400_000


def at(moment: datetime) -> Clock:
    return lambda: moment


class World:
    """A platform, a pair, and what is known of its day."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        synced_pairs(warehouse)
        self.lake = Lake.open((folder / "lake").as_uri())
        self.platform = Platform(
            self.lake, warehouse, open_source=lambda _: pytest.fail("no exchange is asked"), clock=at(NEXT_DAY)
        )
        with warehouse.connect() as conn:
            self.row: PairRow = load_pair(conn, "binance", "BTCUSDT")
            self.oanda: PairRow = load_pair(conn, "oanda", "EURUSD")

    def put(self, ids: Sequence[int], **changes: str) -> None:
        trades = Trades.from_events([trade(each, NOON_MS + each, **changes) for each in ids])
        write_trade_parts(self.lake, "binance", "BTCUSDT", trades, {})

    def put_day_before(self) -> None:
        write_trade_parts(self.lake, "binance", "BTCUSDT", Trades.from_events([trade(0, DAY_BEFORE)]), {})

    def compact(self, condition: Condition | None = None) -> CompactionReport:
        return compact_day(self.platform, self.row, DAY, "trades", PROVENANCE, condition=condition)

    @property
    def parts(self) -> list[str]:
        return list_parts(TRADE_DAYS, self.lake, "binance", "BTCUSDT", DAY)

    @property
    def manifest(self) -> LakeDay | None:
        with self.platform.warehouse.connect() as conn:
            return load_lake_days(conn, self.row.id, DAY, DAY, kind="trades").get(DAY)

    def committed(self) -> Trades:
        manifest = self.manifest
        assert manifest is not None
        assert manifest.object_key is not None
        return TRADE_DAYS.read(self.lake, manifest.object_key, manifest.content_hash)


@pytest.fixture
def world(warehouse: Warehouse, tmp_path: Path) -> World:
    return World(warehouse, tmp_path)


def test_parts_become_the_day_and_go(world: World) -> None:
    world.put_day_before()
    world.put(range(501, 1001))
    world.put(range(1, 601))

    report = world.compact()

    assert (report.rows, report.parts, report.duplicates, report.condition) == (1000, 2, 100, Condition.AVAILABLE)
    assert report.changed
    assert world.committed().trade_id.tolist() == list(range(1, 1001))
    assert world.parts == []
    manifest = world.manifest
    assert manifest is not None
    assert (manifest.object_key, manifest.content_hash, manifest.rows) == (report.object_key, report.content_hash, 1000)


def test_running_twice_changes_nothing_and_late_parts_are_taken_in(world: World) -> None:
    world.put_day_before()
    world.put(range(1, 101))
    first = world.compact()
    manifest = world.manifest

    again = world.compact()

    assert replace(again, changed=True, parts=1) == first
    assert world.manifest == manifest
    world.put(range(90, 121))
    late = world.compact()
    assert (late.rows, late.duplicates, late.changed) == (120, 11, True)
    assert world.committed().trade_id.tolist() == list(range(1, 121))


@pytest.mark.parametrize("dies_in", ["commit", "first delete", "second delete"])
def test_killed_at_any_point_and_run_again_it_is_whole(
    world: World, dies_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(range(1, 11))
    world.put(range(11, 21))
    left = {"first delete": 0, "second delete": 1}.get(dies_in, 9)
    delete = world.lake.delete

    def dying_delete(key: str) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        delete(key)

    def dying_commit(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(world.lake, "delete", dying_delete)
        if dies_in == "commit":
            patch.setattr("market_platform.pipeline.compaction.commit_lake_day", dying_commit)
        with pytest.raises(KeyboardInterrupt):
            world.compact()

    report = world.compact()

    assert report.rows == 20
    assert world.committed().trade_id.tolist() == list(range(1, 21))
    assert world.parts == []


def test_a_lost_manifest_does_not_lose_the_days_file(world: World, warehouse: Warehouse) -> None:
    world.put(range(1, 11))
    world.compact()
    with warehouse.begin() as conn:
        conn.exec_driver_sql("DELETE FROM lake_days")
    world.put(range(11, 21))

    assert world.compact().rows == 20


def test_what_does_not_read_back_is_not_committed_and_the_parts_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(range(1, 11))
    put = world.lake.put_new
    monkeypatch.setattr(world.lake, "put_new", lambda key, data: put(key, data[:-40] + data[-39:]))

    with pytest.raises(CorruptObjectError):
        world.compact()

    assert len(world.parts) == 1
    assert world.manifest is None


def test_a_lake_that_is_away_leaves_everything_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(range(1, 11))

    def refuse(*_: object) -> bool:
        raise LakeUnavailableError("away")

    monkeypatch.setattr(world.lake, "put_new", refuse)
    with pytest.raises(LakeUnavailableError):
        world.compact()
    assert len(world.parts) == 1


def test_two_trades_of_one_id_are_an_error_that_names_it(world: World) -> None:
    world.put([1, 2])
    world.put([2, 3], price="1")

    with pytest.raises(BadPayloadError, match="trade 2 "):
        world.compact()
    assert len(world.parts) == 2


def test_the_condition_follows_the_ledger_and_the_clock(world: World, warehouse: Warehouse) -> None:
    world.put(range(1, 11))
    assert world.compact().condition is Condition.DEGRADED  # the stream began within the day
    world.put_day_before()
    assert world.compact().condition is Condition.AVAILABLE
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    with warehouse.begin() as conn:
        record_gaps(conn, [GapRecord(world.row.id, "trades", noon, "disconnect", end=noon + timedelta(minutes=1))])
    degraded = world.compact()
    assert (degraded.condition, degraded.gaps) == (Condition.DEGRADED, 1)
    assert world.compact(Condition.AVAILABLE).condition is Condition.AVAILABLE
    world.platform = replace(world.platform, clock=at(noon))
    assert world.compact().condition is Condition.PENDING


def test_a_day_without_parts_is_not_committed(world: World) -> None:
    report = world.compact()

    assert (report.rows, report.object_key, report.changed) == (0, None, False)
    assert world.manifest is None


def test_quotes_of_several_scales_become_a_tick_day(world: World) -> None:
    for bid in ("1.0870", "1.08703"):
        ticks = ticks_from_quotes([quote(NOON_MS + each, bid=bid) for each in range(5)])
        write_tick_parts(world.lake, "oanda", "EURUSD", ticks, {})
        write_tick_parts(world.lake, "oanda", "EURUSD", ticks.between(NOON_MS, NOON_MS + 3), {})

    report = compact_day(world.platform, world.oanda, DAY, "ticks", PROVENANCE)

    assert (report.rows, report.duplicates, report.kind) == (10, 6, "ticks")
    assert report.object_key is not None
    assert TICK_DAYS.read(world.lake, report.object_key, report.content_hash).price_scale == 5
    assert list_parts(TICK_DAYS, world.lake, "oanda", "EURUSD", DAY) == []


def test_day_files_that_a_later_one_replaced_are_swept(world: World) -> None:
    world.put(range(1, 11))
    first = world.compact().object_key
    world.put(range(11, 21))
    second = world.compact().object_key
    removed: list[str] = []

    sweep_superseded(replace(world.platform, clock=lambda: utc_now() + timedelta(days=2)), removed.append)

    assert removed == [first]
    assert [info.key for info in TRADE_DAYS.files(world.lake, "binance", "BTCUSDT", DAY)] == [second]
