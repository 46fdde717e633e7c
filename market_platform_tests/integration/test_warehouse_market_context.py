"""Funding and open interest in a real Postgres: put together from what each writer knows, changed only where they differ."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from market_platform.domain.errors import WarehouseError
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.market_context import FundingRow, OpenInterestRow, write_funding, write_open_interest
from market_platform_tests.fixtures.reference import synced_pair

MINUTE_MS = 1_707_004_800_000


def put(
    warehouse: Warehouse, pair: int, *rows: Funding, minute: int = MINUTE_MS, rank: CandleRank = CandleRank.EXCHANGE
) -> int:
    with warehouse.begin() as conn:
        return write_funding(conn, [FundingRow(pair, minute, each) for each in rows], rank=rank)


def funding(rate: str, **values: Any) -> Funding:
    return Funding("BTC", Decimal(rate), **values)


def stored(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with psycopg.connect(warehouse.url) as conn:
        return conn.execute(
            "SELECT funding_rate, premium, mark_price, next_funding_time, source FROM funding_rates ORDER BY time"
        ).fetchall()


def changes(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with psycopg.connect(warehouse.url) as conn:
        return conn.execute("SELECT starlisting_id, seq, kind FROM series_changes ORDER BY 2, 1").fetchall()


def test_null_never_overwrites_a_value(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    put(warehouse, pair.id, funding("0.0001", mark_price=Decimal("50000.5"), next_funding_ms=MINUTE_MS + 3_600_000))
    put(warehouse, pair.id, funding("0.0002", premium=Decimal("-0.00031")))
    next_time = datetime(2024, 2, 4, 1, tzinfo=UTC)
    assert stored(warehouse) == [(Decimal("0.0002"), Decimal("-0.00031"), Decimal("50000.5"), next_time, 30)]


def test_a_lower_rank_only_fills_what_is_missing(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    put(warehouse, pair.id, funding("0.0001"))
    put(warehouse, pair.id, funding("0.0009", premium=Decimal("0.5")), rank=CandleRank.LIVE_STREAM)
    assert stored(warehouse) == [(Decimal("0.0001"), Decimal("0.5"), None, None, 30)]


def test_of_several_for_a_minute_the_last_value_counts(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    first, second = funding("0.0001", premium=Decimal(1)), funding("0.0002", mark_price=Decimal(2))
    assert put(warehouse, pair.id, first, second) == 1
    assert stored(warehouse) == [(Decimal("0.0002"), Decimal(1), Decimal(2), None, 30)]


def test_only_what_changes_is_written_and_numbered_for_every_active_starlisting(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse, "oanda")
    minute, hour = pair.starlistings["1m"], pair.starlistings["1h"]
    assert put(warehouse, pair.id, funding("0.0001")) == 1
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        before = conn.execute("SELECT ctid, xmin FROM funding_rates").fetchall()
        assert put(warehouse, pair.id, funding("0.0001")) == 0
        assert put(warehouse, pair.id, funding("0.0001"), rank=CandleRank.LIVE_STREAM) == 0
        assert conn.execute("SELECT ctid, xmin FROM funding_rates").fetchall() == before
        conn.execute("UPDATE starlistings SET active = false WHERE id = %s", (hour,))
    assert put(warehouse, pair.id, funding("0.0003")) == 1
    assert changes(warehouse) == [
        *((each, 1, "funding") for each in sorted((minute, hour))),
        (minute, 2, "funding"),
    ]


def test_open_interest_is_written_the_same_way(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse, "oanda")
    row = OpenInterest("BTC", Decimal("123456789012345678.5"), day_base_volume=Decimal("0.000000000000000001"))
    with warehouse.begin() as conn:
        assert write_open_interest(conn, [OpenInterestRow(pair.id, MINUTE_MS, row)]) == 1
        assert write_open_interest(conn, [OpenInterestRow(pair.id, MINUTE_MS, row)]) == 0
    with psycopg.connect(warehouse.url) as conn:
        found = conn.execute("SELECT open_interest, notional_value, day_base_volume FROM open_interest").fetchall()
    assert found == [(Decimal("123456789012345678.5"), None, Decimal("0.000000000000000001"))]
    assert {kind for _, _, kind in changes(warehouse)} == {"open_interest"}


@pytest.mark.parametrize(
    ("row", "minute", "message"),
    [
        (funding("0.0001"), MINUTE_MS + 1, "is not on the minute"),
        (funding("0.0000000000000000001"), MINUTE_MS, "more than 18 decimals"),
        (funding("1e-40"), MINUTE_MS, "more than 18 decimals"),
        (funding("1e12"), MINUTE_MS, "Postgres refused a row of funding_rates"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(warehouse: Warehouse, row: Funding, minute: int, message: str) -> None:
    pair = synced_pair(warehouse)
    with pytest.raises(WarehouseError, match=message):
        put(warehouse, pair.id, row, minute=minute)
    assert stored(warehouse) == []


def test_trailing_zeros_beyond_18_decimals_are_exact(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    assert put(warehouse, pair.id, funding("0.0001000000000000000000000")) == 1
    assert stored(warehouse)[0][0] == Decimal("0.0001")


def test_minutes_that_had_no_row_before_are_told_once(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    added: set[tuple[int, datetime]] = set()
    for rate in ("0.1", "0.2"):
        with warehouse.begin() as conn:
            write_funding(conn, [FundingRow(pair.id, MINUTE_MS, funding(rate))], added=added)
        assert added == {(pair.id, datetime(2024, 2, 4, tzinfo=UTC))}
        added = set() if rate == "0.2" else added
    with warehouse.begin() as conn:
        assert write_funding(conn, [FundingRow(pair.id, MINUTE_MS, funding("0.3"))], added=added) == 1
    assert added == set()
