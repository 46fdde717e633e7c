"""`market_ticks` → lake, day by day: copied, read back and verified, and only then, if asked, dropped.

A day goes `copied` (its file is committed) → `verified` (the file, read back, has the hash and the count of Postgres's rows)
→ `dropped` (the very rows that the DELETE returned had that hash, or it was rolled back). A process may end anywhere: what
is recorded is true, and the next run goes on from there.

What the lake has of a day stays when the exchange gave it whole (`available`, `closed`), and also when it has ticks that
Postgres does not: the days are compared, and Postgres's rows count as verified when the lake has every one of them. A moved
day is `degraded`, because a table does not say whether it has all that the exchange sent: it is served, and a backfill
replaces it by the exchange's own.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date

import polars as pl
from sqlalchemy import Connection

from market_platform.domain.clock import from_ms
from market_platform.domain.conditions import Condition
from market_platform.domain.errors import (
    CorruptObjectError,
    DayFailedError,
    LakeUnavailableError,
    MarketPlatformError,
    WarehouseError,
    WarehouseUnavailableError,
)
from market_platform.domain.ticks import Ticks
from market_platform.lake.store import Lake
from market_platform.lake.tick_days import TICK_DAYS
from market_platform.pipeline.legacy_rows import (
    Allowances,
    LegacyRows,
    at_least_scales,
    at_price_scale,
    exact_rows,
    missing_rows,
    parse_rows,
)
from market_platform.pipeline.platform import Provenance
from market_platform.warehouse.engine import Warehouse
from market_platform.warehouse.lake_days import LakeDay, commit_lake_day, load_lake_days, lock_lake_day
from market_platform.warehouse.market_ticks import count_day, delete_day, read_day
from market_platform.warehouse.reference import PairRow
from market_platform.warehouse.tick_moves import Relation, TickMove, load_move, save_move

DAYS_AHEAD = 2
"""Days that are read while another one is written."""
PIECES_IN_FLIGHT = 6
"""Pieces of text of a day that wait for the parser."""
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
class Mover:
    """What every day of a run needs. `drop` deletes the rows of every day that is verified."""

    lake: Lake
    warehouse: Warehouse
    provenance: Provenance
    allow: Allowances = field(default_factory=Allowances)
    drop: bool = False
    still_alone: Callable[[], None] = lambda: None
    """Raises when the run does not hold the lock on the table any more."""

    def move(self, days: Sequence[tuple[PairRow, date]], on_day: Callable[[MovedDay], None]) -> list[MovedDay]:
        """Move each day; `on_day` hears of every good one, in order, as soon as it is done.

        Raises:
            DayFailedError: after all days were tried, naming those that failed.
            LakeUnavailableError: the lake does not answer.
            WarehouseUnavailableError: Postgres does not answer.
        """
        done: list[MovedDay] = []
        failures: dict[str, Exception] = {}
        with closing(self._read(days)) as reads:
            for pair, day, reading in reads:
                try:
                    moved = self._finish(pair, day, reading.result())
                except (LakeUnavailableError, WarehouseUnavailableError):
                    raise
                except MarketPlatformError as error:
                    failures[f"{pair.name} {day}"] = error
                    continue
                done.append(moved)
                on_day(moved)
        if failures:
            raise DayFailedError(_summary(failures, len(days)), failures=failures)
        return done

    def _read(self, days: Sequence[tuple[PairRow, date]]) -> Generator[tuple[PairRow, date, Future[_Read]]]:
        """Read days ahead of the one in work: Postgres and the parser have threads of their own."""
        waiting: deque[tuple[PairRow, date, Future[_Read]]] = deque()
        parser = ThreadPoolExecutor(1, "parse-ticks")
        reader = ThreadPoolExecutor(1, "read-ticks")
        try:
            for pair, day in days:
                waiting.append((pair, day, reader.submit(self._read_day, pair, day, parser)))
                if len(waiting) > DAYS_AHEAD:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            reader.shutdown(cancel_futures=True)
            parser.shutdown(cancel_futures=True)

    def _read_day(self, pair: PairRow, day: date, parser: ThreadPoolExecutor) -> _Read:
        """The day's rows, or none of them when it was done before and neither they nor the lake's day have changed."""
        with self.warehouse.connect() as conn:
            move = load_move(conn, pair.id, day)
            before = load_lake_days(conn, pair.id, day, day).get(day)
            settled = move is not None and move.state in ("verified", "kept") and move.is_of(before)
            if settled and move is not None and count_day(conn, pair.id, day) == move.rows:
                return _Read(move, before, None)
            pieces: list[Future[pl.DataFrame]] = []
            with closing(read_day(conn, pair.id, day)) as arriving:
                for piece in arriving:
                    pieces.append(parser.submit(parse_rows, piece, f"{pair.name} {day}"))
                    if len(pieces) >= PIECES_IN_FLIGHT:
                        pieces[-PIECES_IN_FLIGHT].result()
            return _Read(move, before, pieces)

    def _finish(self, pair: PairRow, day: date, read: _Read) -> MovedDay:
        if read.pieces is None:
            assert read.move is not None
            moved = MovedDay(pair.name, read.move, again=True)
        else:
            if not read.pieces:
                raise WarehouseUnavailableError(f"{pair.name} {day}: its rows went while it was read; try again")
            frame = pl.concat([piece.result() for piece in read.pieces])
            rows = exact_rows(frame, f"{pair.name} {day}", self.allow)
            moved = _going_on(pair, read, rows) or self._store(pair, day, rows, read.before)
            if moved.move.state == "copied":
                moved = replace(moved, move=self._verify(pair, moved.move))
        if self.drop and moved.move.state == "verified":
            moved = replace(moved, move=self._drop(pair, moved.move))
        return moved

    def _store(self, pair: PairRow, day: date, rows: LegacyRows, before: LakeDay | None) -> MovedDay:
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

    def _compare(self, rows: LegacyRows, before: LakeDay | None) -> _Comparison:
        """How the rows relate to what the lake has, and whether they take its place."""
        final = before is not None and before.condition.is_final
        if before is None or not before.object_key:
            missing = len(rows.ticks)
            return _Comparison("postgres_has_more" if final else "moved", missing, takes=not final)
        theirs = TICK_DAYS.read(self.lake, before.object_key, expect_hash=before.content_hash)
        missing, extra = missing_rows(rows.ticks, theirs), missing_rows(theirs, rows.ticks)
        relation: Relation = (
            ("differs" if extra else "postgres_has_more") if missing else ("lake_has_more" if extra else "equal")
        )
        return _Comparison(relation, missing, takes=bool(missing) and not extra and not final)

    def _write(self, pair: PairRow, day: date, rows: LegacyRows) -> LakeDay:
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
        ticks = at_price_scale(rows.ticks, pair.price_scale)
        file = TICK_DAYS.write(self.lake, pair.exchange, pair.symbol, day, ticks, description)
        return LakeDay(
            trading_pair_id=pair.id,
            day=day,
            object_key=file.object_key,
            content_hash=file.content_hash,
            rows=file.rows,
            bytes=file.bytes,
            first_time=from_ms(int(ticks.time[0])),
            last_time=from_ms(int(ticks.time[-1])),
            condition=Condition.DEGRADED,
            run_id=self.provenance.run_id,
            code_version=self.provenance.code_version,
            raw_inputs=inputs,
        )

    def _verify(self, pair: PairRow, move: TickMove) -> TickMove:
        """Read the committed file back: it must have the hash and the count of Postgres's rows."""
        self._proved(pair, move)
        verified = replace(move, state="verified")
        with self.warehouse.begin() as conn:
            save_move(conn, verified)
        return verified

    def _proved(self, pair: PairRow, move: TickMove) -> Ticks:
        assert move.object_key is not None
        ticks = TICK_DAYS.read(self.lake, move.object_key, expect_hash=move.content_hash)
        if move.relation in ("moved", "postgres_has_more"):
            held = len(ticks), at_least_scales(ticks).content_hash()
            if held != (move.rows - move.duplicates - move.merged, move.source_hash):
                raise CorruptObjectError(
                    f"{pair.name} {move.day}: the lake's file {move.object_key} holds {held[0]:,} ticks that are not those "
                    "of Postgres; nothing was dropped, run `market-platform lake verify`"
                )
        return ticks

    def _drop(self, pair: PairRow, move: TickMove) -> TickMove:
        """Delete the day's rows, if those that the DELETE itself returns are those that were verified."""
        in_lake = self._proved(pair, move)
        allow = Allowances(truncate_times=move.truncated > 0, zero_volumes=move.zeroed > 0)
        self.still_alone()
        with self.warehouse.begin() as conn:
            current = lock_lake_day(conn, pair.id, move.day)
            if load_move(conn, pair.id, move.day, lock=True) != move or not move.is_of(current):
                raise WarehouseError(
                    f"{pair.name} {move.day}: the lake's day changed since it was verified; nothing was dropped, run it again"
                )
            gone = _deleted(conn, pair, move.day, allow)
            if (gone.rows, gone.source_hash) != (move.rows, move.source_hash):
                raise WarehouseError(
                    f"{pair.name} {move.day}: {gone.rows:,} rows are there, and they are not the {move.rows:,} that were "
                    "verified; nothing was dropped, run it again"
                )
            if missing_rows(gone.ticks, in_lake):
                raise WarehouseError(f"{pair.name} {move.day}: the lake does not have all rows; nothing was dropped")
            dropped = replace(move, state="dropped", run_id=self.provenance.run_id)
            save_move(conn, dropped)
        return dropped


@dataclass(frozen=True, slots=True)
class _Read:
    """A day as it was read: its earlier move, its manifest, and its rows (None when the day is done already)."""

    move: TickMove | None
    before: LakeDay | None
    pieces: list[Future[pl.DataFrame]] | None


@dataclass(frozen=True, slots=True)
class _Comparison:
    relation: Relation
    missing: int
    takes: bool
    """Whether Postgres's rows become the lake's day."""


def _going_on(pair: PairRow, read: _Read, rows: LegacyRows) -> MovedDay | None:
    """The day as an earlier run left it, copied and not verified, when its rows and its file are still the same."""
    move = read.move
    if move is None or move.state != "copied" or not move.is_of(read.before):
        return None
    same = (move.rows, move.source_hash) == (rows.rows, rows.source_hash)
    return MovedDay(pair.name, move, rows.examples) if same else None


def _deleted(conn: Connection, pair: PairRow, day: date, allow: Allowances) -> LegacyRows:
    what = f"{pair.name} {day}"
    with closing(delete_day(conn, pair.id, day)) as arriving:
        frames = [parse_rows(piece, what) for piece in arriving]
    return exact_rows(pl.concat(frames or [parse_rows(b"", what)]), what, allow)


def _content(day: LakeDay | None) -> object:
    return day.content if day is not None else None


def _summary(failures: dict[str, Exception], of: int) -> str:
    shown = [f"  {error}" for _, error in list(failures.items())[:5]]
    more = f"\n  … and {len(failures) - 5} more" if len(failures) > 5 else ""
    return (
        f"legacy ticks: {len(failures)} of {of} days could not be moved, and stay in Postgres:\n"
        + "\n".join(shown)
        + more
    )
