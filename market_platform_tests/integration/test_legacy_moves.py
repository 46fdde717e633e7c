"""Legacy ticks from a real Postgres into a lake: right rows, verified, dropped only when proved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import CorruptObjectError, DayFailedError, WarehouseError
from market_platform.domain.ticks import Ticks
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.legacy_day import Allowances
from market_platform.pipeline.legacy_moves import Mover
from market_platform.pipeline.legacy_store import MovedDay
from market_platform.pipeline.platform import Provenance
from market_platform.warehouse import market_ticks
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, load_lake_days
from market_platform.warehouse.market_ticks import days_with_ticks, pair_ids_with_ticks, ticks_session
from market_platform.warehouse.reference import PairRow
from market_platform_tests.fixtures.lakes import KINDS, Lakes
from market_platform_tests.fixtures.legacy_ticks import count_rows, distinct_ticks, insert_rows, rows_of
from market_platform_tests.fixtures.reference import synced_pair

DAY = date(2024, 3, 4)
NEXT = date(2024, 3, 5)
PROVENANCE = Provenance("test-run", "ticks-test")


@pytest.fixture(scope="module")
def lakes() -> Iterator[Lakes]:
    made = Lakes()
    yield made
    made.stop()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open((tmp_path / "lake").as_uri())


@pytest.fixture
def pair(warehouse: Warehouse) -> PairRow:
    return synced_pair(warehouse)


def move(lake: Lake, warehouse: Warehouse, pair: PairRow, **options: Any) -> list[MovedDay]:
    with warehouse.connect() as conn:
        days = days_with_ticks(conn, pair.id, date.min, date.max)
    mover = Mover(lake, warehouse, PROVENANCE, **options)
    return mover.move([(pair, day) for day in days], lambda _: None)


def in_lake(lake: Lake, warehouse: Warehouse, pair: PairRow, day: date = DAY) -> tuple[LakeDay, Ticks]:
    with warehouse.connect() as conn:
        manifest = load_lake_days(conn, pair.id, day, day)[day]
    assert manifest.object_key is not None
    return manifest, TICK_DAYS.read(lake, manifest.object_key, expect_hash=manifest.content_hash)


def commit(lake: Lake, warehouse: Warehouse, pair: PairRow, ticks: Ticks, condition: Condition) -> None:
    """What a backfill would have left in the lake."""
    file = TICK_DAYS.write(lake, pair.exchange, pair.symbol, DAY, ticks, {"condition": condition.value})
    span = from_ms(int(ticks.time[0])), from_ms(int(ticks.time[-1]))
    row = LakeDay(
        pair.id, DAY, file.object_key, file.content_hash, file.rows, file.bytes, *span, condition, "backfill", "v1"
    )
    with warehouse.begin() as conn:
        commit_lake_day(conn, row)


def assert_same(found: Ticks, expected: Ticks) -> None:
    assert (found.price_scale, found.volume_scale) == (expected.price_scale, expected.volume_scale)
    for mine, theirs in zip(found.columns, expected.columns, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_days_come_out_of_the_lake_as_they_were_in_postgres(
    lakes: Lakes, kind: str, tmp_path: Path, warehouse: Warehouse, pair: PairRow
) -> None:
    lake = lakes.make(kind, tmp_path)
    expected = {day: distinct_ticks(day, 3000, seed=day.day, volume_scale=1) for day in (DAY, NEXT)}
    rows = [row for ticks in expected.values() for row in rows_of(ticks)]
    random.Random(5).shuffle(rows)
    insert_rows(warehouse.url, pair.id, rows)
    moved = move(lake, warehouse, pair)
    assert [(each.move.day, each.move.state, each.move.relation) for each in moved] == [
        (DAY, "verified", "moved"),
        (NEXT, "verified", "moved"),
    ]
    for day, ticks in expected.items():
        manifest, found = in_lake(lake, warehouse, pair, day)
        assert manifest.condition is Condition.DEGRADED
        assert_same(found.with_volume_scale(1), ticks)
    assert count_rows(warehouse.url) == len(rows), "nothing is dropped unless asked"


def test_a_day_of_many_pieces_becomes_the_same_file_and_is_dropped(
    lake: Lake, warehouse: Warehouse, pair: PairRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(distinct_ticks(DAY, 2000))
    rows += rows[::50]
    random.Random(6).shuffle(rows)
    insert_rows(warehouse.url, pair.id, rows)
    (whole,) = move(lake, warehouse, pair)
    _, expected = in_lake(lake, warehouse, pair)
    with psycopg.connect(warehouse.url) as conn:
        conn.execute("TRUNCATE tick_moves, lake_days")
    monkeypatch.setattr(market_ticks, "PIECE_BYTES", 1000)
    (cut,) = move(lake, warehouse, pair, drop=True)
    assert cut.move == replace(whole.move, state="dropped")
    assert cut.examples == whole.examples
    assert_same(in_lake(lake, warehouse, pair)[1], expected)
    assert count_rows(warehouse.url) == 0


def test_duplicates_are_counted_and_named(lake: Lake, warehouse: Warehouse, pair: PairRow) -> None:
    ticks = distinct_ticks(DAY, 500)
    rows = rows_of(ticks)
    insert_rows(warehouse.url, pair.id, [*rows, rows[7], rows[7], rows[100]])
    (moved,) = move(lake, warehouse, pair)
    assert (moved.move.rows, moved.move.duplicates) == (len(rows) + 3, 3)
    assert len(moved.examples) == 2
    assert moved.examples[0].endswith(f"bid {rows[7][1].rstrip('0')} ask {rows[7][2].rstrip('0')}, 3 times")
    assert_same(in_lake(lake, warehouse, pair)[1], ticks)


def test_ticks_of_one_millisecond_do_not_depend_on_postgres_order(
    lake: Lake, warehouse: Warehouse, pair: PairRow
) -> None:
    at = "2024-03-04T10:00:00.001+00:00"
    rows = [(at, str(price), "2", "1", "1") for price in (1.5, 1.25, 1.75)]
    insert_rows(warehouse.url, pair.id, rows)
    (first,) = move(lake, warehouse, pair)
    with psycopg.connect(warehouse.url) as conn:
        conn.execute("TRUNCATE market_ticks, tick_moves, lake_days")
    insert_rows(warehouse.url, pair.id, rows[::-1])
    (second,) = move(lake, warehouse, pair)
    assert first.move.source_hash == second.move.source_hash
    assert in_lake(lake, warehouse, pair)[1].bid.tolist() == [125, 150, 175]


def test_times_finer_than_a_millisecond_are_refused_or_cut_and_counted(
    lake: Lake, warehouse: Warehouse, pair: PairRow
) -> None:
    rows = [
        ("2024-03-04 10:00:00.000100+00", "1.1", "1.2", "1", "1"),
        ("2024-03-04 10:00:00.000200+00", "1.1", "1.2", "1", "1"),
        ("2024-03-04 10:00:00.001+00", "1.1", "1.2", "1", "1"),
    ]
    insert_rows(warehouse.url, pair.id, rows)
    with pytest.raises(DayFailedError, match=r"10:00:00\.000100 bid 1\.1; --truncate-times"):
        move(lake, warehouse, pair)
    (moved,) = move(lake, warehouse, pair, allow=Allowances(truncate_times=True), drop=True)
    assert (moved.move.state, moved.move.rows, moved.move.truncated, moved.move.merged) == ("dropped", 3, 2, 1)
    assert len(in_lake(lake, warehouse, pair)[1]) == 2


def test_null_volumes_are_refused_or_zero_and_counted(lake: Lake, warehouse: Warehouse, pair: PairRow) -> None:
    insert_rows(warehouse.url, pair.id, [("2024-03-04 10:00+00", "1.1", "1.2", None, "2")])
    with pytest.raises(DayFailedError, match=r"NULL volume.*--zero-volumes"):
        move(lake, warehouse, pair)
    (moved,) = move(lake, warehouse, pair, allow=Allowances(zero_volumes=True), drop=True)
    assert (moved.move.state, moved.move.zeroed) == ("dropped", 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("2024-03-04 10:00+00", "NaN", "1.2", "1", "2"), "10:00:00.* has the bid NaN"),
        (("2024-03-04 10:00+00", "0", "1.2", "1", "2"), "bid price 0 .* not above zero"),
        (("2024-03-04 10:00+00", "1.000000000000000001", "1.2", "1", "2"), "need 18 decimals.*10:00:00"),
    ],
)
def test_what_no_tick_can_hold_is_refused_and_the_other_days_move(
    lake: Lake, warehouse: Warehouse, pair: PairRow, row: Any, message: str
) -> None:
    good = rows_of(distinct_ticks(NEXT, 100))
    insert_rows(warehouse.url, pair.id, [row, *good])
    with pytest.raises(DayFailedError, match=message) as raised:
        move(lake, warehouse, pair, drop=True)
    assert list(raised.value.failures) == ["dukascopy/EURUSD 2024-03-04"]
    assert count_rows(warehouse.url) == 1
    assert len(in_lake(lake, warehouse, pair, NEXT)[1]) == len(good)


def test_a_complete_day_of_the_exchange_stays(lake: Lake, warehouse: Warehouse, pair: PairRow) -> None:
    ticks = distinct_ticks(DAY, 400)
    rows = rows_of(ticks)
    cases = {
        "equal": (rows, "verified"),
        "lake_has_more": (rows[:-10], "verified"),
        "postgres_has_more": ([*rows, ("2024-03-04 23:59:59.999+00", "9", "9", "1", "1")], "kept"),
        "differs": ([*rows[1:], ("2024-03-04 23:59:59.999+00", "9", "9", "1", "1")], "kept"),
    }
    commit(lake, warehouse, pair, ticks, Condition.AVAILABLE)
    before, _ = in_lake(lake, warehouse, pair)
    for relation, (legacy, state) in cases.items():
        with psycopg.connect(warehouse.url) as conn:
            conn.execute("TRUNCATE market_ticks, tick_moves")
        insert_rows(warehouse.url, pair.id, legacy)
        (moved,) = move(lake, warehouse, pair, drop=True)
        assert moved.move.relation == relation
        assert moved.move.state == ("dropped" if state == "verified" else "kept")
        assert count_rows(warehouse.url) == (0 if state == "verified" else len(legacy))
        assert in_lake(lake, warehouse, pair)[0] == before


def test_an_incomplete_day_is_replaced_only_by_one_that_has_all_of_it(
    lake: Lake, warehouse: Warehouse, pair: PairRow
) -> None:
    ticks = distinct_ticks(DAY, 400)
    rows = rows_of(ticks)
    part = ticks.with_columns(column[50:300] for column in ticks.columns)
    commit(lake, warehouse, pair, part, Condition.DEGRADED)
    insert_rows(warehouse.url, pair.id, rows[60:])
    (moved,) = move(lake, warehouse, pair)
    assert (moved.move.state, moved.move.relation, moved.missing) == ("kept", "differs", 100)
    insert_rows(warehouse.url, pair.id, rows[:60])
    (moved,) = move(lake, warehouse, pair)
    assert (moved.move.state, moved.move.relation, moved.again) == ("verified", "postgres_has_more", False)
    assert_same(in_lake(lake, warehouse, pair)[1], ticks)


def test_a_verified_day_is_not_read_again_unless_its_rows_changed(
    lake: Lake, warehouse: Warehouse, pair: PairRow
) -> None:
    rows = rows_of(distinct_ticks(DAY, 300))
    insert_rows(warehouse.url, pair.id, rows[:200])
    move(lake, warehouse, pair)
    assert [each.again for each in move(lake, warehouse, pair)] == [True]
    insert_rows(warehouse.url, pair.id, rows[200:])
    (moved,) = move(lake, warehouse, pair)
    assert (moved.again, moved.move.rows) == (False, len(rows))


def test_rows_that_changed_since_they_were_verified_are_not_dropped(
    lake: Lake, warehouse: Warehouse, pair: PairRow
) -> None:
    rows = rows_of(distinct_ticks(DAY, 300))
    insert_rows(warehouse.url, pair.id, rows)
    move(lake, warehouse, pair)
    with psycopg.connect(warehouse.url) as conn:  # the count stays
        conn.execute("UPDATE market_ticks SET bid = bid / 2 WHERE ctid = (SELECT min(ctid) FROM market_ticks)")
    with pytest.raises(DayFailedError, match="not the 300 that were verified; nothing was dropped"):
        move(lake, warehouse, pair, drop=True)
    assert count_rows(warehouse.url) == len(rows)


def test_nothing_is_dropped_when_the_lakes_file_is_damaged(
    tmp_path: Path, lake: Lake, warehouse: Warehouse, pair: PairRow
) -> None:
    rows = rows_of(distinct_ticks(DAY, 300))
    insert_rows(warehouse.url, pair.id, rows)
    (moved,) = move(lake, warehouse, pair)
    assert moved.move.object_key is not None
    file = tmp_path / "lake" / moved.move.object_key
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with pytest.raises(DayFailedError) as raised:
        move(lake, warehouse, pair, drop=True)
    assert isinstance(next(iter(raised.value.failures.values())), CorruptObjectError)
    assert count_rows(warehouse.url) == len(rows)


def test_only_one_may_move_or_load_at_a_time(warehouse: Warehouse) -> None:
    with (
        ticks_session(warehouse.url, "first"),
        pytest.raises(WarehouseError, match="already, by first"),
        ticks_session(warehouse.url, "second"),
    ):
        pass
    with ticks_session(warehouse.url, "third") as alone:
        alone.check()


def test_days_are_found_by_the_index(warehouse: Warehouse, pair: PairRow) -> None:
    insert_rows(
        warehouse.url,
        pair.id,
        [
            ("2019-01-01 23:59:59.999+00", "1", "1", "1", "1"),
            ("2019-01-02 00:00+00", "1", "1", "1", "1"),
            ("2024-03-04 12:00+00", "1", "1", "1", "1"),
            ("infinity", "1", "1", "1", "1"),
        ],
    )
    with warehouse.connect() as conn:
        assert pair_ids_with_ticks(conn) == [pair.id]
        assert days_with_ticks(conn, pair.id, date.min, date.max) == [date(2019, 1, 1), date(2019, 1, 2), DAY]
        assert days_with_ticks(conn, pair.id, date(2019, 1, 2), date(2024, 3, 3)) == [date(2019, 1, 2)]
