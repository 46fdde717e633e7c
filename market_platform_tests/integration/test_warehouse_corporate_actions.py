"""Dividends and splits in a real Postgres: exact, written by day, changed only where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import psycopg
import pytest

from market_platform.domain.clock import day_start_ms
from market_platform.domain.errors import WarehouseError
from market_platform.domain.history import CorporateAction
from market_platform.warehouse.corporate_actions import read_corporate_actions, write_corporate_actions
from market_platform.warehouse.engine import Warehouse
from market_platform_tests.fixtures.reference import synced_pair

DAY = date(2024, 6, 10)
NEXT = DAY + timedelta(days=1)


def action(kind: Literal["dividend", "split"], value: str, day: date = DAY) -> CorporateAction:
    return CorporateAction(kind, day_start_ms(day), Decimal(value))


def put(
    warehouse: Warehouse, pair: int, days: dict[date, Sequence[CorporateAction]], run_id: str = "run", **more: Any
) -> int:
    with warehouse.begin() as conn:
        return write_corporate_actions(conn, pair, days, run_id=run_id, **more)


def read(warehouse: Warehouse, pair: int, first: date = DAY, after: date = NEXT) -> tuple[CorporateAction, ...]:
    edges = (datetime(each.year, each.month, each.day, tzinfo=UTC) for each in (first, after))
    with warehouse.connect() as conn:
        return read_corporate_actions(conn, pair, *edges)


def run_ids(warehouse: Warehouse) -> list[str]:
    with psycopg.connect(warehouse.url) as conn:
        return [run for (run,) in conn.execute("SELECT run_id FROM corporate_actions ORDER BY time, kind")]


def test_what_is_written_is_read_digit_for_digit(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse).id
    third = action("split", "0.333333333333333333", NEXT)
    wrote = put(warehouse, pair, {DAY: [action("dividend", "0.24"), action("split", "10")], NEXT: [third]})
    assert wrote == 3
    assert read(warehouse, pair) == (action("dividend", "0.24"), action("split", "10"))
    assert read(warehouse, pair, NEXT, NEXT + timedelta(days=1)) == (third,)
    assert read(warehouse, pair, DAY, NEXT + timedelta(days=1)) == (
        action("dividend", "0.24"),
        action("split", "10"),
        third,
    )


def test_writing_the_same_again_changes_nothing(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse).id
    put(warehouse, pair, {DAY: [action("dividend", "0.24")]}, "first")
    assert put(warehouse, pair, {DAY: [action("dividend", "0.240")]}, "second") == 0
    assert run_ids(warehouse) == ["first"]


def test_a_corrected_value_replaces_and_one_taken_back_is_removed(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse).id
    put(warehouse, pair, {DAY: [action("dividend", "0.24"), action("split", "4")]}, "first")
    assert put(warehouse, pair, {DAY: [action("dividend", "0.25")]}, "second") == 2
    assert read(warehouse, pair) == (action("dividend", "0.25"),)
    assert run_ids(warehouse) == ["second"]
    assert put(warehouse, pair, {DAY: []}) == 1
    assert read(warehouse, pair) == ()


def test_an_incomplete_write_and_other_days_and_pairs_leave_rows_alone(warehouse: Warehouse) -> None:
    pair, other = synced_pair(warehouse).id, synced_pair(warehouse, symbol="BTCUSD").id
    for each in (pair, other):
        put(warehouse, each, {DAY: [action("split", "4")], NEXT: [action("dividend", "1", NEXT)]})
    assert put(warehouse, pair, {DAY: []}, complete=False) == 0
    assert put(warehouse, pair, {DAY: []}) == 1
    assert read(warehouse, pair, NEXT, NEXT + timedelta(days=1)) == (action("dividend", "1", NEXT),)
    assert read(warehouse, other) == (action("split", "4"),)


def test_a_rolled_back_transaction_leaves_nothing(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse).id
    with warehouse.connect() as conn:
        assert write_corporate_actions(conn, pair, {DAY: [action("split", "4")]}, run_id="run") == 1
    assert read(warehouse, pair) == ()


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        ([action("split", "4", NEXT)], "is of another day"),
        ([action("split", "4"), action("split", "5")], "is given twice"),
        ([action("dividend", "0.1234567890123456789")], "more than 18 decimals"),
        ([action("dividend", "0")], "Postgres refused"),
        ([action("dividend", "-1")], "Postgres refused"),
        ([action("dividend", "1e15")], "Postgres refused"),
        ([action("dividend", "NaN")], "more than 18 decimals"),
    ],
    ids=["other day", "twice", "digits", "zero", "negative", "large", "nan"],
)
def test_what_can_not_be_is_refused(warehouse: Warehouse, actions: list[CorporateAction], told: str) -> None:
    pair = synced_pair(warehouse).id
    with pytest.raises(WarehouseError, match=told):
        put(warehouse, pair, {DAY: actions})
    assert read(warehouse, pair) == ()


def test_a_pair_that_is_not_there_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="trading pair 999"):
        put(warehouse, 999, {DAY: [action("split", "4")]})
