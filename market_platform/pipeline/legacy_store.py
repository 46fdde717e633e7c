"""A day of legacy ticks becomes the lake's, or the lake's own stays: how the two compare, and committing what follows.

Belongs here: which ticks are the lake's day. Does not: reading Postgres's rows (legacy_day.py), proving and dropping them
(legacy_drop.py).

What the lake has of a day stays when the exchange gave it whole (`available`, `closed`), and also when it has ticks that
Postgres does not: the days are compared, and Postgres's rows count as verified when the lake has every one of them. A moved
day is `degraded`, because a table does not say whether it has all that the exchange sent: it is served, and a backfill
replaces it by the exchange's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import date

from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import WarehouseUnavailableError
from market_platform.lake.parquet_file import ROW_GROUP_ROWS
from market_platform.lake.row_file import Summary
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.legacy_day import LegacyDay, fitting_price_scale
from market_platform.pipeline.platform import Provenance
from market_platform.pipeline.tick_spool import spooled_day
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, lock_lake_day
from market_platform.warehouse.reference import PairRow
from market_platform.warehouse.tick_moves import Relation, TickMove, save_move

_TRIES = 3


@dataclass(frozen=True, slots=True)
class MovedDay:
    """What became of a day. `lake_rows` and `lake_condition` are the lake's own when it had the day already."""

    pair: str
    move: TickMove
    examples: tuple[str, ...] = ()
    lake_rows: int = 0
    lake_condition: str = ""
    missing: int = 0
    """Rows of Postgres that the lake does not have."""
    again: bool = False
    """Whether it was done by an earlier run, and nothing changed since."""


@dataclass(frozen=True, slots=True)
class Store:
    """What storing a day needs; `still_alone` raises when the run does not hold the lock on the table any more."""

    lake: Lake
    warehouse: Warehouse
    provenance: Provenance
    still_alone: Callable[[], None]

    def store(self, pair: PairRow, day: date, rows: LegacyDay, before: LakeDay | None) -> MovedDay:
        """Commit the day's file, or the finding that the lake's own stays; again when somebody else commits meanwhile."""
        for _ in range(_TRIES):
            found = self._compare(rows, before)
            manifest = self._write(pair, day, rows) if found.takes else before
            move = TickMove(
                trading_pair_id=pair.id,
                day=day,
                state="copied" if found.takes else "verified" if found.missing == 0 else "kept",
                rows=rows.rows,
                duplicates=rows.duplicates,
                truncated=rows.truncated,
                merged=rows.merged,
                zeroed=rows.zeroed,
                relation=found.relation,
                source_hash=rows.source_hash,
                object_key=manifest.object_key if manifest else None,
                content_hash=manifest.content_hash if manifest else None,
                run_id=self.provenance.run_id,
            )
            self.still_alone()
            with self.warehouse.begin() as conn:
                current = lock_lake_day(conn, pair.id, day)
                if _content(current) == _content(before):
                    if found.takes and manifest is not None:
                        commit_lake_day(conn, manifest)
                    save_move(conn, move)
                    lake_rows, condition = (before.rows, before.condition.value) if before else (0, "")
                    return MovedDay(pair.name, move, rows.examples, lake_rows, condition, found.missing)
            before = current
        raise WarehouseUnavailableError(
            f"{pair.name} {day}: others keep committing the day; try again when they are done"
        )

    def _compare(self, rows: LegacyDay, before: LakeDay | None) -> _Comparison:
        """How the rows relate to what the lake has, and whether they take its place."""
        final = before is not None and before.condition.is_final
        if before is None or not before.object_key:
            missing = rows.ticks.rows
            return _Comparison("postgres_has_more" if final else "moved", missing, takes=not final)
        with closing(spooled_day(self.lake, before.object_key, before.content_hash)) as theirs:
            missing, extra = rows.ticks.missing_in(theirs), theirs.missing_in(rows.ticks)
        relation: Relation = (
            ("differs" if extra else "postgres_has_more") if missing else ("lake_has_more" if extra else "equal")
        )
        return _Comparison(relation, missing, takes=bool(missing) and not extra and not final)

    def _write(self, pair: PairRow, day: date, rows: LegacyDay) -> LakeDay:
        inputs = [
            {
                "source": "market_ticks",
                "rows": rows.rows,
                "duplicates": rows.duplicates,
                "truncated": rows.truncated,
                "merged": rows.merged,
                "zeroed": rows.zeroed,
                "source_hash": rows.source_hash,
            }
        ]
        description = {
            "condition": Condition.DEGRADED.value,
            "raw_inputs": json.dumps(inputs, separators=(",", ":")),
            "code_version": self.provenance.code_version,
            "run_id": self.provenance.run_id,
        }
        ticks = rows.ticks
        scales = fitting_price_scale(ticks, pair.price_scale), ticks.volume_scale
        least = scales == (ticks.price_scale, ticks.volume_scale)
        content_hash = rows.source_hash if least else ticks.content_hash(*scales)
        first_ms, last_ms = ticks.span
        summary = Summary(ticks.rows, scales, content_hash, first_ms, last_ms)
        pieces = ticks.pieces(ROW_GROUP_ROWS, *scales)
        file = TICK_DAYS.write_pieces(self.lake, pair.exchange, pair.symbol, day, pieces, summary, description)
        return LakeDay(
            trading_pair_id=pair.id,
            day=day,
            object_key=file.object_key,
            content_hash=file.content_hash,
            rows=file.rows,
            bytes=file.bytes,
            first_time=from_ms(first_ms),
            last_time=from_ms(last_ms),
            condition=Condition.DEGRADED,
            run_id=self.provenance.run_id,
            code_version=self.provenance.code_version,
            raw_inputs=inputs,
        )


@dataclass(frozen=True, slots=True)
class _Comparison:
    relation: Relation
    missing: int
    takes: bool
    """Whether Postgres's rows become the lake's day."""


def _content(day: LakeDay | None) -> object:
    return day.content if day is not None else None
