"""What days were made of, in a real Postgres: the same name with other bytes is told, everything else is quiet."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg

from market_platform.domain.history import RawInput
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.history_inputs import Reissue, load_inputs, record_inputs_of_days
from market_platform_tests.fixtures.reference import synced_pair

DAY, NEXT = date(2026, 3, 1), date(2026, 3, 2)
OLD, NEW, NEWER = "a" * 64, "b" * 64, "c" * 64
NAME = "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-03.zip"


def record(warehouse: Warehouse, pair: int, *inputs: RawInput, run: str = "run-1", day: date = DAY) -> list[Reissue]:
    with warehouse.begin() as conn:
        return record_inputs_of_days(conn, pair, "candles_1m", {day: inputs}, run)


def stored(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with psycopg.connect(warehouse.url) as conn:
        return conn.execute(
            "SELECT day, name, sha256, earlier_sha256, run_id FROM history_inputs ORDER BY day, name"
        ).fetchall()


def test_the_same_name_with_other_bytes_is_told_once_and_keeps_its_earlier_hash(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse).id
    assert record(warehouse, pair, RawInput(NAME, OLD, 100, 1440)) == []
    assert record(warehouse, pair, RawInput(NAME, OLD, 100, 1440), run="run-2") == []
    assert stored(warehouse) == [(DAY, NAME, OLD, None, "run-1")]
    assert record(warehouse, pair, RawInput(NAME, NEW, 101, 1440), run="run-3") == [Reissue(DAY, NAME, OLD, NEW)]
    assert record(warehouse, pair, RawInput(NAME, NEW, 101, 1440), run="run-4") == []
    assert stored(warehouse) == [(DAY, NAME, NEW, OLD, "run-3")]
    assert record(warehouse, pair, RawInput(NAME, NEW, 101, 1439), run="run-5") == []
    assert record(warehouse, pair, RawInput(NAME, NEWER, 101, 1439), run="run-6") == [Reissue(DAY, NAME, NEW, NEWER)]
    assert stored(warehouse) == [(DAY, NAME, NEWER, NEW, "run-6")]


def test_what_a_day_is_no_longer_made_of_is_forgotten_and_other_days_and_series_are_left_alone(
    warehouse: Warehouse,
) -> None:
    pair = synced_pair(warehouse).id
    first, second = RawInput("first", OLD, 1, 1), RawInput("second", OLD, 1, 1)
    record(warehouse, pair, first, second)
    record(warehouse, pair, first, day=NEXT)
    with warehouse.begin() as conn:
        record_inputs_of_days(conn, pair, "trades", {DAY: [first]}, "run-1")
    assert record(warehouse, pair, RawInput("third", NEW, 1, 1), second) == []
    with warehouse.connect() as conn:
        assert load_inputs(conn, pair, "candles_1m", [DAY, NEXT]) == {
            DAY: (second, RawInput("third", NEW, 1, 1)),
            NEXT: (first,),
        }
        assert load_inputs(conn, pair, "trades", [DAY]) == {DAY: (first,)}
        assert load_inputs(conn, pair, "trades", [NEXT]) == {}


def test_a_range_of_days_is_recorded_at_once(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse).id
    with warehouse.begin() as conn:
        same = {day: [RawInput(NAME, OLD, 100, 1440)] for day in (NEXT, DAY)}
        assert record_inputs_of_days(conn, pair, "candles_1m", same, "run-1") == []
        changed = {DAY: [RawInput(NAME, NEW, 100, 1440)], NEXT: [RawInput(NAME, NEW, 100, 1440)]}
        expected = [Reissue(DAY, NAME, OLD, NEW), Reissue(NEXT, NAME, OLD, NEW)]
        assert record_inputs_of_days(conn, pair, "candles_1m", changed, "run-2") == expected
        assert record_inputs_of_days(conn, pair, "candles_1m", {DAY: []}, "run-3") == []
        assert load_inputs(conn, pair, "candles_1m", [DAY, NEXT]) == {NEXT: (RawInput(NAME, NEW, 100, 1440),)}
        assert record_inputs_of_days(conn, pair, "candles_1m", {}, "run-4") == []
