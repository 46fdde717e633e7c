"""A year of merged 1m candles, funding and open interest to Parquet, against ADBC and polars; and memory that does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
import psycopg

from market_platform.starlistings import parse_starlistings
from market_platform.warehouse.engine import create_warehouse
from market_platform.warehouse.reference import load_pair, sync_reference
from market_platform_tests.bench.exports_side import DAYS_A_YEAR, FIRST
from market_platform_tests.bench.rows import BenchRow

ROUNDS = 3
YEARS = 4
LIMIT_MB = 500
_CONFIG = """
exchanges: {bench: {name: Bench, licence: public, market_type: perps}}
coins: {BTC: Bitcoin}
quote_currencies: {USDT: Tether}
market_types: {perps: Perpetuals}
starlistings: {bench: {BTCUSDT: {coin: BTC, quote: USDT, intervals: [1m]}}}
"""
_MINUTES = "generate_series(0::bigint, %(minutes)s - 1) AS n"
_FILL = (
    f"""
    INSERT INTO candles
    SELECT 1, 30, moment, n %% 4000, price, price + 20.1, price - 11.5, price + 0.1, (n * 7919 %% 300000) / 1000.0
    FROM (SELECT n, %(first)s + n * interval '1 minute' AS moment, 43000 + (n * 104729 %% 9000) / 10.0 AS price FROM {_MINUTES})
    """,
    f"""
    INSERT INTO funding_rates
    SELECT 1, 30, moment, date_trunc('day', moment) + interval '1 day', rate, rate * 2, price, price + 0.12345678, price + 0.2,
        price + 0.05
    FROM (
        SELECT %(first)s + n * interval '1 minute' AS moment, (n * 7919 %% 10000) / 100000000.0 AS rate,
            43000 + (n * 1299709 %% 90000000) / 100000.0 AS price
        FROM {_MINUTES}
    )
    """,
    f"""
    INSERT INTO open_interest
    SELECT 1, 30, %(first)s + n * interval '1 minute', 80000 + (n * 7919 %% 1000000) / 1000.0,
        3000000000 + (n * 104729 %% 10000000) / 8.0, 200000 + (n * 31 %% 10000000) / 1000.0, 8000000000 + n / 4.0
    FROM {_MINUTES}
    """,
)


def measure(database_url: str, folder: Path) -> list[BenchRow]:
    """Each round the one after the other; the years after the first are only there to be many."""
    _make_pair(database_url)
    _fill(database_url, 1)
    ours, peer = folder / "ours.parquet", folder / "peer.parquet"
    rounds = [(_run("ours", database_url, 1, ours), _run("peer", database_url, 1, peer)) for _ in range(ROUNDS)]
    differing = 0 if pl.read_parquet(ours).equals(pl.read_parquet(peer)) else 1
    year, other = rounds[0]
    _fill(database_url, YEARS)
    years = _run("ours", database_url, YEARS, ours)
    return [
        BenchRow(
            name=f"a year of candles, funding and open interest to Parquet ({year['rows']:,} rows x 18 columns)",
            value=median(mine["seconds"] / theirs["seconds"] for mine, theirs in rounds),
            unit="x ADBC + polars",
            bound=1.3,
            peer=f"ADBC + polars {_seconds(rounds, 1)}, ours {_seconds(rounds, 0)}",
        ),
        BenchRow(
            name="files of both that differ", value=differing, unit="files", bound=0, peer="ADBC + polars, row by row"
        ),
        BenchRow(
            name="peak memory of that export",
            value=max(mine["peak_mb"] for mine, _ in rounds),
            unit="MB",
            bound=LIMIT_MB,
            peer=f"the limit; ADBC + polars {other['peak_mb']:,.0f} MB",
        ),
        BenchRow(
            name=f"peak memory of an export of {YEARS} years",
            value=years["peak_mb"],
            unit="MB",
            bound=LIMIT_MB,
            peer=f"the limit; {years['rows']:,} rows in {years['seconds']:.1f} s",
        ),
    ]


def _make_pair(database_url: str) -> None:
    warehouse = create_warehouse(database_url)
    with warehouse.begin() as conn:
        sync_reference(conn, parse_starlistings(_CONFIG))
        pair = load_pair(conn, "bench", "BTCUSDT")
    warehouse.close()
    assert (pair.id, pair.starlistings["1m"]) == (1, 1), "the peer's query names them"


def _fill(database_url: str, years: int) -> None:
    """The rows of that many years, in place of any."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("TRUNCATE candles, funding_rates, open_interest")
        for statement in _FILL:
            conn.execute(statement, {"first": FIRST, "minutes": years * DAYS_A_YEAR * 1440})
        conn.execute("VACUUM ANALYZE candles, funding_rates, open_interest")


def _run(side: str, database_url: str, years: int, path: Path) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "market_platform_tests.bench.exports_side",
        side,
        database_url,
        str(years),
        str(path),
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
    result: dict[str, Any] = json.loads(told)
    return result


def _seconds(rounds: list[tuple[dict[str, Any], dict[str, Any]]], side: int) -> str:
    return f"{median(each[side]['seconds'] for each in rounds):.1f} s"
