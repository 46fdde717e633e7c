"""Numbered changes in a real Postgres: one number a changed row, told at the commit, read back with the rows."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import psycopg
import pytest

from market_platform.domain.candles import CANDLE_SCHEMA
from market_platform.domain.events import Funding, OpenInterest
from market_platform.domain.live_frames import MAX_PAYLOAD, SERIES_CHANNEL
from market_platform.domain.ranks import CandleRank
from market_platform.warehouse.candles import CandleWrite, write_candle_days
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.market_context import FundingRow, OpenInterestRow, write_funding, write_open_interest
from market_platform.warehouse.series import MAX_CHANGES, SeriesBump, prune_changes
from market_platform.warehouse.series_queries import (
    MAX_CATCH_UP,
    Connection,
    SeriesState,
    SeriesUpdates,
    load_changes,
    load_series_state,
    load_snapshot,
)
from market_platform_tests.fixtures.candle_frames import candle_frame
from market_platform_tests.fixtures.reference import synced_pair

DAY = date(2024, 2, 4)
FRAME = candle_frame(DAY, 1440)
MIDNIGHT = datetime(2024, 2, 4, tzinfo=UTC)
MINUTE_MS = 1_707_004_800_000


@pytest.fixture
def anyio_backend() -> str:
    """Psycopg runs on asyncio."""
    return "asyncio"


def write(
    warehouse: Warehouse,
    starlisting_id: int,
    frame: pl.DataFrame,
    *,
    rank: CandleRank = CandleRank.EXCHANGE,
    replace: bool = False,
) -> None:
    with warehouse.begin() as conn:
        writes = [CandleWrite(starlisting_id, DAY, frame, None, rank, replace=replace)]
        write_candle_days(conn, writes, run_id="run", code_version="test")


def numbered(warehouse: Warehouse, starlisting_id: int) -> list[tuple[int, str, datetime | None]]:
    with psycopg.connect(warehouse.url) as conn:
        return conn.execute(
            "SELECT seq, kind, time FROM series_changes WHERE starlisting_id = %s ORDER BY seq", (starlisting_id,)
        ).fetchall()


@asynccontextmanager
async def reader(warehouse: Warehouse) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(
        warehouse.url, autocommit=True, options="-c timezone=UTC"
    ) as connection:
        yield connection


async def updates(warehouse: Warehouse, starlisting_id: int, since: int) -> SeriesUpdates:
    async with reader(warehouse) as connection:
        return (await load_changes(connection, {starlisting_id: since}))[starlisting_id]


def test_every_changed_candle_gets_the_next_number(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, minute, FRAME[:3])
    write(warehouse, minute, FRAME[2:4])
    corrected = FRAME[1:2].with_columns(high=(pl.col("high") + 1).cast(CANDLE_SCHEMA["high"]))
    write(warehouse, minute, corrected)
    times = [0, 1, 2, 3, 1]
    assert numbered(warehouse, minute) == [
        (seq, "candle", MIDNIGHT + timedelta(minutes=offset)) for seq, offset in enumerate(times, start=1)
    ]


def test_the_same_again_and_a_higher_rank_alone_get_none(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, minute, FRAME[:3], rank=CandleRank.LIVE_STREAM)
    write(warehouse, minute, FRAME[:3], rank=CandleRank.LIVE_STREAM)
    write(warehouse, minute, FRAME[:3], rank=CandleRank.EXCHANGE)
    assert len(numbered(warehouse, minute)) == 3


def test_many_changes_are_one_resync(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, minute, FRAME[: MAX_CHANGES + 1])
    assert numbered(warehouse, minute) == [(1, "resync", None)]
    write(warehouse, minute, FRAME[MAX_CHANGES + 1 : MAX_CHANGES + 2])
    assert [kind for _, kind, _ in numbered(warehouse, minute)] == ["resync", "candle"]


def test_a_candle_that_goes_is_a_resync(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    write(warehouse, minute, FRAME[:3])
    write(warehouse, minute, FRAME[:2], replace=True)
    assert [kind for _, kind, _ in numbered(warehouse, minute)] == ["candle"] * 3 + ["resync"]


def test_a_rolled_back_write_has_no_number(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]

    def failing() -> None:
        with warehouse.begin() as conn:
            writes = [CandleWrite(minute, DAY, FRAME[:3], None, CandleRank.EXCHANGE, replace=False)]
            write_candle_days(conn, writes, run_id="run", code_version="test")
            raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError, match="rolled back"):
        failing()
    assert numbered(warehouse, minute) == []


def test_listeners_are_told_in_the_commit(warehouse: Warehouse) -> None:
    starlistings = synced_pair(warehouse).starlistings
    minute, five = starlistings["1m"], starlistings["5m"]
    with psycopg.connect(warehouse.url, autocommit=True) as listener:
        listener.execute(f"LISTEN {SERIES_CHANNEL}")
        with warehouse.begin() as conn:
            bump = SeriesBump()
            bump.add(five, "candle", [MIDNIGHT])
            bump.add(minute, "candle", [MIDNIGHT, MIDNIGHT + timedelta(minutes=1)])
            bump.save(conn)
            assert list(listener.notifies(timeout=0)) == []
        payloads = [each.payload for each in listener.notifies(timeout=30, stop_after=1)]
    assert payloads == [f"{minute}:2 {five}:1"]


def test_payloads_stay_under_notifys_limit(warehouse: Warehouse) -> None:
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("ALTER TABLE series_state DROP CONSTRAINT series_state_starlisting_id_fkey")
        conn.execute(f"LISTEN {SERIES_CHANNEL}")
        ids = range(2_000_000_000, 2_000_001_000)
        conn.execute(
            "INSERT INTO series_state (starlisting_id, seq) SELECT unnest(%s::int[]), 2^62::bigint", (list(ids),)
        )
        with warehouse.begin() as writing:
            bump = SeriesBump()
            for each in ids:
                bump.add(each, "candle", [MIDNIGHT])
            bump.save(writing)
        payloads = [each.payload for each in conn.notifies(timeout=30, stop_after=4)]
    assert max(map(len, payloads)) <= MAX_PAYLOAD
    assert sorted(part.split(":")[0] for payload in payloads for part in payload.split()) == [str(each) for each in ids]


def test_writers_side_by_side_number_without_holes(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    minute, five = pair.starlistings["1m"], pair.starlistings["5m"]
    starting = threading.Barrier(4)

    def writer(rows: Sequence[int], order: Sequence[int]) -> None:
        starting.wait()
        for row in rows:
            with warehouse.begin() as conn:
                bump = SeriesBump()
                for each in order:
                    bump.add(each, "candle", [MIDNIGHT + timedelta(minutes=row)])
                bump.save(conn)

    threads = [
        threading.Thread(target=writer, args=(range(first, 200, 4), (minute, five) if first % 2 else (five, minute)))
        for first in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for starlisting_id in (minute, five):
        assert [seq for seq, _, _ in numbered(warehouse, starlisting_id)] == list(range(1, 201))


@pytest.mark.anyio
async def test_changes_are_read_with_their_rows(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    minute = pair.starlistings["1m"]
    write(warehouse, minute, FRAME[:3].with_columns(num_trades=pl.Series([None, 5, 0], dtype=pl.Int64)))
    with warehouse.begin() as conn:
        write_funding(
            conn, [FundingRow(pair.id, MINUTE_MS, Funding("E", Decimal("0.0001"), mark_price=Decimal("1.5")))]
        )
        write_open_interest(conn, [OpenInterestRow(pair.id, MINUTE_MS, OpenInterest("E", Decimal("77.25")))])
    found = await updates(warehouse, minute, 0)
    assert found.seq == 5
    assert found.epoch > 0
    assert found.changes is not None
    assert [(each.seq, each.kind) for each in found.changes] == [
        *((seq, "candle") for seq in (1, 2, 3)),
        (4, "funding"),
        (5, "open_interest"),
    ]
    row = FRAME.row(0, named=True)
    assert json.loads(found.changes[0].data) == {
        "time": "2024-02-04T00:00:00+00:00",
        **{name: f"{row[name]:.18f}" for name in ("open", "high", "low", "close", "volume")},
        "num_trades": None,
    }
    assert json.loads(found.changes[3].data) == {
        "time": "2024-02-04T00:00:00+00:00",
        "funding_rate": "0.000100000000000000",
        "premium": None,
        "mark_price": "1.500000000000000000",
        **dict.fromkeys(("index_price", "oracle_price", "mid_price", "next_funding_time")),
    }
    assert json.loads(found.changes[4].data) == {
        "time": "2024-02-04T00:00:00+00:00",
        "open_interest": "77.250000000000000000",
        **dict.fromkeys(("notional_value", "day_base_volume", "day_notional_volume")),
    }
    later = await updates(warehouse, minute, 4)
    assert later.changes == found.changes[4:]
    assert (await updates(warehouse, minute, 5)).changes == ()
    hourly = await updates(warehouse, pair.starlistings["1h"], 0)
    assert hourly.changes is not None
    assert [(each.seq, each.kind) for each in hourly.changes] == [(1, "funding"), (2, "open_interest")]


@pytest.mark.anyio
async def test_who_can_not_catch_up_is_told_so(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    minute, five = pair.starlistings["1m"], pair.starlistings["5m"]
    write(warehouse, minute, FRAME[:10])
    assert (await updates(warehouse, minute, 11)).changes is None  # a number that was never given
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("UPDATE series_changes SET written_at = now() - interval '2 days' WHERE seq < 9")
    with warehouse.begin() as writing:
        assert prune_changes(writing, timedelta(days=1), keep=5) == 5
    assert (await updates(warehouse, minute, 4)).changes is None
    assert len((await updates(warehouse, minute, 5)).changes or ()) == 5
    write(warehouse, minute, FRAME[:9], replace=True)
    assert await updates(warehouse, minute, 10) == SeriesUpdates((await updates(warehouse, minute, 0)).epoch, 11, None)
    assert (await updates(warehouse, minute, 11)).changes == ()
    with psycopg.connect(warehouse.url, autocommit=True) as conn:
        conn.execute("INSERT INTO series_state VALUES (%s, 1, %s)", (five, MAX_CATCH_UP + 1))
    assert (await updates(warehouse, five, 0)).changes is None


@pytest.mark.anyio
async def test_a_series_that_never_changed_is_at_zero(warehouse: Warehouse) -> None:
    minute = synced_pair(warehouse).starlistings["1m"]
    async with reader(warehouse) as connection:
        assert await load_series_state(connection, [minute]) == {minute: SeriesState(0, 0)}
        assert await load_changes(connection, {minute: 0}) == {minute: SeriesUpdates(0, 0, ())}
        found = await load_snapshot(connection, minute, 10)
    assert (found.seq, found.candles, found.funding, found.open_interest, found.candle_count) == (
        0,
        "[]",
        "[]",
        "[]",
        0,
    )


@pytest.mark.anyio
async def test_a_snapshot_is_the_newest_rows_and_their_number(warehouse: Warehouse) -> None:
    pair = synced_pair(warehouse)
    minute = pair.starlistings["1m"]
    write(warehouse, minute, FRAME[:10])
    rows = [FundingRow(pair.id, MINUTE_MS + 60_000 * each, Funding("E", Decimal(each))) for each in range(4)]
    with warehouse.begin() as conn:
        write_funding(conn, rows)
    async with reader(warehouse) as connection:
        found = await load_snapshot(connection, minute, 3)
        states = await load_series_state(connection, [minute])
    assert (found.epoch, found.seq) == states[minute]
    assert found.seq == 14
    candles: list[dict[str, Any]] = json.loads(found.candles)
    assert [each["time"] for each in candles] == [f"2024-02-04T00:0{each}:00+00:00" for each in (7, 8, 9)]
    assert [Decimal(each["funding_rate"]) for each in json.loads(found.funding)] == [1, 2, 3]
    assert (found.candle_count, found.funding_count, found.open_interest_count) == (3, 3, 0)
