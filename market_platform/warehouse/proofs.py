"""`proof_days` and `proof_differences`: what the nightly proof found of a pair's day, and what it reads of the database.

Belongs here: writing and listing those rows, a day's candles with the rank of each, its gaps. Does not: comparing (domain/proof.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from market_platform.domain.candles import CANDLE_COLUMNS, CANDLE_SCHEMA
from market_platform.domain.clock import from_ms
from market_platform.domain.proof import Difference, Reason
from market_platform.warehouse.driver import copy_out, driver_connection
from market_platform.warehouse.gaps import COLUMNS as GAP_COLUMNS
from market_platform.warehouse.gaps import FROM as GAPS_FROM
from market_platform.warehouse.gaps import Gap


@dataclass(frozen=True, slots=True)
class ProofDay:
    """One row of `proof_days`.

    `compared` are minutes by sides (`streamed/rebuilt`), `left_out` are sides with why, `inputs` say what each side was.
    `reasons` count the day's differences by reason; they come from `proof_differences`, and are read only.
    """

    trading_pair_id: int
    day: date
    minutes: int
    differences: int
    unexplained: int
    compared: Mapping[str, int]
    left_out: Mapping[str, str]
    inputs: Mapping[str, Any]
    run_id: str
    code_version: str
    proved_at: datetime | None = None
    exchange: str = ""
    symbol: str = ""
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def pair(self) -> str:
        """How commands and messages name the pair: `binance/BTCUSDT`."""
        return f"{self.exchange}/{self.symbol}"


@dataclass(frozen=True, slots=True)
class StoredDifference:
    """One row of `proof_differences`; values are exact texts, None where a side has no such minute."""

    exchange: str
    symbol: str
    time: datetime
    sides: str
    field: str
    left_value: str | None
    right_value: str | None
    reason: str
    detail: str

    @property
    def pair(self) -> str:
        """How commands and messages name the pair."""
        return f"{self.exchange}/{self.symbol}"


@dataclass(frozen=True, slots=True)
class ProofFilter:
    """Which days to list: pairs as (exchange, symbol), all without any; both ends of the days included.

    `unexplained` are days with unexplained differences alone, and of these only those differences.
    """

    pairs: Sequence[tuple[str, str]] = ()
    first: date | None = None
    last: date | None = None
    unexplained: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class StoredMinutes:
    """A day's stored minute candles, a frame of `CANDLE_SCHEMA`, and of each the rank of who wrote it, in the same order."""

    candles: pl.DataFrame
    ranks: pl.Series
    began: bool
    """Whether the pair had candles in the week before the day."""


_SAVE = """
INSERT INTO proof_days (trading_pair_id, day, minutes, differences, unexplained, compared, left_out, inputs, run_id,
    code_version, proved_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp())
ON CONFLICT (trading_pair_id, day) DO UPDATE
SET minutes = excluded.minutes, differences = excluded.differences, unexplained = excluded.unexplained,
    compared = excluded.compared, left_out = excluded.left_out, inputs = excluded.inputs, run_id = excluded.run_id,
    code_version = excluded.code_version, proved_at = excluded.proved_at
"""
_FORGET = "DELETE FROM proof_differences WHERE trading_pair_id = %s AND day = %s"
_COPY = """
COPY proof_differences (trading_pair_id, day, "time", sides, field, left_value, right_value, reason, detail) FROM STDIN
"""
_WANTED = """
(%(exchanges)s::text[] = '{}' OR (exchanges.code, symbol) IN (
    SELECT * FROM unnest(%(exchanges)s::text[], %(symbols)s::text[])
)) AND (%(first)s::date IS NULL OR day >= %(first)s) AND (%(last)s::date IS NULL OR day <= %(last)s)
"""
_DAYS = f"""
SELECT trading_pair_id, day, minutes, differences, unexplained, compared, left_out, inputs, run_id, code_version, proved_at,
    exchanges.code, symbol, coalesce(counted.reasons, '{{}}')
FROM proof_days
JOIN trading_pairs ON trading_pairs.id = trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(reason, n) AS reasons
    FROM (
        SELECT reason, count(*) AS n FROM proof_differences AS differing
        WHERE differing.trading_pair_id = proof_days.trading_pair_id AND differing.day = proof_days.day GROUP BY reason
    ) AS by_reason
) AS counted ON true
WHERE {_WANTED} AND (NOT %(unexplained)s OR unexplained > 0)
ORDER BY day DESC, exchanges.code, symbol LIMIT %(limit)s
"""
_DIFFERENCES = f"""
SELECT exchanges.code, symbol, "time", sides, field, left_value, right_value, reason, detail
FROM proof_differences
JOIN trading_pairs ON trading_pairs.id = trading_pair_id
JOIN exchanges ON exchanges.id = exchange_id
WHERE {_WANTED} AND (NOT %(unexplained)s OR reason = ANY(%(without_reason)s))
ORDER BY day DESC, exchanges.code, symbol, "time", sides, field LIMIT %(limit)s
"""
_MINUTES = """
SELECT (extract(epoch FROM "time") * 1000)::bigint, open, high, low, close, volume, num_trades, source
FROM candles WHERE starlisting_id = %s AND "time" >= %s AND "time" < %s ORDER BY "time"
"""
_BEGAN = """
SELECT EXISTS (SELECT FROM candles WHERE starlisting_id = %s AND "time" >= %s AND "time" < %s)
"""
_GAPS = f"""
SELECT {GAP_COLUMNS} {GAPS_FROM}
WHERE trading_pair_id = %s AND kind IN ('candles', 'trades') AND gap_start <= %s AND coalesce(gap_end, 'infinity') >= %s
ORDER BY gaps.id
"""
_WEEK = timedelta(days=7)


def save_proof(conn: Connection, proof: ProofDay, differences: Sequence[Difference]) -> None:
    """Store what was found of a day, in the caller's transaction, in place of what was found before."""
    row = (
        proof.trading_pair_id,
        proof.day,
        proof.minutes,
        proof.differences,
        proof.unexplained,
        Jsonb(dict(proof.compared)),
        Jsonb(dict(proof.left_out)),
        Jsonb(dict(proof.inputs)),
        proof.run_id,
        proof.code_version,
    )
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_SAVE, row)
        cursor.execute(_FORGET, (proof.trading_pair_id, proof.day))
        with cursor.copy(_COPY) as copy:
            for each in differences:
                values = each.field, each.left_value, each.right_value, each.reason.value, each.detail
                copy.write_row((proof.trading_pair_id, proof.day, from_ms(each.time_ms), each.sides, *values))


def list_proofs(conn: Connection, wanted: ProofFilter, limit: int = 1_000) -> list[ProofDay]:
    """Proved days, the newest first, then by pair."""
    with driver_connection(conn).cursor() as cursor:
        return [ProofDay(*row) for row in cursor.execute(_DAYS, _parameters(wanted, limit))]


def list_differences(conn: Connection, wanted: ProofFilter, limit: int = 100_000) -> list[StoredDifference]:
    """Differences of those days, in the same order, then by time."""
    with driver_connection(conn).cursor() as cursor:
        return [StoredDifference(*row) for row in cursor.execute(_DIFFERENCES, _parameters(wanted, limit))]


def read_minutes(conn: Connection, starlisting_id: int, day: date) -> StoredMinutes:
    """The stored candles of a day, whoever wrote them."""
    start = datetime.combine(day, time(), UTC)
    schema = pl.Schema({**{name: CANDLE_SCHEMA[name] for name in CANDLE_COLUMNS}, "source": pl.Int16()})
    with driver_connection(conn).cursor() as cursor:
        text = pl.Schema({**schema, "time": pl.Int64()})
        rows = copy_out(cursor, _MINUTES, (starlisting_id, start, start + timedelta(days=1)), text)
        began = cursor.execute(_BEGAN, (starlisting_id, start - _WEEK, start)).fetchone()
    rows = rows.with_columns(pl.col("time").cast(CANDLE_SCHEMA["time"]))
    return StoredMinutes(rows.drop("source").cast(CANDLE_SCHEMA), rows["source"], bool(began and began[0]))


def load_gaps_of_day(conn: Connection, trading_pair_id: int, day: date) -> list[Gap]:
    """Gaps of candles and trades that touch the day, of every state."""
    start = datetime.combine(day, time(), UTC)
    with driver_connection(conn).cursor() as cursor:
        return [Gap(*row) for row in cursor.execute(_GAPS, (trading_pair_id, start + timedelta(days=1), start))]


def _parameters(wanted: ProofFilter, limit: int) -> dict[str, Any]:
    return {
        "exchanges": [exchange for exchange, _ in wanted.pairs],
        "symbols": [symbol for _, symbol in wanted.pairs],
        "first": wanted.first,
        "last": wanted.last,
        "unexplained": wanted.unexplained,
        "without_reason": [reason.value for reason in Reason if not reason.is_explained],
        "limit": limit,
    }
