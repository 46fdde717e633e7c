"""What exports read: rows of a span as text, all of one snapshot, and what a span's features are called.

Belongs here: the SQL behind exports. Does not: what becomes of the rows (pipeline/exports), the days' versions
(candle_days.py, history_days.py).

Rows come from COPY as lines of values with commas between them, NULL as nothing, times as milliseconds since the epoch,
decimals with all their digits: the quickest exact way out of Postgres that was measured. Nothing in them needs quoting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection

from market_platform.warehouse.driver import driver_connection
from market_platform.warehouse.engine import Warehouse

ContextTable = Literal["funding_rates", "open_interest"]
ExportTable = Literal["candles", "funding_rates", "open_interest", "ml_features"]

CANDLE_VALUES = ("open", "high", "low", "close", "volume", "num_trades")
FUNDING_VALUES = (
    "funding_rate",
    "premium",
    "mark_price",
    "index_price",
    "oracle_price",
    "mid_price",
    "next_funding_time",
)
INTEREST_VALUES = ("open_interest", "notional_value", "day_base_volume", "day_notional_volume")

_VALUES: dict[ExportTable, tuple[str, ...]] = {
    "candles": CANDLE_VALUES,
    "funding_rates": FUNDING_VALUES,
    "open_interest": INTEREST_VALUES,
    "ml_features": (),
}
_TIMES = frozenset({"next_funding_time"})
_NOT_DECIMAL = _TIMES | {"num_trades"}


@dataclass(frozen=True, slots=True)
class ExportSource:
    """What to read: the rows of `table`, and at exactly their times those of `joined`, NULL where there is none.

    `starlisting_id` is of candles and features, `trading_pair_id` of the others. `features` are the names read of
    `feature_version`.
    """

    table: ExportTable
    trading_pair_id: int
    starlisting_id: int | None = None
    joined: tuple[ContextTable, ...] = ()
    feature_version: int | None = None
    features: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row: its time, its values, those of each joined table, and then the time of each joined row."""
        values = [name for table in (self.table, *self.joined) for name in _VALUES[table]]
        return ("time", *values, *self.features, *(f"{table}_time" for table in self.joined))


class Misfit(NamedTuple):
    """A stored number that has no place in 38 digits of which 18 are decimals: more before the point, or NaN."""

    time: datetime
    column: str
    value: str


@contextmanager
def open_snapshot(warehouse: Warehouse) -> Iterator[Connection]:
    """A connection that sees the database as it is now, whatever is written meanwhile; it can't write.

    Raises:
        WarehouseUnavailableError: as `Warehouse.connect`.
    """
    with warehouse.connect() as conn:
        conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield conn


def read_export_rows(conn: Connection, source: ExportSource, start: datetime, end: datetime) -> bytes:
    """The rows in [start, end), by time, as lines of `source.columns`."""
    text = bytearray()
    copy_statement = f"COPY ({_select(source)}) TO STDOUT (FORMAT text, DELIMITER ',', NULL '')"
    with (
        driver_connection(conn).cursor() as cursor,
        cursor.copy(copy_statement.encode(), _parameters(source, start, end)) as copy,
    ):
        for part in copy:
            text += part
    return bytes(text)


def find_misfit(conn: Connection, source: ExportSource, start: datetime, end: datetime) -> Misfit | None:
    """The first number in [start, end) that a decimal of 38 digits with 18 decimals can't hold, if there is one."""
    found = [
        row
        for table in (source.table, *source.joined)
        for column in _VALUES[table]
        if column not in _NOT_DECIMAL and (row := _misfit_in(conn, source, table, column, start, end))
    ]
    return min(found, default=None)


def find_days_with_rows(conn: Connection, table: ContextTable, trading_pair_id: int, days: Sequence[date]) -> set[date]:
    """Those of the days on which the pair has any row."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(
            f"""
            SELECT day FROM unnest(%s::date[]) AS wanted (day)
            WHERE EXISTS (SELECT FROM {table} WHERE trading_pair_id = %s AND "time" >= day AND "time" < day + 1)
            """.encode(),
            (list(days), trading_pair_id),
        )
        return {day for (day,) in cursor}


def load_newest_feature_version(conn: Connection, starlisting_id: int) -> int | None:
    """The highest version of features stored of a starlisting; None when it has none."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute("SELECT max(feature_version) FROM ml_features WHERE starlisting_id = %s", (starlisting_id,))
        row = cursor.fetchone()
    return row[0] if row else None


def load_feature_kinds(
    conn: Connection, starlisting_id: int, version: int, start: datetime, end: datetime
) -> dict[str, set[str]]:
    """The name of every feature in [start, end), sorted, and the JSON types its values have, without `null`."""
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT named.key, jsonb_typeof(named.value)
            FROM ml_features CROSS JOIN LATERAL jsonb_each(features) AS named (key, value)
            WHERE starlisting_id = %s AND feature_version = %s AND "time" >= %s AND "time" < %s ORDER BY 1, 2
            """,
            (starlisting_id, version, start, end),
        )
        kinds: dict[str, set[str]] = {}
        for name, kind in cursor:
            kinds.setdefault(name, set()).update({kind} - {"null"})
    return kinds


def _misfit_in(
    conn: Connection, source: ExportSource, table: ExportTable, column: str, start: datetime, end: datetime
) -> Misfit | None:
    owner = _owner(table)
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(
            f"""
            SELECT "time", {column}::text FROM {table}
            WHERE {owner} AND "time" >= %(start)s AND "time" < %(end)s AND ({column} = 'NaN' OR abs({column}) >= 1e20)
            ORDER BY "time" LIMIT 1
            """.encode(),
            _parameters(source, start, end),
        )
        row = cursor.fetchone()
    return None if row is None else Misfit(row[0], column, row[1])


def _owner(table: ExportTable) -> str:
    """Whose rows of a table, as a condition."""
    return "starlisting_id = %(starlisting)s" if table in ("candles", "ml_features") else "trading_pair_id = %(pair)s"


def _select(source: ExportSource) -> str:
    """The SELECT of the source's columns; each table's own span is said, or Postgres would read a joined one from its start."""
    columns = [_milliseconds(f'{source.table}."time"')]
    for table in (source.table, *source.joined):
        columns += [_value(table, name) for name in _VALUES[table]]
    columns += [f"(ml_features.features ->> %(feature_{index})s)::float8" for index in range(len(source.features))]
    columns += [_milliseconds(f'{table}."time"') for table in source.joined]
    joins = "".join(
        f"""
        LEFT JOIN {table} ON {table}.{_owner(table)} AND {table}."time" = {source.table}."time"
            AND {table}."time" >= %(start)s AND {table}."time" < %(end)s"""
        for table in source.joined
    )
    version = "AND ml_features.feature_version = %(version)s" if source.table == "ml_features" else ""
    return f"""
        SELECT {", ".join(columns)} FROM {source.table}{joins}
        WHERE {source.table}.{_owner(source.table)} AND {source.table}."time" >= %(start)s
            AND {source.table}."time" < %(end)s {version}
        ORDER BY {source.table}."time"
    """


def _value(table: ExportTable, name: str) -> str:
    return _milliseconds(f"{table}.{name}") if name in _TIMES else f"{table}.{name}"


def _milliseconds(moment: str) -> str:
    """Exact: a double holds the seconds of our century to a quarter of a microsecond; `extract` makes a slow NUMERIC."""
    return f"(date_part('epoch', {moment}) * 1000)::bigint"


def _parameters(source: ExportSource, start: datetime, end: datetime) -> dict[str, Any]:
    return {
        "pair": source.trading_pair_id,
        "starlisting": source.starlisting_id,
        "version": source.feature_version,
        "start": start,
        "end": end,
        **_feature_parameters(source.features),
    }


def _feature_parameters(names: Sequence[str]) -> dict[str, str]:
    return {f"feature_{index}": name for index, name in enumerate(names)}
