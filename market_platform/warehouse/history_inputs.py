"""`history_inputs`: which raw answers a day of a series was made of, by hash, so that one published anew is noticed.

Belongs here: recording and reading those rows. Does not: the rows made of the answers, what a changed answer leads to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from market_platform.domain.history import RawInput
from market_platform.warehouse.driver import driver_connection


@dataclass(frozen=True, slots=True)
class Reissue:
    """A raw answer that has other bytes than when the day was made of it; hashes are SHA-256, hex."""

    day: date
    name: str
    earlier_sha256: str
    sha256: str


# Rows that say the same already are left alone: they keep the run and the time that first brought these bytes.
_RECORD = """
WITH given AS (
    SELECT * FROM unnest(%(days)s::date[], %(names)s::text[], %(hashes)s::text[], %(sizes)s::bigint[], %(rows)s::bigint[])
        AS given (day, name, sha256, bytes, rows)
), before AS (
    SELECT stored.day, stored.name, stored.sha256 FROM history_inputs AS stored
    WHERE stored.trading_pair_id = %(pair)s AND stored.series = %(series)s AND stored.day = ANY(%(all_days)s::date[])
    ORDER BY stored.day, stored.name FOR UPDATE
), gone AS (
    DELETE FROM history_inputs AS stored
    WHERE stored.trading_pair_id = %(pair)s AND stored.series = %(series)s AND stored.day = ANY(%(all_days)s::date[])
        AND NOT EXISTS (SELECT FROM given WHERE given.day = stored.day AND given.name = stored.name)
), saved AS (
    INSERT INTO history_inputs AS stored (trading_pair_id, series, day, name, sha256, bytes, rows, run_id)
    SELECT %(pair)s, %(series)s, given.day, given.name, given.sha256, given.bytes, given.rows, %(run_id)s
    FROM given ORDER BY given.day, given.name
    ON CONFLICT (trading_pair_id, series, day, name) DO UPDATE
    SET sha256 = excluded.sha256, bytes = excluded.bytes, rows = excluded.rows, run_id = excluded.run_id,
        earlier_sha256 = CASE WHEN stored.sha256 = excluded.sha256 THEN stored.earlier_sha256 ELSE stored.sha256 END,
        fetched_at = clock_timestamp()
    WHERE (stored.sha256, stored.bytes, stored.rows) IS DISTINCT FROM (excluded.sha256, excluded.bytes, excluded.rows)
)
SELECT before.day, before.name, before.sha256, given.sha256 FROM before JOIN given USING (day, name)
WHERE before.sha256 <> given.sha256 ORDER BY before.day, before.name
"""

_READ = """
SELECT day, name, sha256, bytes, rows FROM history_inputs
WHERE trading_pair_id = %s AND series = %s AND day = ANY(%s::date[]) ORDER BY day, name
"""


def record_inputs_of_days(
    conn: Connection, trading_pair_id: int, series: str, inputs: Mapping[date, Sequence[RawInput]], run_id: str
) -> list[Reissue]:
    """Store what each of the days is made of from now on, in the caller's transaction.

    `series` is that of the table: `candles_1m`, `funding_rates`, `open_interest`, `trades`, `corporate_actions`. Returns the
    answers whose bytes differ from those stored under the same name; their rows keep the earlier hash beside the new one.
    What a day was made of earlier and is no longer made of is forgotten. A day that is given nothing has nothing afterwards.
    """
    found = sorted({(day, each.name): each for day, given in inputs.items() for each in given}.items())
    parameters = {
        "pair": trading_pair_id,
        "series": series,
        "run_id": run_id,
        "all_days": sorted(inputs),
        "days": [day for (day, _), _ in found],
        "names": [name for (_, name), _ in found],
        "hashes": [each.sha256 for _, each in found],
        "sizes": [each.bytes for _, each in found],
        "rows": [each.rows for _, each in found],
    }
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_RECORD, parameters)
        return [Reissue(*row) for row in cursor]


def load_inputs(
    conn: Connection, trading_pair_id: int, series: str, days: Sequence[date]
) -> Mapping[date, tuple[RawInput, ...]]:
    """What each of the days was made of, sorted by name; days of which nothing is recorded are not in it."""
    found: dict[date, list[RawInput]] = {}
    with driver_connection(conn).cursor() as cursor:
        cursor.execute(_READ, (trading_pair_id, series, list(days)))
        for day, *values in cursor:
            found.setdefault(day, []).append(RawInput(*values))
    return {day: tuple(inputs) for day, inputs in found.items()}
