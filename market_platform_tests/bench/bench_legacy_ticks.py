"""Legacy ticks from Postgres into the lake, copied, committed, read back and verified, against COPY TO STDOUT alone."""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import psycopg

from market_platform.lake.store import Lake
from market_platform.pipeline.legacy_moves import Mover
from market_platform.pipeline.platform import Provenance
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.market_ticks import copied_pieces
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.bench.rows import BenchRow
from market_platform_tests.fixtures.legacy_ticks import insert_ticks
from market_platform_tests.fixtures.made_ticks import made_ticks
from market_platform_tests.fixtures.reference import small_config

FIRST = date(2024, 3, 4)
DAYS = 5
DAY_ROWS = 140_000
"""What EURUSD has on a day."""
ROUNDS = 3


def measure(database_url: str, folder: Path) -> list[BenchRow]:
    """Each round: COPY of the table as text, every row received, then our move of the same rows into an empty lake.

    The COPY is received by the same loop on libpq that our move uses, which takes a third of the time of psycopg's own.
    """
    warehouse = create_warehouse(database_url)
    with warehouse.begin() as conn:
        sync_reference(conn, small_config())
        pair = load_pair(conn, "dukascopy", "EURUSD")
    days = [FIRST + timedelta(days=offset) for offset in range(DAYS)]
    for day in days:
        insert_ticks(database_url, pair.id, made_ticks(day, DAY_ROWS, seed=day.day))
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE market_ticks")
        conn.execute("CHECKPOINT")
    plain: list[float] = []
    ours: list[float] = []
    for number in range(ROUNDS):
        plain.append(_copy_out(database_url))
        with psycopg.connect(database_url) as conn:
            conn.execute("TRUNCATE tick_moves, lake_days")
        lake = Lake.open((folder / str(number)).as_uri())
        mover = Mover(lake, warehouse, Provenance("bench", "bench"))
        started = time.perf_counter()
        moved = mover.move([(pair, day) for day in days], lambda _: None)
        ours.append(time.perf_counter() - started)
        assert [each.move.state for each in moved] == ["verified"] * DAYS
    warehouse.close()
    rows = DAYS * DAY_ROWS
    return [
        BenchRow(
            name="legacy ticks, Postgres to lake, verified",
            value=median(alone / mine for alone, mine in zip(plain, ours, strict=True)),
            unit="x speed of COPY TO STDOUT alone",
            bound=0.5,
            better="higher",
            peer=f"COPY alone {rows / median(plain):,.0f} rows/s, ours {rows / median(ours):,.0f} rows/s",
        )
    ]


def _copy_out(url: str) -> float:
    started = time.perf_counter()
    query = 'SELECT "time", bid, ask, bid_volume, ask_volume FROM market_ticks'
    with psycopg.connect(url) as conn, conn.cursor() as cursor:
        for _ in copied_pieces(cursor, query, None):
            pass
    return time.perf_counter() - started
