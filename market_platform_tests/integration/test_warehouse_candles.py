"""Candles and their day manifests in a real Postgres: exact, changed only where they differ, safe side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import psycopg
import pytest

from market_platform.domain.candles import CANDLE_SCHEMA, roll_up
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import WarehouseError
from market_platform.domain.intervals import parse_interval
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candles import (
    write_candles,
)
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.candle_frames import candle_frame
from market_platform_tests.fixtures.candle_writes import DAY, FRAME, NEXT, a_write, read, stored_days, write
from market_platform_tests.fixtures.reference import synced_pair


def test_candles_come_back_exactly(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    finest = FRAME.head(3).with_columns(
        open=pl.Series(
            [Decimal("0.000000000000000001"), Decimal("999999999999.999999999999999999"), Decimal("-37.63")]
        ).cast(CANDLE_SCHEMA["open"])
    )
    finest = finest.with_columns(
        high=pl.max_horizontal("open", "high", "close"), low=pl.min_horizontal("open", "low", "close")
    )
    finest = finest.with_columns(num_trades=pl.Series([None, 5, 0], dtype=pl.Int64))
    write(warehouse, a_write(minute, finest))
    back = read(warehouse, minute)
    assert back.schema == CANDLE_SCHEMA
    assert back.equals(finest)


def test_a_first_write_reports_each_day(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    written = write(warehouse, a_write(minute))[minute, DAY]
    assert (written.rows, written.changed_rows, written.revision, written.run_id) == (1440, 1440, 1, "run-1")
    assert written.first_time == datetime(2019, 2, 4, tzinfo=UTC)
    assert written.last_time == datetime(2019, 2, 4, 23, 59, tzinfo=UTC)
    assert written.condition is Condition.AVAILABLE
    assert len(written.data_version) == 32
    stored = stored_days(warehouse, minute)[DAY]
    assert (stored.revision, stored.data_version, stored.rows) == (1, written.data_version, 1440)


def test_the_same_again_changes_nothing_at_all(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    minute, hour = pair.starlistings["1m"], pair.starlistings["1h"]
    writes = [
        a_write(minute),
        a_write(hour, roll_up(FRAME, parse_interval("1h"))),
        a_write(minute, FRAME.clear(), NEXT, Condition.CLOSED),
    ]
    write(warehouse, *writes)
    before = _physical_rows(warehouse)
    again = write(warehouse, *writes, run="run-2")
    assert {(each.changed_rows, each.revision, each.run_id) for each in again.values()} == {(0, 1, "run-1")}
    assert _physical_rows(warehouse) == before


def _physical_rows(warehouse: Warehouse) -> list[tuple[object, ...]]:
    """Where every row lies and which transaction made it: equal only if nothing was written."""
    with psycopg.connect(warehouse.url) as conn:
        candles = conn.execute("SELECT ctid, xmin, starlisting_id, time FROM candles ORDER BY 3, 4").fetchall()
        days = conn.execute("SELECT ctid, xmin, starlisting_id, day FROM candle_days ORDER BY 3, 4").fetchall()
    return candles + days


def test_only_rows_that_differ_are_touched(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    first = write(warehouse, a_write(minute))[minute, DAY]
    before = {row[3]: row[:2] for row in _physical_rows(warehouse) if isinstance(row[3], datetime)}
    changed = FRAME.with_columns(
        high=pl.when(pl.int_range(pl.len()) == 700)
        .then(pl.col("high") + 1)
        .otherwise("high")
        .cast(CANDLE_SCHEMA["high"])
    )
    second = write(warehouse, a_write(minute, changed), run="run-2")[minute, DAY]
    after = {row[3]: row[:2] for row in _physical_rows(warehouse) if isinstance(row[3], datetime)}
    assert [time for time in after if after[time] != before[time]] == [FRAME["time"][700]]
    assert (second.changed_rows, second.revision, second.run_id) == (1, 2, "run-2")
    assert second.data_version != first.data_version
    assert read(warehouse, minute).equals(changed)


def test_a_new_condition_moves_the_manifest_but_not_the_data_version(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    first = write(warehouse, a_write(minute, condition=Condition.DEGRADED))[minute, DAY]
    second = write(warehouse, a_write(minute), run="run-2")[minute, DAY]
    assert (second.changed_rows, second.revision, second.condition) == (0, 2, Condition.AVAILABLE)
    assert second.data_version == first.data_version


def test_the_same_candles_of_other_ticks_move_only_what_they_were_built_from(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, a_write(minute, built_from="first"), a_write(minute, FRAME.clear(), NEXT, built_from="next"))
    before = stored_days(warehouse, minute)
    assert {day: each.input_version for day, each in before.items()} == {DAY: "first", NEXT: "next"}
    again = write(warehouse, a_write(minute, built_from="second"), run="run-2")[minute, DAY]
    assert again == dataclasses.replace(before[DAY], input_version="second")
    assert stored_days(warehouse, minute) == {DAY: again, NEXT: before[NEXT]}
    taller = FRAME.with_columns(high=(pl.col("high") + 1).cast(CANDLE_SCHEMA["high"]))
    changed = write(warehouse, a_write(minute, taller, built_from="third"))[minute, DAY]
    assert (changed.revision, changed.input_version) == (2, "third")
    assert stored_days(warehouse, minute)[DAY].input_version == "third"


def test_a_live_candle_leaves_what_the_day_was_built_from(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, a_write(minute, FRAME.head(10), built_from="ticks"))
    live = a_write(minute, FRAME.slice(10, 1), condition=None, rank=CandleRank.LIVE_STREAM, replace=False)
    assert write(warehouse, live)[minute, DAY].input_version == "ticks"
    assert stored_days(warehouse, minute)[DAY].input_version == "ticks"


def test_a_day_without_candles_has_its_condition(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    empty = write(warehouse, a_write(minute, FRAME.clear(), condition=Condition.CLOSED))[minute, DAY]
    assert (empty.rows, empty.revision, empty.first_time, empty.data_version) == (0, 1, None, "")
    assert stored_days(warehouse, minute)[DAY].condition is Condition.CLOSED


def test_vanished_candles_go_with_replace_and_an_emptied_day_is_noticed(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, a_write(minute))
    fewer = write(warehouse, a_write(minute, FRAME.slice(10, 100)))[minute, DAY]
    assert (fewer.rows, fewer.changed_rows) == (100, 1340)
    assert (fewer.first_time, fewer.last_time) == (FRAME["time"][10], FRAME["time"][109])
    assert read(warehouse, minute).equals(FRAME.slice(10, 100))
    emptied = write(warehouse, a_write(minute, FRAME.clear(), condition=Condition.MISSING))[minute, DAY]
    assert (emptied.rows, emptied.changed_rows, emptied.first_time) == (0, 100, None)
    assert emptied.data_version not in ("", fewer.data_version)


def test_a_higher_rank_stays_and_so_does_its_condition(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, a_write(minute))
    partial = a_write(minute, FRAME.slice(0, 5), condition=Condition.DEGRADED, rank=CandleRank.PARTIAL_TICKS)
    kept = write(warehouse, partial)[minute, DAY]
    assert (kept.rows, kept.changed_rows, kept.condition, kept.revision) == (1440, 0, Condition.AVAILABLE, 1)


def test_complete_ticks_beside_the_exchanges_own_candles_complete_the_day(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    live = a_write(minute, FRAME.slice(0, 5), condition=None, rank=CandleRank.EXCHANGE, replace=False)
    assert write(warehouse, live)[minute, DAY].condition is Condition.PENDING
    backfilled = write(warehouse, a_write(minute))[minute, DAY]
    assert (backfilled.condition, backfilled.rows, backfilled.changed_rows) == (Condition.AVAILABLE, 1440, 1435)


def test_a_live_writer_adds_candle_by_candle(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    ones = [
        a_write(minute, FRAME.slice(position, 1), condition=None, rank=CandleRank.LIVE_STREAM, replace=False)
        for position in range(3)
    ]
    for position, one in enumerate(ones):
        day = write(warehouse, one)[minute, DAY]
        assert (day.rows, day.changed_rows, day.revision) == (position + 1, 1, position + 1)
        assert (day.first_time, day.last_time) == (FRAME["time"][0], FRAME["time"][position])
        assert day.condition is Condition.PENDING
    complete = write(warehouse, a_write(minute), run="backfill")[minute, DAY]
    assert (complete.rows, complete.changed_rows, complete.condition) == (1440, 1437, Condition.AVAILABLE)
    late = write(warehouse, ones[1])[minute, DAY]
    assert (late.changed_rows, late.run_id) == (0, "backfill")


def test_weeks_and_months_are_days_named_by_their_first(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    week, month = pair.starlistings["1w"], pair.starlistings["1M"]
    weekly = candle_frame(DAY, 1, interval=parse_interval("1w"))
    monthly = candle_frame(date(2019, 2, 1), 1, interval=parse_interval("1M"))
    written = write(warehouse, a_write(week, weekly), a_write(month, monthly, date(2019, 2, 1)))
    assert {key: each.rows for key, each in written.items()} == {(week, DAY): 1, (month, date(2019, 2, 1)): 1}
    assert read(warehouse, week).equals(weekly)


def test_many_starlistings_and_days_in_one_write(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    days = [DAY + timedelta(days=offset) for offset in range(31)]
    frames = {day: candle_frame(day, 1440, seed=offset) for offset, day in enumerate(days)}
    intervals = [parse_interval(name) for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d")]
    writes = [
        a_write(pair.starlistings[each.name], roll_up(frame, each), day)
        for day, frame in frames.items()
        for each in intervals
    ]
    written = write(warehouse, *reversed(writes))
    assert len(written) == 248
    assert sum(each.changed_rows for each in written.values()) == 31 * (1440 + 288 + 96 + 48 + 24 + 6 + 2 + 1)
    assert read(warehouse, pair.starlistings["1m"], days=31).equals(pl.concat(frames.values()))
    with psycopg.connect(warehouse.url) as conn:
        hours = conn.execute(
            "SELECT count(*) FROM candles_1h WHERE exchange = 'dukascopy' AND symbol = 'EURUSD' AND time < '2019-02-05'"
        ).fetchone()
    assert hours == (24,)
    assert sum(each.changed_rows for each in write(warehouse, *writes).values()) == 0


def test_one_frame_over_several_days(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    frame = candle_frame(DAY, 2000)
    days = [DAY, NEXT, date(2019, 2, 6)]
    conditions = {DAY: Condition.AVAILABLE, NEXT: Condition.DEGRADED, days[2]: Condition.CLOSED}
    with warehouse.begin() as conn:
        written = write_candles(
            conn,
            starlisting_id=minute,
            days=days,
            candles=frame,
            source=CandleRank.COMPLETE_TICKS,
            conditions=conditions,
            run_id="run-1",
            code_version="1",
        )
    assert [written[day].rows for day in days] == [1440, 560, 0]
    assert {day: each.condition for day, each in written.items()} == conditions
    with warehouse.begin() as conn, pytest.raises(WarehouseError, match="2019-02-05 is not among the days"):
        write_candles(
            conn,
            starlisting_id=minute,
            days=[DAY],
            candles=frame,
            source=CandleRank.COMPLETE_TICKS,
            conditions={},
            run_id="run-1",
            code_version="1",
        )


def test_an_unknown_starlisting_is_refused(warehouse: Warehouse) -> None:
    synced_pair(warehouse)
    with pytest.raises(WarehouseError, match="run `market-platform config sync`"):
        write(warehouse, a_write(99_999))
    with pytest.raises(WarehouseError, match="twice in one write"):
        write(warehouse, a_write(1), a_write(1))


def test_a_rebuilt_database_has_the_same_versions(warehouse: Warehouse, make_database: Sequence[str]) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    history = [a_write(minute, FRAME.slice(0, 700)), a_write(minute), a_write(minute, FRAME.slice(3))]
    versions = [write(warehouse, each, run="a")[minute, DAY].data_version for each in history]
    with warehouse.begin() as conn:
        conn.exec_driver_sql("TRUNCATE candles, candle_days")
    assert [write(warehouse, each, run="b")[minute, DAY].data_version for each in history] == versions
    assert len(set(versions)) == 3
