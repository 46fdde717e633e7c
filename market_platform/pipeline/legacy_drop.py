"""Proving that the lake has a day's legacy ticks, and only then deleting them from Postgres.

Belongs here: reading the lake's file back, and the DELETE whose own rows must be those that were verified. Does not: how the
file came to be (legacy_store.py).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from market_platform.domain.errors import CorruptObjectError, WarehouseError
from market_platform.lake.store import Lake
from market_platform.pipeline.legacy_day import Allowances, LegacyDay
from market_platform.pipeline.tick_spool import TickSpool, spooled_day
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import lock_lake_day
from market_platform.warehouse.market_ticks import delete_day
from market_platform.warehouse.reference import PairRow
from market_platform.warehouse.tick_moves import TickMove, load_move, save_move


@dataclass(frozen=True, slots=True)
class Drop:
    """What proving and dropping need; `still_alone` raises when the run does not hold the lock on the table any more."""

    lake: Lake
    warehouse: Warehouse
    run_id: str
    still_alone: Callable[[], None]

    def verify(self, pair: PairRow, move: TickMove) -> TickMove:
        """Read the committed file back: it must have the hash and the count of Postgres's rows."""
        self._proved(pair, move).close()
        verified = replace(move, state="verified")
        with self.warehouse.begin() as conn:
            save_move(conn, verified)
        return verified

    def drop(self, pair: PairRow, move: TickMove) -> TickMove:
        """Delete the day's rows, if those that the DELETE itself returns are those that were verified."""
        allow = Allowances(truncate_times=move.truncated > 0, zero_volumes=move.zeroed > 0)
        with closing(self._proved(pair, move)) as in_lake:
            self.still_alone()
            with self.warehouse.begin() as conn:
                current = lock_lake_day(conn, pair.id, move.day)
                if load_move(conn, pair.id, move.day, lock=True) != move or not move.is_of(current):
                    raise WarehouseError(
                        f"{pair.name} {move.day}: the lake's day changed since it was verified; nothing was dropped, run it again"
                    )
                with closing(LegacyDay(f"{pair.name} {move.day}", allow)) as gone:
                    _delete(conn, pair, move, gone)
                    if gone.ticks.missing_in(in_lake):
                        raise WarehouseError(
                            f"{pair.name} {move.day}: the lake does not have all rows; nothing was dropped"
                        )
                dropped = replace(move, state="dropped", run_id=self.run_id)
                save_move(conn, dropped)
            return dropped

    def _proved(self, pair: PairRow, move: TickMove) -> TickSpool:
        """The ticks of the lake's file, which are those of Postgres wherever they came from there."""
        assert move.object_key is not None
        ticks = spooled_day(self.lake, move.object_key, move.content_hash)
        if move.relation in ("moved", "postgres_has_more"):
            held = ticks.rows, ticks.content_hash(ticks.price_scale, ticks.volume_scale)
            if held != (move.rows - move.duplicates - move.merged, move.source_hash):
                ticks.close()
                raise CorruptObjectError(
                    f"{pair.name} {move.day}: the lake's file {move.object_key} holds {held[0]:,} ticks that are not those "
                    "of Postgres; nothing was dropped, run `market-platform lake verify`"
                )
        return ticks


def _delete(conn: Connection, pair: PairRow, move: TickMove, gone: LegacyDay) -> None:
    """Delete the day's rows in the caller's transaction, and prove that they are those of the move."""
    with closing(delete_day(conn, pair.id, move.day)) as arriving:
        for piece in arriving:
            gone.add(piece)
    gone.finish()
    if (gone.rows, gone.source_hash) != (move.rows, move.source_hash):
        raise WarehouseError(
            f"{pair.name} {move.day}: {gone.rows:,} rows are there, and they are not the {move.rows:,} that were "
            "verified; nothing was dropped, run it again"
        )
