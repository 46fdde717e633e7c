"""`corporate_actions`: dividends and splits, beside prices as the exchange quotes them.

Belongs here: writing whole days of them, and reading. Does not: applying them to prices, which nobody here does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from psycopg import errors
from sqlalchemy import Connection

from market_platform.domain.clock import from_ms, to_ms
from market_platform.domain.errors import WarehouseError
from market_platform.domain.history import CorporateAction
from market_platform.warehouse.driver import driver_connection

_LEAST_EXPONENT = -18

# Rows of the days given that are not among those given are gone: the exchange took them back.
_DELETE = """
DELETE FROM corporate_actions AS stored
USING unnest(%(days)s::date[]) AS whole (day)
WHERE stored.trading_pair_id = %(pair)s
    AND stored."time" >= whole.day::timestamp AT TIME ZONE 'UTC'
    AND stored."time" < (whole.day + 1)::timestamp AT TIME ZONE 'UTC'
    AND NOT EXISTS (
        SELECT FROM unnest(%(times)s::timestamptz[], %(kinds)s::text[]) AS kept (at, kind)
        WHERE kept.at = stored."time" AND kept.kind = stored.kind
    )
RETURNING 1
"""

_UPSERT = """
INSERT INTO corporate_actions AS stored (trading_pair_id, "time", kind, value, run_id)
SELECT %(pair)s, at, kind, value, %(run_id)s
FROM unnest(%(times)s::timestamptz[], %(kinds)s::text[], %(values)s::numeric[]) AS given (at, kind, value)
ORDER BY at, kind
ON CONFLICT (trading_pair_id, "time", kind) DO UPDATE
SET value = excluded.value, run_id = excluded.run_id, written_at = clock_timestamp()
WHERE stored.value <> excluded.value
RETURNING 1
"""

_READ = """
SELECT kind, "time", value FROM corporate_actions
WHERE trading_pair_id = %s AND "time" >= %s AND "time" < %s ORDER BY "time", kind
"""


def write_corporate_actions(
    conn: Connection,
    trading_pair_id: int,
    days: Mapping[date, Sequence[CorporateAction]],
    *,
    run_id: str,
    complete: bool = True,
) -> int:
    """Write a pair's actions by UTC day, in the caller's transaction; returns how many rows were added, changed or removed.

    Writing the same again changes nothing, not even `run_id`. With `complete` a day's stored actions that are not given are
    removed; days that are not given stay as they are.

    Raises:
        WarehouseError: an action lies outside of its day, comes twice, has a value that the column can't hold exactly or
            that is not above zero, or the pair does not exist.
    """
    rows = [(day, action) for day in sorted(days) for action in days[day]]
    _check(trading_pair_id, rows)
    parameters = {
        "pair": trading_pair_id,
        "run_id": run_id,
        "days": sorted(days) if complete else [],
        "times": [from_ms(action.time_ms) for _, action in rows],
        "kinds": [action.kind for _, action in rows],
        "values": [action.value for _, action in rows],
    }
    with driver_connection(conn).cursor() as cursor, _explained(trading_pair_id):
        removed = len(cursor.execute(_DELETE, parameters).fetchall())
        return removed + len(cursor.execute(_UPSERT, parameters).fetchall())


def read_corporate_actions(
    conn: Connection, trading_pair_id: int, start: datetime, end: datetime
) -> tuple[CorporateAction, ...]:
    """A pair's actions from `start` until before `end`, by time; values as they were written, without trailing zeros."""
    with driver_connection(conn).cursor() as cursor:
        found = cursor.execute(_READ, (trading_pair_id, start, end))
        return tuple(CorporateAction(kind, to_ms(at), _short(value)) for kind, at, value in found)


def _check(trading_pair_id: int, rows: Sequence[tuple[date, CorporateAction]]) -> None:
    """What Postgres would round, or take for something else."""
    seen: set[tuple[int, str]] = set()
    for day, action in rows:
        what = f"the {action.kind} of {action.value} of trading pair {trading_pair_id} on {day}"
        start = datetime.combine(day, time(), UTC)
        if not start <= from_ms(action.time_ms) < start + timedelta(days=1):
            raise WarehouseError(f"{what} is of another day: {from_ms(action.time_ms).isoformat()}")
        if (action.time_ms, action.kind) in seen:
            raise WarehouseError(f"{what} is given twice")
        seen.add((action.time_ms, action.kind))
        exponent = action.value.normalize().as_tuple().exponent
        if not isinstance(exponent, int) or exponent < _LEAST_EXPONENT:
            raise WarehouseError(f"{what} has more than 18 decimals")


def _short(value: Decimal) -> Decimal:
    short = value.normalize()
    return short.quantize(Decimal(1)) if short == short.to_integral() else short


@contextmanager
def _explained(trading_pair_id: int) -> Iterator[None]:
    try:
        yield
    except (errors.CheckViolation, errors.NumericValueOutOfRange, errors.ForeignKeyViolation) as error:
        detail = error.diag.message_detail or ""
        raise WarehouseError(
            f"Postgres refused corporate actions of trading pair {trading_pair_id}: {error.diag.message_primary}. {detail}"
        ) from None
