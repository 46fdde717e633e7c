"""Old JSON tick parts → day files and manifests, for days that the platform does not have yet.

The old layout kept no account of what an exchange sent, so an imported day is `degraded`: it is served, and a backfill asks
the exchange for it again and replaces it when it has the whole day.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import DayFailedError, LakeUnavailableError, MarketPlatformError
from market_platform.lake.legacy import legacy_days, read_legacy_day
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.platform import Provenance, failure_summary
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, load_lake_days, lock_lake_day
from market_platform.warehouse.reference import load_pair


@dataclass(frozen=True, slots=True)
class ImportedDay:
    """A day whose old parts became a day file; `rows` without the `duplicates` that were dropped."""

    day: date
    parts: int
    rows: int
    duplicates: int


def import_legacy_days(
    lake: Lake,
    warehouse: Warehouse,
    exchange: str,
    symbol: str,
    provenance: Provenance,
    on_day: Callable[[ImportedDay], None],
    *,
    first: date = date.min,
    last: date = date.max,
) -> list[ImportedDay]:
    """Import every day of the range that has old parts and no ticks of its own; the parts stay where they are.

    Raises:
        DayFailedError: after all days were tried, naming those whose parts can't be read; the others are committed.
        ConfigError: the pair is not in the database.
        LakeUnavailableError: the lake does not answer.
    """
    with warehouse.connect() as connection:
        pair = load_pair(connection, exchange, symbol)
        there = load_lake_days(connection, pair.id, first, last)
    days = [day for day in legacy_days(lake, symbol) if first <= day <= last and not (day in there and there[day].rows)]
    imported: list[ImportedDay] = []
    failures: dict[date, Exception] = {}
    for day in days:
        try:
            done = _import(lake, warehouse, pair.id, exchange, symbol, day, pair.price_scale or 0, provenance)
        except LakeUnavailableError:
            raise
        except MarketPlatformError as error:
            failures[day] = error
            continue
        if done is not None:
            imported.append(done)
            on_day(done)
    if failures:
        message = failure_summary(f"{pair.name} old parts", failures, len(days))
        raise DayFailedError(message, failures={day.isoformat(): error for day, error in failures.items()})
    return imported


def _import(
    lake: Lake,
    warehouse: Warehouse,
    pair_id: int,
    exchange: str,
    symbol: str,
    day: date,
    price_scale: int,
    provenance: Provenance,
) -> ImportedDay | None:
    found = read_legacy_day(lake, symbol, day, price_scale)
    if found is None or not len(found.ticks):
        return None
    raw_inputs = [{"source": part} for part in found.parts]
    description = {
        "condition": Condition.DEGRADED.value,
        "raw_inputs": json.dumps(raw_inputs, separators=(",", ":")),
        "code_version": provenance.code_version,
        "run_id": provenance.run_id,
    }
    file = TICK_DAYS.write(lake, exchange, symbol, day, found.ticks, description)
    row = LakeDay(
        trading_pair_id=pair_id,
        day=day,
        object_key=file.object_key,
        content_hash=file.content_hash,
        rows=file.rows,
        bytes=file.bytes,
        first_time=from_ms(int(found.ticks.time[0])),
        last_time=from_ms(int(found.ticks.time[-1])),
        condition=Condition.DEGRADED,
        run_id=provenance.run_id,
        code_version=provenance.code_version,
        raw_inputs=raw_inputs,
    )
    with warehouse.begin() as connection:
        current = lock_lake_day(connection, pair_id, day)
        if current is not None and current.rows:
            return None  # a backfill was quicker, and has the exchange's own account of the day
        commit_lake_day(connection, row)
    return ImportedDay(day, len(found.parts), file.rows, found.duplicates)
