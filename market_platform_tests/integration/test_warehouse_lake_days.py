"""Lake manifests: a day is committed once, and sums over days never add up the history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from market_platform.domain.conditions import Condition
from market_platform.domain.days import Instrument
from market_platform.domain.sessions import FOREX
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import (
    LakeDay,
    LakeStatistics,
    commit_lake_day,
    lake_statistics,
    load_lake_days,
)
from market_platform.warehouse.reference import store_instrument
from market_platform_tests.fixtures.reference import synced_pair

MONDAY = date(2019, 2, 4)


def a_day(pair_id: int, day: date = MONDAY, rows: int = 100, condition: Condition = Condition.AVAILABLE) -> LakeDay:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return LakeDay(
        trading_pair_id=pair_id,
        day=day,
        object_key=f"ticks/EURUSD/{day:%Y/%m/%d}/dukascopy-{rows:016x}.parquet" if rows else None,
        content_hash=f"{rows:064x}" if rows else "",
        rows=rows,
        bytes=rows * 4,
        first_time=start + timedelta(milliseconds=7) if rows else None,
        last_time=start + timedelta(hours=23) if rows else None,
        condition=condition,
        run_id="run-1",
        code_version="ticks-1",
        raw_inputs=[{"hour": 0, "state": "full", "rows": rows, "bytes": 1, "sha256": "ab", "source": "json"}],
    )


def commit(warehouse: Warehouse, *days: LakeDay) -> list[bool]:
    with warehouse.begin() as conn:
        return [commit_lake_day(conn, day) for day in days]


def statistics(warehouse: Warehouse) -> LakeStatistics:
    with warehouse.connect() as conn:
        [only] = lake_statistics(conn)
        return only


def test_a_committed_day_comes_back_whole(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    day, closed = a_day(pair.id), a_day(pair.id, date(2019, 2, 9), 0, Condition.CLOSED)
    assert commit(warehouse, day, closed) == [True, True]
    with warehouse.connect() as conn:
        stored = load_lake_days(conn, pair.id, date(2019, 2, 1), date(2019, 2, 28))
    assert list(stored) == [day.day, closed.day]
    assert replace(stored[day.day], written_at=None) == day
    assert replace(stored[closed.day], written_at=None) == closed
    assert stored[day.day].written_at is not None


def test_the_same_content_again_is_no_change_whoever_ran_it(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    day = a_day(pair.id)
    assert commit(warehouse, day, replace(day, run_id="run-2")) == [True, False]
    assert commit(warehouse, replace(day, condition=Condition.DEGRADED, run_id="run-3")) == [True]
    with warehouse.connect() as conn:
        assert load_lake_days(conn, pair.id, MONDAY, MONDAY)[MONDAY].run_id == "run-3"


def test_statistics_follow_every_change(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    commit(warehouse, a_day(pair.id), a_day(pair.id, date(2019, 2, 5), 50))
    assert (statistics(warehouse).rows, statistics(warehouse).days, statistics(warehouse).bytes) == (150, 2, 600)
    commit(warehouse, a_day(pair.id, date(2019, 2, 5), 70))
    assert (statistics(warehouse).rows, statistics(warehouse).bytes) == (170, 680)
    commit(warehouse, a_day(pair.id, date(2019, 2, 5), 0, Condition.MISSING))
    found = statistics(warehouse)
    assert (found.rows, found.days, found.conditions) == (100, 1, {"available": 1, "missing": 1})
    with psycopg.connect(warehouse.url) as conn:
        conn.execute("DELETE FROM lake_days WHERE day = '2019-02-04'")
    found = statistics(warehouse)
    assert (found.rows, found.days, found.first_time, found.gaps) == (0, 0, None, 0)


def test_gaps_are_days_that_lack_data_while_the_market_was_open(warehouse: Warehouse) -> None:
    """Monday, Tuesday degraded, Wednesday never fetched, a weekend never fetched, the next Monday."""
    pair = synced_pair(warehouse)
    commit(
        warehouse,
        a_day(pair.id),
        a_day(pair.id, date(2019, 2, 5), 50, Condition.DEGRADED),
        a_day(pair.id, date(2019, 2, 7)),
        a_day(pair.id, date(2019, 2, 8)),
        a_day(pair.id, date(2019, 2, 11)),
        a_day(pair.id, date(2019, 2, 12), 0, Condition.MISSING),
    )
    assert statistics(warehouse).gaps == 4, "without a description, Wednesday, Saturday and Sunday all count"
    with warehouse.begin() as conn:
        store_instrument(conn, pair.id, Instrument("EURUSD", "EUR-USD", 5, FOREX))
    assert statistics(warehouse).gaps == 3, "Saturday is closed; Sunday opens at 22:00"


def test_a_file_without_ticks_and_ticks_without_a_file_are_refused(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    with pytest.raises(psycopg.errors.CheckViolation, match="lake_days_object"):
        commit(warehouse, replace(a_day(pair.id), object_key=None))
